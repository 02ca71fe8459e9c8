"""Progress of the lock on stderr: a bar of bytes in a terminal, a plain line now and then elsewhere.

Called by `llmops.lock.resolving` and by `fetch` steps.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol, Self

from llmops.cli.console import is_terminal, tell

_SECONDS_BETWEEN_LINES: Final = 5.0


class ByteDisplay(Protocol):
    """What a reader of bytes tells."""

    def begin(self, what: str, size: int | None) -> None: ...

    def advance(self, count: int) -> None: ...


class Silent:
    """Tells nothing; a `ByteDisplay` by shape."""

    def begin(self, what: str, size: int | None) -> None: ...

    def advance(self, count: int) -> None: ...


@contextmanager
def open_byte_display() -> Generator[ByteDisplay]:
    """The display that fits stderr."""
    if not is_terminal():
        yield PlainBytes()
        return
    with BytesBar() as display:
        yield display


class PlainBytes:
    """A line when something begins, and one every few seconds while it lasts."""

    def __init__(self) -> None:
        self._what, self._size, self._count, self._told = "", None, 0, time.monotonic()

    def begin(self, what: str, size: int | None) -> None:
        self._what, self._size, self._count, self._told = what, size, 0, time.monotonic()
        tell(f"{what}{f' ({shown_bytes(size)})' if size is not None else ''}")

    def advance(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            of = f" of {shown_bytes(self._size)}" if self._size is not None else ""
            tell(f"{self._what}: {shown_bytes(self._count)}{of}")


class BytesBar:
    """One bar for what is read now."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            Speed(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, what: str, size: int | None) -> None:
        self._bars.reset(self._task, description=what, total=size, visible=True)

    def advance(self, count: int) -> None:
        self._bars.advance(self._task, count)


def shown_bytes(count: int) -> str:
    """`312 B`, `4.1 kB`, `5.4 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
