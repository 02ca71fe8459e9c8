"""What an expression sees: documents as JSON with camelCase keys and defaults filled in.

Called by `engine` with graph nodes and by `fixtures` with example documents, so both see the same shape.

- `resource`: the document; `related`: for each field that refers to others, the referred document, or a list of
  them where the field is a list or stands inside one (`related.model`, `related.gates`). Where two fields of a kind
  have one name, the inner one is named with what holds it: `related.prompt`, `related.stepsPrompt`;
- `environment`: the Environment document; `object`: one rendered object;
- `rendered`: every rendered object, by kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from compiler.graph import ResourceGraph, ResourceId, ResourceNode
from compiler.ports import KubernetesObject
from compiler.spec_fields import EACH, reference_paths
from llmops_spec.base import Resource
from llmops_spec.digests import Json
from llmops_spec.kinds import KINDS


def document_of(resource: Resource) -> dict[str, Json]:
    return resource.model_dump(mode="json", by_alias=True, exclude_none=True)


def related_of(node: ResourceNode, documents: Mapping[ResourceId, dict[str, Json]]) -> dict[str, Json] | None:
    """The documents that a node refers to; None where one of them is missing or failed to type."""
    related: dict[str, Any] = no_relations(node.kind)
    for edge in node.edges:
        target = documents.get(edge.target)
        if target is None:
            return None
        name = _names(node.kind)[_keys(edge.path)]
        if reference_fields(node.kind)[name]:
            related.setdefault(name, []).append(target)
        else:
            related[name] = target
    return related


def no_relations(kind: str) -> dict[str, Json]:
    """Empty lists for the list-like references of a kind, so that `related.gates` always is a list."""
    return {name: [] for name, many in reference_fields(kind).items() if many}


@cache
def reference_fields(kind: str) -> Mapping[str, bool]:
    """Names of a kind's reference fields, and whether each gives a list."""
    paths = sorted(path for path, _ in reference_paths(KINDS[kind]))
    named: dict[str, bool] = {}
    for path in paths:
        name = _names(kind)[_keys(path)]
        named[name] = named.get(name, False) or EACH in path
    return named


@cache
def _names(kind: str) -> Mapping[tuple[str, ...], str]:
    """The keys of a reference field to its name: the last key, with the one before it where another field has it."""
    every = sorted({_keys(path) for path, _ in reference_paths(KINDS[kind])}, key=lambda keys: (len(keys), keys))
    outer: dict[str, int] = {}
    for keys in every:
        outer.setdefault(keys[-1], len(keys))
    return {
        keys: keys[-1] if len(keys) == outer[keys[-1]] else f"{keys[-2]}{keys[-1][0].upper()}{keys[-1][1:]}"
        for keys in every
    }


def _keys(path: Iterable[str | int]) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str) and part != EACH)


def plain(value: object) -> Any:
    """A copy of exact dicts and lists: CEL takes no subclass of them, and no other mapping or sequence."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def rendered_of(objects: Iterable[KubernetesObject]) -> dict[str, Json]:
    by_kind: dict[str, list[Json]] = {}
    for one in objects:
        by_kind.setdefault(one.kind, []).append(plain(one.body))
    return {kind: by_kind[kind] for kind in sorted(by_kind)}


def environment_of(graph: ResourceGraph) -> dict[str, Json]:
    return document_of(graph.environment)
