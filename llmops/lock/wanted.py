"""What a project's environments need locked, and how that compares with what the lock holds. No network.

Called by `llmops.lock.locking` and by `llmops lock --check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from compiler.diagnostics import catalogue
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lockfile import Lock, entry_name, rows_source, sections
from compiler.pipeline import Compilation
from compiler.ports import Reader
from compiler.source import LocatedMapping
from llmops_spec.base import SpecModel
from llmops_spec.catalogue.versions import ENGINE
from llmops_spec.dataset import Dataset
from llmops_spec.digests import Json, canonical
from llmops_spec.engine import Engine
from llmops_spec.evaluation import Evaluation
from llmops_spec.guardrail import Guardrail
from llmops_spec.lock import LockedEngine, LockedImage, LockedModel, LockedPlugin, LockedSplit, RowsSource, SealedEntry
from llmops_spec.model import Model
from llmops_spec.service import Service
from llmops_spec.sources import RemoteModel

_PLUGINS: Final = {"guardrailsAi": "guardrails-ai", "mlflow": "mlflow"}
"""What a spec calls a plug-in, and the library that it comes with."""


_UNREAD: Final = frozenset(
    one.name
    for one in (
        *catalogue.YAML_RULES.values(),
        catalogue.MISSING_PROJECT,
        catalogue.UNREADABLE_FILE,
        catalogue.UNREADABLE_LOCK,
        catalogue.FOREIGN_DOCUMENT,
        catalogue.UNKNOWN_KIND,
        catalogue.MISSING_FIELD,
        catalogue.UNKNOWN_KEY,
        catalogue.WRONG_TYPE,
        catalogue.INVALID_VALUE,
        catalogue.ONE_OF,
        catalogue.DUPLICATE_RESOURCE,
        catalogue.SEVERAL_PROJECTS,
        catalogue.NO_ENVIRONMENT,
        catalogue.UNKNOWN_OVERRIDE,
    )
)
"""Findings after which a part of the spec is unknown."""


class Key(NamedTuple):
    """What an entry is of. Equal keys are one entry."""

    section: str
    name: str
    """As people name it; `--upgrade` takes it."""
    rest: str
    """Canonical JSON of the source, or of the versions."""


@dataclass(frozen=True, kw_only=True)
class WantedModel:
    resource: str
    source: RemoteModel

    @property
    def key(self) -> Key:
        return Key("models", self.resource, _text(self.source))


@dataclass(frozen=True, kw_only=True)
class WantedSplit:
    resource: str
    split: str
    source: RowsSource

    @property
    def key(self) -> Key:
        return Key("datasets", self.resource, f"{self.split} {_text(self.source)}")


@dataclass(frozen=True, kw_only=True)
class WantedImage:
    image: str

    @property
    def key(self) -> Key:
        return Key("images", self.image, "")


@dataclass(frozen=True, kw_only=True)
class WantedVersions:
    section: str
    """`engines` or `plugins`."""
    name: str
    versions: tuple[tuple[str, str], ...]
    """Library, or engine, and version, sorted."""

    @property
    def key(self) -> Key:
        return Key(self.section, self.name, _json(dict(self.versions)))


Wanted: TypeAlias = WantedModel | WantedSplit | WantedImage | WantedVersions


def says_what_it_needs(compilation: Compilation) -> bool:
    """Whether all of a spec could be read, so that nothing is taken for unused that only was not understood."""
    return bool(compilation.environments) and not any(one.name in _UNREAD for one in compilation.findings)


def wanted(graphs: Iterable[ResourceGraph], versions: Mapping[str, str]) -> list[Wanted]:
    """Everything that some environment needs locked, each once, sorted. `versions` are those of the package's pins."""
    found: list[Wanted] = []
    for graph in graphs:
        found += _models(graph)
        found += _splits(graph)
        found += (WantedImage(image=one) for one in _images(graph) if "@" not in one)
        found += _versions(graph, versions)
    by_key = {one.key: one for one in found}  # by what it says: a source that lists files has no hash
    return [by_key[key] for key in sorted(by_key)]


def entry_key(entry: SealedEntry) -> Key:
    """What an entry of the lock is of."""
    match entry:
        case LockedModel():
            return WantedModel(resource=entry.resource, source=entry.source).key
        case LockedSplit():
            return WantedSplit(resource=entry.resource, split=entry.split, source=entry.source).key
        case LockedImage():
            return WantedImage(image=entry.image).key
        case LockedEngine():
            return WantedVersions(
                section="engines", name=entry.engine, versions=tuple(sorted(entry.versions.items()))
            ).key
        case LockedPlugin():
            pair = (entry.plugin, entry.version)
            return WantedVersions(section="plugins", name=entry.plugin, versions=(pair,)).key
        case _:
            raise AssertionError(entry)  # the lock has no others


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """One way in which the lock is not what the spec needs."""

    name: str
    what: str


