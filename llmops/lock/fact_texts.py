"""The bytes of those few files of a model that are read for facts, as they pass by: all of a file, or a refusal.

Called by `llmops.lock.resolving`. Promise: whatever a server sends, no more is kept in memory than a file of that name
may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from llmops.errors import Exit, OperationFailed
from llmops.lock.model_folder import FACT_FILES

Keep: TypeAlias = Callable[[bytes], object]

_MIB: Final = 1 << 20
_LONGEST: Final = 8 * _MIB
"""Configurations and templates. With every added token listed, those of large models have two."""
_LONGEST_INDEX: Final = 64 * _MIB
"""An index names every tensor: that of DeepSeek-V3, with 90,000 of them, has nine."""


@dataclass(frozen=True, kw_only=True)
class FactTexts:
    """Texts of one folder, by name."""

    _kept: dict[str, bytearray] = field(default_factory=dict[str, bytearray])

    @classmethod
    def of(cls, names: Iterable[str]) -> FactTexts:
        """For a folder with these names; most are none whose text is kept."""
        return cls(_kept={name: bytearray() for name in names if name in FACT_FILES})

    def keep(self, name: str, size: int | None) -> Keep | None:
        """Takes the chunks of a file of `size` bytes, where that is known; None where the text is not wanted.

        Raises:
            OperationFailed: it is longer than may be kept; whoever gives the chunks is told so, too.
        """
        if name not in self._kept:
            return None
        kept, most = self._kept[name], _LONGEST_INDEX if name.endswith(".index.json") else _LONGEST
        if size is not None and size > most:
            raise _too_long(name, most)

        def take(chunk: bytes) -> None:
            if len(kept) + len(chunk) > most:
                raise _too_long(name, most)
            kept.extend(chunk)

        return take

    def texts(self) -> Mapping[str, bytes]:
        return {name: bytes(text) for name, text in self._kept.items()}


def _too_long(name: str, most: int) -> OperationFailed:
    return OperationFailed(
        f"the model's `{name}` is longer than the {most // _MIB} MiB that are read of such a file",
        help="look whether it is what its name says",
        exit_code=Exit.FINDINGS,
    )
