"""Make the graph concrete for its target: steps with keys, jobs, standing objects.

Called by `compiler.pipeline` after `check`. Reports `unsupported-field` for what the target cannot honour;
only a sound graph is lowered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.artifacts import make_artifacts
from compiler.diagnostics.catalogue import UNSUPPORTED_FIELD
from compiler.diagnostics.model import DiagnosticSink
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Ability, Backend, Facts, FieldAbility, Lowered, Reader
from compiler.source import LocatedMapping, LocatedSequence, LocatedValue


def lower(graph: ResourceGraph, backend: Backend, facts: Facts, files: Reader, sink: DiagnosticSink) -> Lowered | None:
    """Steps and objects of one environment; None where anything before, or the target, refuses."""
    _report_unsupported(graph, backend, sink)
    if sink.has_errors:
        return None
    lowered = backend.lower(graph, lambda: make_artifacts(graph, facts, files))
    notes = sorted({*lowered.notes, *_trivial_notes(graph, backend)})
    return Lowered(steps=lowered.steps, jobs=lowered.jobs, standing=lowered.standing, notes=tuple(notes))


def _report_unsupported(graph: ResourceGraph, backend: Backend, sink: DiagnosticSink) -> None:
    for one in stated_fields(graph, backend):
        if one.ability.ability is Ability.UNSUPPORTED:
            said = f"target `{backend.target}` does not honour `{one.field}`"
            place = one.node.span(*one.path) if one.by_value else one.node.key_span(*one.path)
            advice = "choose another value" if one.by_value else "remove the field"
            sink.add(UNSUPPORTED_FIELD.at(place, said, note=one.ability.reason, help=advice))


def _trivial_notes(graph: ResourceGraph, backend: Backend) -> Iterator[str]:
    for one in stated_fields(graph, backend):
        if one.ability.ability is Ability.SATISFIED_TRIVIALLY:
            reason = one.ability.reason
            yield f"{one.node.kind.lower()} {one.node.name}: `{one.field}` is satisfied trivially: {reason}"


@dataclass(frozen=True, kw_only=True)
class StatedField:
    """A written field of which a target says more than that it is honoured."""

    node: ResourceNode
    path: tuple[str | int, ...]
    field: str
    """As a user writes it: `spec.replicas`, or `spec.method: dpo` where only that value is meant."""
    by_value: bool
    ability: FieldAbility


def stated_fields(graph: ResourceGraph, backend: Backend) -> Iterator[StatedField]:
    """In the order of the graph and of writing."""
    abilities = backend.abilities()
    for node in graph.nodes.values():
        if node.resource is None or (node.kind == "Environment" and node is not graph.environment_node):
            continue
        for path, value in _written(node.document, ()):
            field = ".".join(part for part in path if isinstance(part, str))
            ability = abilities.get(f"{node.kind}.{field}")
            if ability is not None and isinstance(path[-1], str):  # a list is stated once, not for each of its items
                yield StatedField(node=node, path=path, field=field, by_value=False, ability=ability)
            elif isinstance(value, str) and (ability := abilities.get(f"{node.kind}.{field}={value}")) is not None:
                said = f"{field}: {value}"
                yield StatedField(node=node, path=path, field=said, by_value=True, ability=ability)


def _written(value: LocatedValue, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], LocatedValue]]:
    if path:
        yield path, value
    if isinstance(value, LocatedMapping):
        for key, inner in value.items():
            yield from _written(inner, (*path, key))
    elif isinstance(value, LocatedSequence):
        for index, inner in enumerate(value):
            yield from _written(inner, (*path, index))
