"""Count the rows of a file while it passes by, as the runtime will read them.

Called by `llmops.lock.resolving`. JSON Lines: lines that hold something. CSV: records that hold something, without the
header. What is in a row is not looked at: that is the `check-data` step's.
"""

from __future__ import annotations

import csv
import io
import tempfile
from types import TracebackType
from typing import Final, Self

from llmops.errors import Exit, OperationFailed

_IN_MEMORY_BYTES: Final = 16 << 20
_LONGEST_CELL: Final = 1 << 24
"""As the runtime has it."""


class RowCounter:
    """Give it every chunk of one file, in order, then ask. Use as a context: CSV is kept aside meanwhile."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines = 0
        self._line_holds = False
        self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) if name.endswith(".csv") else None  # noqa: SIM115  # closed by `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._kept is not None:
            self._kept.close()

    def take(self, chunk: bytes) -> None:
        if self._kept is not None:
            self._kept.write(chunk)
            return
        first, *rest = chunk.split(b"\n")
        self._line_holds = self._line_holds or not _blank(first)
        for line in rest:
            self._lines += self._line_holds
            self._line_holds = not _blank(line)

    def rows(self) -> int:
        """Raises: OperationFailed: the file is no CSV."""
        if self._kept is None:
            return self._lines + self._line_holds
        self._kept.seek(0)
        csv.field_size_limit(_LONGEST_CELL)
        text = io.TextIOWrapper(self._kept, encoding="utf-8-sig", newline="")
        try:
            records = sum(1 for record in csv.reader(text, strict=True) if record)
        except (csv.Error, UnicodeDecodeError) as error:
            raise OperationFailed(f"`{self._name}` is no CSV in UTF-8: {error}", exit_code=Exit.FINDINGS) from error
        finally:
            text.detach()
        return max(0, records - 1)


def _blank(text: bytes) -> bool:
    return not text.strip().removeprefix(b"\xef\xbb\xbf")
