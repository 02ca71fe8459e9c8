"""Apply one environment's overlay and bind every reference to the resource it names.

Called by `compiler.pipeline` after `parse`, once per environment. Pure. Reports `unknown-override`,
`unknown-reference`, `reference-cycle`, and what typing reports for documents that the overlay changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from compiler.diagnostics.catalogue import REFERENCE_CYCLE, UNKNOWN_OVERRIDE, UNKNOWN_REFERENCE
from compiler.diagnostics.model import Diagnostic, DiagnosticSink, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.documents import RawDocument, type_document
from compiler.graph import Edge, ResourceGraph, ResourceId, ResourceNode, locate_key, resource_id
from compiler.lockfile import Lock
from compiler.project import ParsedDocument, ParsedProject
from compiler.source import LocatedMapping, LocatedSequence, LocatedValue, Span
from compiler.spec_fields import EACH, FieldPath, reference_paths
from llmops_spec.environment import Environment, Images
from llmops_spec.kinds import KINDS


def resolve(parsed: ParsedProject, environment: str, sink: DiagnosticSink) -> ResourceGraph | None:
    """The graph of one environment; None where the environment itself failed to type."""
    own = parsed.documents[resource_id(Environment.KIND, environment)]
    if not isinstance(own.resource, Environment):
        return None
    patches = _patches(own, parsed, sink)
    nodes = {one: _node(document, patches.get(one), sink) for one, document in parsed.documents.items()}
    _report_unknown(nodes, parsed, sink)
    _report_cycles(nodes, sink)
    pinned = _with_pinned_images(nodes[resource_id(Environment.KIND, environment)], own.resource, parsed.lock)
    return ResourceGraph(
        project=parsed.project,
        environment=pinned[1],
        environment_node=pinned[0],
        nodes={**nodes, pinned[0].id: pinned[0]},
        lock=parsed.lock,
    )


def _with_pinned_images(node: ResourceNode, own: Environment, lock: Lock) -> tuple[ResourceNode, Environment]:
    """An environment whose images are what the lock pins them to: from here on a locked tag is its digest."""
    images = own.spec.images
    if images is None:
        return node, own
    pinned = Images(runtime=lock.pinned(images.runtime), engine=lock.pinned(images.engine))
    changed = own.model_copy(update={"spec": own.spec.model_copy(update={"images": pinned})})
    return replace(node, resource=changed), changed


def merge(base: LocatedMapping, over: LocatedMapping) -> LocatedMapping:
    """`over` upon `base`: mappings merge key by key, anything else replaces. Every value keeps its own place."""
    merged = LocatedMapping(base.span)
    for source in (base, over):
        for key, value in source.items():
            old = merged.get(key)
            both = isinstance(old, LocatedMapping) and isinstance(value, LocatedMapping)
            merged[key] = merge(old, value) if both else value  # pyright: ignore[reportArgumentType]  # both says so
            merged.key_spans[key] = source.key_spans[key]
            merged.value_spans[key] = source.value_spans[key]
    return merged


def _patches(own: ParsedDocument, parsed: ParsedProject, sink: DiagnosticSink) -> dict[ResourceId, LocatedMapping]:
    """The overlay's parts by the resource that they change."""
    found: dict[ResourceId, LocatedMapping] = {}
    for kind, name, part in _written_overrides(own.raw.tree):
        path = ("spec", "overrides", kind)
        overridable = [one for one in KINDS if one not in ("Project", "Environment")]
        if kind not in overridable:
            place = locate_key(own.raw.tree, path)
            sink.add(UNKNOWN_OVERRIDE.at(place, f"`{kind}` cannot be overridden", help=did_you_mean(kind, overridable)))
        elif resource_id(kind, name) in parsed.documents:
            found[resource_id(kind, name)] = part
        elif not parsed.may_hold(kind):
            names = [one.raw.name for one in parsed.documents.values() if one.raw.kind == kind and one.raw.name]
            place = locate_key(own.raw.tree, (*path, name))
            said = f"{kind.lower()} `{name}` is not defined, so there is nothing to override"
            sink.add(UNKNOWN_OVERRIDE.at(place, said, help=did_you_mean(name, names)))
    return found


