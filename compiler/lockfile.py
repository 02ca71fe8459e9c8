"""The lock as the compiler sees it: `llmops.lock`, read and held to its seals, and asked what a source was locked to.

`load` reads it, the graph carries it, checks and artifacts ask it. Pure. Reports `unreadable-lock` and `edited-lock`.
Promises: a project without a lock has an empty one; of a lock that cannot be read nothing is concluded but that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from compiler.diagnostics.catalogue import EDITED_LOCK, UNREADABLE_LOCK
from compiler.diagnostics.model import Diagnostic, DiagnosticSink
from compiler.source import LocatedMapping, Span, child
from compiler.yaml_reader import read_yaml
from llmops_spec.dataset import Split
from llmops_spec.lock import (
    LOCK_FORMAT,
    LockDocument,
    LockedModel,
    LockedSplit,
    RowsSource,
    SealedEntry,
)
from llmops_spec.model import Model

LOCK_FILE: Final = "llmops.lock"
"""Beside the project file."""
_START: Final = Span(LOCK_FILE, 1, 1, 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lock:
    """What is locked. Names are those of resources, without their kind."""

    document: LockDocument = field(default_factory=LockDocument.model_construct)
    """An empty one is not validated: its schema need not be built for a project that has no lock."""
    tree: LocatedMapping = field(default_factory=lambda: LocatedMapping(_START))
    present: bool = False
    """There is a file, which the pipeline then holds to the spec."""
    readable: bool = True
    """False where there is a file of which nothing could be made: that is reported, and checks stay silent."""

    def model(self, model: Model) -> LockedModel | None:
        """What a model's remote source was locked to; None where it is not remote, or not locked as it is written."""
        source = model.spec.from_.remote
        entries = (one for one in self.models_of(model.metadata.name) if one.source == source)
        return next(entries, None) if source is not None else None

    def models_of(self, name: str) -> Iterator[LockedModel]:
        """Every entry of a model, whichever source it had then."""
        return (one for one in self.document.models if one.resource == f"model/{name}")

    def split(self, dataset: str, name: str, split: Split) -> LockedSplit | None:
        """What a split's rows were when they were locked; None where they were not, or lie elsewhere now."""
        return next((one for one in self.splits_of(dataset, name) if one.source == rows_source(split)), None)

    def splits_of(self, dataset: str, name: str) -> Iterator[LockedSplit]:
        entries = self.document.datasets
        return (one for one in entries if (one.resource, one.split) == (f"dataset/{dataset}", name))

    def pinned(self, image: str) -> str:
        """An image with its digest behind its tag; as it is where it has one already, or is not locked."""
        found = next((one.digest for one in self.document.images if one.image == image), None)
        return image if found is None or "@" in image else f"{image}@{found}"

    def span(self, entry: SealedEntry) -> Span:
        """Where an entry of this lock stands."""
        for section, entries in sections(self.document):
            for index, one in enumerate(entries):
                if one is entry:
                    return _place(self.tree, section, index)
        return _START


def sections(document: LockDocument) -> Iterator[tuple[str, Sequence[SealedEntry]]]:
    """The entries by the key that they stand below."""
    yield "models", document.models
    yield "datasets", document.datasets
    yield "images", document.images
    yield "engines", document.engines
    yield "plugins", document.plugins


def rows_source(split: Split) -> RowsSource:
    """Where a split lies, as the lock has it."""
    return RowsSource(path=split.path, remote=split.source)


def read_lock(data: bytes, sink: DiagnosticSink) -> Lock:
    """The lock in the bytes of a file; what is wrong with it is reported."""
    found = read_yaml(LOCK_FILE, data)
    if found.problems:
        first = found.problems[0]
        return _unreadable(first.span, f"`{LOCK_FILE}` cannot be read: {first.message}", sink)
    if len(found.documents) != 1 or not isinstance(tree := found.documents[0].value, LocatedMapping):
        return _unreadable(_START, f"`{LOCK_FILE}` is no mapping with `formatVersion` and entries", sink)
    version = tree.get("formatVersion")
    if isinstance(version, int) and version > LOCK_FORMAT:
        said = f"`{LOCK_FILE}` has format {version}, and this llmops reads up to {LOCK_FORMAT}"
        sink.add(UNREADABLE_LOCK.at(tree.value_spans["formatVersion"], said, help="use the llmops that wrote it"))
        return Lock(present=True, readable=False)
    try:
        document = LockDocument.model_validate(tree)
    except ValidationError as error:
        every = error.errors(include_url=False, include_input=False)
        where = min(every, key=lambda one: one["type"] == "missing")  # what is written wrongly says more
        said = f"`{LOCK_FILE}` is not what `llmops lock` writes: {_dotted(where['loc'])}: {where['msg'].lower()}"
        return _unreadable(_deepest(tree, where["loc"]), said, sink)
    lock = Lock(document=document, tree=tree, present=True)
    sink.extend(_edited(lock))
    return lock


def _unreadable(place: Span, said: str, sink: DiagnosticSink) -> Lock:
    advice = "restore it from Git, or delete it and run `llmops lock`, which resolves everything anew"
    sink.add(UNREADABLE_LOCK.at(place, said, help=advice))
    return Lock(present=True, readable=False)


def _edited(lock: Lock) -> Iterator[Diagnostic]:
    for section, entries in sections(lock.document):
        for index, entry in enumerate(entries):
            if not entry.intact:
                yield EDITED_LOCK.at(
                    _place(lock.tree, section, index),
                    f"the entry of `{entry_name(entry)}` is not what `llmops lock` wrote",
                    label="changed by hand, or by a merge",
                    note="its seal, the digest of its other lines, does not fit them",
                    help=f"restore the lines, or resolve it anew with `llmops lock --upgrade {entry_name(entry)}`",
                )


def entry_name(entry: SealedEntry) -> str:
    """How people name an entry: `model/base`, `dataset/support`, an image, an engine, a plug-in."""
    for name in ("resource", "image", "engine", "plugin"):
        if (found := getattr(entry, name, None)) is not None:
            return str(found)
    return ""


def _place(tree: LocatedMapping, section: str, index: int) -> Span:
    """The first line of an entry."""
    entries = tree.get(section)
    found = child(entries, index)
    entry = found[0] if found is not None else None
    if isinstance(entry, LocatedMapping) and entry:
        first = next(iter(entry))
        return entry.value_spans[first]
    return found[1] if found is not None else _START


def _deepest(tree: LocatedMapping, path: tuple[int | str, ...]) -> Span:
    """The place that a validation error speaks of, as far as it is written."""
    here: object = tree
    best = tree.span
    for part in path:
        found = child(here, part)
        if found is None:
            break
        here, best = found
    return Span(best.file, best.line, best.column, best.line, best.column + 1) if best.end_line > best.line else best


def _dotted(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path) or "the document"
