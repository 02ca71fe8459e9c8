"""The resource graph of one environment: typed resources, the references between them, and where all of it stands.

Built by the `resolve` pass, read by every later pass, by checks, policies and back ends. Immutable.
A *poisoned* node is a document that failed to type: its kind and name are known and its content is not,
so whatever would be computed from it stays silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NewType, TypeVar, cast

from compiler.lockfile import Lock
from compiler.source import LocatedMapping, Span, child
from llmops_spec.base import Resource
from llmops_spec.environment import Environment
from llmops_spec.project import Project

ResourceId = NewType("ResourceId", str)  # "dataset/support-chats"; lower-case kind, then name

R = TypeVar("R", bound=Resource)


def resource_id(kind: str, name: str) -> ResourceId:
    return ResourceId(f"{kind.lower()}/{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """A reference from one resource to another."""

    path: tuple[str | int, ...]
    """Where in the document the name stands, such as `("spec", "gates", 0)`."""
    kind: str
    name: str
    span: Span

    @property
    def target(self) -> ResourceId:
        return resource_id(self.kind, self.name)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ResourceNode:
    """One document in one environment, overlay applied."""

    kind: str
    name: str
    resource: Resource | None
    """None where the node is poisoned."""
    document: LocatedMapping
    """The tree as written, camelCase keys, with spans."""
    edges: tuple[Edge, ...] = ()

    @property
    def id(self) -> ResourceId:
        return resource_id(self.kind, self.name)

    def span(self, *path: str | int) -> Span:
        """Where the value at `path` stands: `span("spec", "gates", 0)`. Keys are camelCase, as written.

        Where the path is not written (a default), the nearest written parent's key, or the document's name.
        """
        return locate(self.document, path)

    def key_span(self, *path: str | int) -> Span:
        """Where the key at the end of `path` stands."""
        return locate_key(self.document, path)

    def has(self, *path: str | int) -> bool:
        """Whether something is written at `path`."""
        return _written_depth(self.document, path) == len(path)


def locate(document: LocatedMapping, path: tuple[str | int, ...]) -> Span:
    """The span of the value at `path`, or of the nearest written key above it."""
    here: object = document
    best = _headline(document)
    for depth, part in enumerate(path):
        found = child(here, part)
        if found is None:
            return best
        best = found[1]
        if depth < len(path) - 1 and isinstance(here, LocatedMapping) and isinstance(part, str):
            best = here.key_spans[part]
        here = found[0]
    return best


def locate_key(document: LocatedMapping, path: tuple[str | int, ...]) -> Span:
    """The span of the key that `path` ends with; for a list item, of the item."""
    here: object = document
    for part in path[:-1]:
        found = child(here, part)
        here = found[0] if found else None
    last = path[-1] if path else None
    if isinstance(here, LocatedMapping) and isinstance(last, str) and last in here:
        return here.key_spans[last]
    return locate(document, path)


def _headline(document: LocatedMapping) -> Span:
    """What stands for a whole document: its name, else its kind, else its first line."""
    metadata = document.get("metadata")
    if isinstance(metadata, LocatedMapping) and "name" in metadata:
        return metadata.value_spans["name"]
    return document.value_spans.get("kind", document.span)


def _written_depth(document: LocatedMapping, path: tuple[str | int, ...]) -> int:
    """How many steps of `path` are written."""
    here: object = document
    for depth, part in enumerate(path):
        found = child(here, part)
        if found is None:
            return depth
        here = found[0]
    return len(path)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResourceGraph:
    """Every resource of a project as one environment sees it."""

    project: Project
    environment: Environment
    environment_node: ResourceNode
    nodes: Mapping[ResourceId, ResourceNode]
    """Sorted by id. The project and the environments are among them."""
    lock: Lock = field(default_factory=Lock)
    """What remote things and data were when they were locked."""

    def of(self, kind: type[R]) -> Iterator[tuple[ResourceNode, R]]:
        """Sound resources of a kind with their nodes, sorted by name."""
        for node in self.nodes.values():
            if isinstance(node.resource, kind):
                yield node, node.resource

    def get(self, kind: type[R], name: str | None) -> R | None:
        """The named resource; None where it is missing or poisoned, both of which are reported elsewhere."""
        node = self.node(kind, name)
        return cast("R | None", node.resource) if node else None

    def node(self, kind: type[Resource], name: str | None) -> ResourceNode | None:
        return self.nodes.get(resource_id(kind.KIND, name)) if name is not None else None

    def dangles(self, node: ResourceNode, *path: str) -> bool:
        """Whether a name written below `path` is no resource's: that is reported, and nothing is concluded from it."""
        return any(edge.path[: len(path)] == path and edge.target not in self.nodes for edge in node.edges)
