"""Parallelism: a model's parts can be dealt out over the ranks that a service declares.

Reports `uneven-shards`, `expert-ranks`, `empty-stages`. The rules are those of `compiler.sizing.legality`; how many
ranks there are GPUs for is a question of placement.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.question import FileCheck
from compiler.checks.service_requests import requests_of
from compiler.diagnostics.catalogue import EMPTY_STAGES, EXPERT_RANKS, UNEVEN_SHARDS
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph
from compiler.ports import Reader
from compiler.sizing.architecture import Architecture
from compiler.sizing.legality import (
    enough_layers,
    heads_divisible,
    intermediate_divisible,
    key_value_heads_divisible,
    shard_divisible_by_block,
    vocabulary_divisible,
)
from compiler.sizing.serving import ServingRequest

SHARDS = (
    heads_divisible,
    key_value_heads_divisible,
    intermediate_divisible,
    vocabulary_divisible,
    shard_divisible_by_block,
)


def tensors_divide_evenly(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service, facts, request in requests_of(graph, files):
        broken = [one for rule in SHARDS for one in rule(request) if one.fatal]
        if not broken:
            continue
        fitting = [ranks for ranks in (1, 2, 4, 8, 16) if not _broken_at(request, ranks)] or [1]
        yield UNEVEN_SHARDS.at(
            node.span("spec", "parallelism", "tensor"),
            f"model `{service.spec.model}` cannot be split over {request.tensor_parallel} GPUs",
            related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
            note="\n".join(one.text for one in broken),
            help=f"set `tensor` to {' or '.join(map(str, fitting))}, with as many GPUs",
        )


def _broken_at(request: ServingRequest, ranks: int) -> bool:
    from dataclasses import replace

    tried = replace(request, tensor_parallel=ranks)
    return any(one.fatal for rule in SHARDS for one in rule(tried))


def experts_are_dealt_out(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service, facts, request in requests_of(graph, files):
        axes = service.spec.parallelism
        if axes is None or axes.expert == 1:
            continue
        said = _misdealt(request.architecture, axes.expert, axes.tensor * axes.data)
        if said is not None:
            yield EXPERT_RANKS.at(
                node.span("spec", "parallelism", "expert"),
                f"the experts of model `{service.spec.model}` cannot be dealt out over {axes.expert} GPUs",
                related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
                note=said,
                help=f"set `expert: {axes.tensor * axes.data}`, or remove it"
                if request.architecture.experts and request.architecture.experts % (axes.tensor * axes.data) == 0
                else "remove `expert`",
            )


def _misdealt(architecture: Architecture, ranks: int, others: int) -> str | None:
    """Why experts do not lie on so many ranks; None where they do."""
    if not architecture.experts:
        return "the model has no experts: each of its layers is one"
    if ranks != others:
        return f"experts lie on the ranks of the other axes: tensor × data = {others}, not {ranks}"
    left = architecture.experts % ranks
    return f"{architecture.experts} experts by {ranks} ranks leave {left}" if left else None


def stages_have_layers(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service, facts, request in requests_of(graph, files):
        for broken in enough_layers(request):
            yield EMPTY_STAGES.at(
                node.span("spec", "parallelism", "pipeline"),
                f"model `{service.spec.model}` has fewer layers than its pipeline has stages",
                related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
                note=broken.text,
                help=f"use at most {request.architecture.layer_count} stages",
            )


CHECKS = (
    FileCheck(name="tensor-parallel", ask=tensors_divide_evenly),
    FileCheck(name="expert-parallel", ask=experts_are_dealt_out),
    FileCheck(name="pipeline-parallel", ask=stages_have_layers),
)