def _written_overrides(tree: LocatedMapping) -> Iterator[tuple[str, str, LocatedMapping]]:
    spec = tree.get("spec")
    kinds = spec.get("overrides") if isinstance(spec, LocatedMapping) else None
    for kind, names in kinds.items() if isinstance(kinds, LocatedMapping) else ():
        for name, part in names.items() if isinstance(names, LocatedMapping) else ():
            if isinstance(part, LocatedMapping):
                yield kind, name, part


def _node(document: ParsedDocument, patch: LocatedMapping | None, sink: DiagnosticSink) -> ResourceNode:
    raw, resource = document.raw, document.resource
    if patch is not None and resource is not None:
        raw = RawDocument(kind=raw.kind, name=raw.name, tree=_patched(raw.tree, patch))
        resource = type_document(raw, sink)
    assert raw.name is not None  # only named documents are kept by `parse`
    edges = tuple(_edges(raw)) if resource is not None else ()
    return ResourceNode(kind=raw.kind, name=raw.name, resource=resource, document=raw.tree, edges=edges)


def _patched(tree: LocatedMapping, patch: LocatedMapping) -> LocatedMapping:
    wrapper = LocatedMapping(patch.span)
    wrapper["spec"] = patch
    wrapper.key_spans["spec"] = wrapper.value_spans["spec"] = patch.span
    return merge(tree, wrapper)


def _edges(raw: RawDocument) -> Iterator[Edge]:
    for path, kind in reference_paths(KINDS[raw.kind]):
        for written, name, span in _values(raw.tree, path, (), raw.span):
            if isinstance(name, str):
                yield Edge(path=written, kind=kind, name=name, span=span)


def _values(
    here: LocatedValue, path: FieldPath, done: tuple[str | int, ...], span: Span
) -> Iterator[tuple[tuple[str | int, ...], LocatedValue, Span]]:
    """Every value that a path pattern meets, with the path as written."""
    if not path:
        yield done, here, span
    elif isinstance(here, LocatedSequence) and path[0] == EACH:
        for index, item in enumerate(here):
            yield from _values(item, path[1:], (*done, index), here.item_spans[index])
    elif isinstance(here, LocatedMapping):
        for key in here if path[0] == EACH else (path[0],):
            if key in here:
                yield from _values(here[key], path[1:], (*done, key), here.value_spans[key])


def _report_unknown(nodes: Mapping[ResourceId, ResourceNode], parsed: ParsedProject, sink: DiagnosticSink) -> None:
    for node in nodes.values():
        for edge in node.edges:
            if edge.target in nodes or parsed.may_hold(edge.kind):
                continue
            same_kind = {one.name: one for one in nodes.values() if one.kind == edge.kind}
            sink.add(
                UNKNOWN_REFERENCE.at(
                    edge.span,
                    f"{edge.kind.lower()} `{edge.name}` is not defined",
                    label="named here",
                    help=did_you_mean(edge.name, same_kind) or f"define a document of kind `{edge.kind}`",
                )
            )


def _report_cycles(nodes: Mapping[ResourceId, ResourceNode], sink: DiagnosticSink) -> None:
    """Report each cycle once, at the reference that closes it. Depth first, without recursion."""
    finished: set[ResourceId] = set()
    for start in nodes:
        trail: list[tuple[ResourceNode, Iterator[Edge]]] = []
        on_trail: set[ResourceId] = set()
        entering: ResourceId | None = start
        while entering is not None or trail:
            if entering is not None:
                node = nodes[entering]
                trail.append((node, iter(node.edges)))
                on_trail.add(entering)
                entering = None
            node, edges = trail[-1]
            edge = next(edges, None)
            if edge is None:
                trail.pop()
                on_trail.discard(node.id)
                finished.add(node.id)
            elif edge.target in on_trail:
                sink.add(_cycle([one for one, _ in trail], edge))
            elif edge.target in nodes and edge.target not in finished:
                entering = edge.target


def _cycle(trail: list[ResourceNode], closing: Edge) -> Diagnostic:
    ids = [node.id for node in trail]
    members = trail[ids.index(closing.target) :]
    round_trip = " -> ".join([*(f"{one.kind.lower()} `{one.name}`" for one in members), f"`{members[0].name}`"])
    return REFERENCE_CYCLE.at(
        closing.span,
        f"resources need each other in a circle: {round_trip}",
        related=[Label(span=one.span(), text="needed here") for one in members[:-1]],
        help="break the circle: something has to be made first",
    )
