"""Make the graph concrete for its target: steps with keys, jobs, standing objects.

Called by `compiler.pipeline` after `check`. Reports `unsupported-field` for what the target cannot honour;
only a sound graph is lowered.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    made = make_artifacts(graph, facts, files)
    lowered = backend.lower(graph, made)
    notes = sorted({*lowered.notes, *_trivial_notes(graph, backend)})
    return Lowered(steps=lowered.steps, jobs=lowered.jobs, standing=lowered.standing, notes=tuple(notes))


def _report_unsupported(graph: ResourceGraph, backend: Backend, sink: DiagnosticSink) -> None:
    for node, path, field, ability in _stated(graph, backend):
        if ability.ability is Ability.UNSUPPORTED:
            said = f"target `{backend.target}` does not honour `{field}`"
            sink.add(UNSUPPORTED_FIELD.at(node.key_span(*path), said, note=ability.reason, help="remove the field"))


def _trivial_notes(graph: ResourceGraph, backend: Backend) -> Iterator[str]:
    for node, _, field, ability in _stated(graph, backend):
        if ability.ability is Ability.SATISFIED_TRIVIALLY:
            yield f"{node.kind.lower()} {node.name}: `{field}` is satisfied trivially: {ability.reason}"


def _stated(
    graph: ResourceGraph, backend: Backend
) -> Iterator[tuple[ResourceNode, tuple[str | int, ...], str, FieldAbility]]:
    """Every written field of which the target says more than that it is honoured."""
    abilities = backend.abilities()
    for node in graph.nodes.values():
        if node.resource is None or (node.kind == "Environment" and node is not graph.environment_node):
            continue
        for path in _written(node.document, ()):
            field = ".".join(str(part) for part in path if isinstance(part, str))
            if (ability := abilities.get(f"{node.kind}.{field}")) is not None:
                yield node, path, field, ability


def _written(value: LocatedValue, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, LocatedMapping):
        for key, inner in value.items():
            yield from _written(inner, (*path, key))
    elif isinstance(value, LocatedSequence):
        for index, inner in enumerate(value):
            yield from _written(inner, (*path, index))
