"""Bring `llmops.lock` up to date: keep what still fits, resolve what is new, drop what nothing needs, write it whole.

Called by `llmops lock`. Promises: an entry that fits is not asked for again; a failure leaves every other entry done,
and the old entry where there was one; equal content is equal bytes, and then the file is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from compiler.diagnostics.model import DiagnosticSink
from compiler.diagnostics.suggestions import did_you_mean
from compiler.lockfile import LOCK_FILE, Lock, entry_name, read_lock, sections
from compiler.ports import Reader
from compiler.yaml_writer import write_yaml
from llmops.errors import Exit, OperationFailed
from llmops.io.files import write_atomically
from llmops.lock.changes import Change, What
from llmops.lock.resolving import Remote
from llmops.lock.wanted import (
    Key,
    Wanted,
    WantedImage,
    WantedModel,
    WantedSplit,
    WantedVersions,
    changed_rows,
    entry_key,
    entry_label,
    wanted_label,
)
from llmops_spec.digests import Json
from llmops_spec.lock import LOCK_FORMAT, LockedEngine, LockedPlugin, LockedSplit, SealedEntry

_HEADING: Final = ("Written by `llmops lock`. Review it like code, and let the command change it.",)
_SECTIONS: Final = ("models", "datasets", "images", "engines", "plugins")


@dataclass(kw_only=True)
class Relock:
    """One run of the command."""

    needed: Sequence[Wanted]
    lock: Lock
    remote: Remote
    files: Reader
    upgrade: Collection[str] = ()
    changes: list[Change] = field(default_factory=list[Change])

    def run(self) -> None:
        """Resolve what has to be, in order. What fails is a change of its own."""
        names = self._chosen()
        old = {entry_key(one): one for _, some in sections(self.lock.document) for one in some}
        for one in self.needed:
            self.changes.append(self._renewed(one, old, again=bool(names & _names_of(one.key))))
        kept = {one.key for one in self.needed}
        replaced = [one.before for one in self.changes]
        for key, entry in old.items():
            if key not in kept and not any(entry is one for one in replaced):
                self.changes.append(Change(key=key, label=entry_label(entry), what="removed", entry=entry))

    def text(self) -> bytes:
        """The lock as it is now, in a stable order, read back once to be sure that a reader takes it.

        Raises:
            OperationFailed: it cannot be written so that it can be read.
        """
        kept = [one for one in self.changes if one.what != "removed" and one.entry is not None]
        kept.sort(key=lambda one: one.key)
        body: dict[str, Json] = {"formatVersion": LOCK_FORMAT}
        for section in _SECTIONS:
            entries = [_plain(one.entry) for one in kept if one.key.section == section and one.entry is not None]
            body |= {section: entries} if entries else {}
        written = write_yaml(body, heading=_HEADING)
        sink = DiagnosticSink()
        read_lock(written, sink)
        if sink.has_errors:
            raise OperationFailed(f"what was found cannot be kept in a reviewable file: {sink.findings()[0].message}")
        return written

    def _chosen(self) -> set[str]:
        """The names to resolve anew. Raises: OperationFailed: an unknown one, or an edited entry that is not named."""
        known = {name for one in self.needed for name in _names_of(one.key)}
        unknown = next((one for one in self.upgrade if one not in known), None)
        if unknown is not None:
            advice = did_you_mean(unknown, known)
            raise OperationFailed(f"nothing that is locked is called `{unknown}`", help=advice)
        for _, entries in sections(self.lock.document):
            for entry in entries:
                if not entry.intact and not set(self.upgrade) & _names_of(entry_key(entry)):
                    raise OperationFailed(
                        f"the entry of `{entry_name(entry)}` in `{LOCK_FILE}` is not what `llmops lock` wrote",
                        help=f"restore its lines, or resolve it anew: `llmops lock --upgrade {entry_name(entry)}`",
                        exit_code=Exit.FINDINGS,
                    )
        return set(self.upgrade)

    def _renewed(self, one: Wanted, old: Mapping[Key, SealedEntry], *, again: bool) -> Change:
        before = old.get(one.key)
        moved = isinstance(before, LockedSplit) and changed_rows(before, self.files)
        if before is not None and not again and not moved:
            return Change(key=one.key, label=wanted_label(one), what="kept", entry=before)
        try:
            entry = self._resolved(one)
        except OperationFailed as error:
            return Change(key=one.key, label=wanted_label(one), what="failed", entry=before, failure=error)
        former = before or _former(one, old)
        what: What = "unchanged" if entry == before else "changed" if former is not None else "new"
        return Change(key=one.key, label=wanted_label(one), what=what, entry=entry, before=former)

    def _resolved(self, one: Wanted) -> SealedEntry:
        match one:
            case WantedModel():
                return self.remote.model(one.resource, one.source)
            case WantedSplit():
                return self.remote.split(one.resource, one.split, one.source, self.files)
            case WantedImage():
                return self.remote.image(one.image)
            case WantedVersions() if one.section == "engines":
                return LockedEngine.sealed(engine=one.name, versions=dict(one.versions))
            case WantedVersions():
                ((plugin, version),) = one.versions
                return LockedPlugin.sealed(plugin=plugin, version=version)


def _former(one: Wanted, old: Mapping[Key, SealedEntry]) -> SealedEntry | None:
    """What the same thing was locked to while the spec had another source for it."""
    split = one.split if isinstance(one, WantedSplit) else None
    same = (
        entry
        for key, entry in old.items()
        if (key.section, key.name) == (one.key.section, one.key.name)
        and (not isinstance(entry, LockedSplit) or entry.split == split)
    )
    return next(same, None)


def write_lock(root: Path, text: bytes) -> bool:
    """Replace the lock where its bytes change. Returns whether it did."""
    path = root / LOCK_FILE
    if path.is_file() and path.read_bytes() == text:
        return False
    write_atomically(path, text)
    return True


def _names_of(key: Key) -> set[str]:
    """What `--upgrade` may call an entry: its id, or its name alone."""
    kind, separator, name = key.name.partition("/")
    return {key.name, name} if separator and kind in ("model", "dataset") else {key.name}


def _plain(entry: SealedEntry) -> Json:
    """The fields of an entry, the seal last."""
    body = entry.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    return {**{name: value for name, value in body.items() if name != "seal"}, "seal": body["seal"]}
