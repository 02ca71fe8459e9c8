"""What became of each entry of the lock, in words. Called by `llmops.lock.locking` and by the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmops.errors import OperationFailed
from llmops.lock.display import shown_bytes
from llmops.lock.wanted import Key
from llmops_spec.lock import LockedEngine, LockedImage, LockedModel, LockedPlugin, LockedSplit, SealedEntry

What: TypeAlias = Literal["kept", "new", "changed", "unchanged", "removed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one entry."""

    key: Key
    label: str
    """What it is of: `model/base`, `dataset/support train`, an image."""
    what: What
    entry: SealedEntry | None
    """None where it failed and there was none before."""
    before: SealedEntry | None = None
    failure: OperationFailed | None = None


def detail(change: Change) -> str:
    """What it is locked to; of a changed one, what it was before too."""
    if change.entry is None:
        return ""
    now = _detail(change.entry)
    if change.what != "changed" or change.before is None:
        return now
    differs = ""
    if isinstance(change.entry, LockedModel) and isinstance(change.before, LockedModel):
        found = list(_differences(change.before, change.entry))
        differs = f" ({', '.join(found)} changed)" if found else ""
    return f"{now}{differs}, before: {_detail(change.before)}"


def _differences(old: LockedModel, new: LockedModel) -> Iterator[str]:
    """What a reviewer looks for first in a model that moved."""
    for what, before, now in (
        ("weights", _weights(old), _weights(new)),
        ("config", old.config, new.config),
        ("tokenizer", old.tokenizer, new.tokenizer),
        ("chat template", old.chat_template, new.chat_template),
        ("licence", old.licence, new.licence),
        ("gate", old.gated, new.gated),
    ):
        if before != now:
            yield what


def _weights(entry: LockedModel) -> dict[str, str]:
    return {name: one.sha256 for name, one in entry.files.items() if name.endswith((".safetensors", ".gguf"))}


def _detail(entry: SealedEntry) -> str:
    match entry:
        case LockedModel():
            size = shown_bytes(sum(one.bytes for one in entry.files.values()))
            commit = f"{entry.commit[:12]}, " if entry.commit is not None else ""
            return f"{commit}{_count(len(entry.files), 'file')}, {size}"
        case LockedSplit():
            return f"{entry.sha256[:12]}, {_count(entry.rows, 'row')}"
        case LockedImage():
            return entry.digest[:19]
        case LockedEngine():
            return ", ".join(f"{name} {version}" for name, version in sorted(entry.versions.items()))
        case LockedPlugin():
            return entry.version
        case _:
            raise AssertionError(entry)  # the lock has no others


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