def shortfalls(needed: Iterable[Wanted], lock: Lock, files: Reader) -> list[Shortfall]:
    """What `llmops lock` would change. Empty where the lock is up to date."""
    entries = {entry_key(one): one for _, some in sections(lock.document) for one in some}
    keys = {one.key: one for one in needed}
    names = {(key.section, key.name) for key in entries}
    found: list[Shortfall] = []
    for key, one in keys.items():
        entry = entries.get(key)
        if entry is None:
            known = (key.section, key.name) in names
            found.append(Shortfall(name=wanted_label(one), what="moved since it was locked" if known else "not locked"))
        elif not entry.intact:
            found.append(Shortfall(name=wanted_label(one), what="its entry was edited"))
        elif isinstance(entry, LockedSplit) and changed_rows(entry, files):
            found.append(Shortfall(name=wanted_label(one), what=f"`{entry.source.path}` changed since it was locked"))
    wanted_names = {(key.section, key.name) for key in keys}
    for key, entry in entries.items():
        if key not in keys and (key.section, key.name) not in wanted_names:
            found.append(Shortfall(name=entry_label(entry), what="locked, and nothing needs it any more"))
    return found


def changed_rows(entry: LockedSplit, files: Reader) -> bool:
    """Whether a file of the project is another one than was locked."""
    if entry.source.path is None:
        return False
    fact = files.fact(entry.source.path)
    return fact is None or fact.digest != entry.sha256


def wanted_label(one: Wanted) -> str:
    """What people call it in a list: a dataset with its split."""
    return f"{one.resource} {one.split}" if isinstance(one, WantedSplit) else one.key.name


def entry_label(entry: SealedEntry) -> str:
    return f"{entry.resource} {entry.split}" if isinstance(entry, LockedSplit) else entry_name(entry)


def _models(graph: ResourceGraph) -> Iterator[WantedModel]:
    for node, model in graph.of(Model):
        source = model.spec.from_.remote
        if source is not None:
            yield WantedModel(resource=node.id, source=source)


def _splits(graph: ResourceGraph) -> Iterator[WantedSplit]:
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            yield WantedSplit(resource=node.id, split=name, source=rows_source(split))


def _images(graph: ResourceGraph) -> Iterator[str]:
    """As they are written: the graph itself has them with the digests of the lock."""
    for part in ("runtime", "engine"):
        yield from _written(graph.environment_node, "spec", "images", part)
    for engine in _engines(graph):
        if engine.container is not None:
            yield engine.container.image


def _written(node: ResourceNode, *path: str) -> Iterator[str]:
    here: object = node.document
    for part in path:
        here = here.get(part) if isinstance(here, LocatedMapping) else None
    if isinstance(here, str):
        yield here


def _engines(graph: ResourceGraph) -> Iterator[Engine]:
    for _, service in graph.of(Service):
        yield service.spec.engine
    for _, evaluation in graph.of(Evaluation):
        yield evaluation.spec.subject.engine


def _versions(graph: ResourceGraph, pins: Mapping[str, str]) -> Iterator[WantedVersions]:
    for engine in _engines(graph):
        found = dict(_engine_versions(engine, pins))
        if found:
            yield WantedVersions(section="engines", name=engine.name, versions=tuple(sorted(found.items())))
    for name in _plugins(graph):
        library = _PLUGINS[name]
        if library in pins:
            yield WantedVersions(section="plugins", name=library, versions=((library, pins[library]),))


def _engine_versions(engine: Engine, pins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if engine.transformers is not None:
        yield from ((library, pins[library]) for library in ENGINE)
    for name, chosen in (("vllm", engine.vllm), ("sglang", engine.sglang), ("triton", engine.triton)):
        if chosen is not None:
            yield name, chosen.version
    if engine.triton is not None:
        yield engine.triton.backend, engine.triton.backend_version


def _plugins(graph: ResourceGraph) -> Iterator[str]:
    for _, guardrail in graph.of(Guardrail):
        if any(one.guardrails_ai is not None for one in (*guardrail.spec.input, *guardrail.spec.output)):
            yield "guardrailsAi"
    if graph.environment.spec.tracking is not None:
        yield "mlflow"


def _text(source: SpecModel) -> str:
    return _json(source.model_dump(by_alias=True, mode="json", exclude_defaults=True))


def _json(value: Json) -> str:
    return canonical(value).decode()
