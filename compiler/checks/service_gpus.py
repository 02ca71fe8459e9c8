"""The GPUs that a service names, as the catalogue knows them.

Reports `unknown-gpu`, `missing-gpu`; the rest is shared by the checks that do arithmetic with a card.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import MISSING_GPU, UNKNOWN_GPU
from compiler.diagnostics.model import Diagnostic
from compiler.diagnostics.suggestions import did_you_mean, nearest
from compiler.graph import ResourceGraph, ResourceNode
from compiler.sizing.gpus import Gpu as Card
from compiler.sizing.gpus import all_gpus, find_gpu, gpus_named
from compiler.source import Span
from llmops_spec.gpu import Gpu
from llmops_spec.model import Model
from llmops_spec.service import Service
from llmops_spec.training import Training

ON_GPUS = ("vllm", "sglang", "triton")


def gpus_of(service: Service) -> list[Card]:
    """The cards that will do, each of which must; those that the catalogue does not know are reported elsewhere."""
    if service.spec.gpu is None:
        return []
    return [card for one in gpu_types(service.spec.gpu) if (card := find_gpu(one)) is not None]


def gpu_types(gpu: Gpu) -> list[str]:
    """The names as they are written."""
    return [gpu.type] if isinstance(gpu.type, str) else gpu.type


def ranks_are_served(service: Service) -> bool:
    """Whether a replica has a GPU for each of its ranks. Where not, `gpus-and-ranks` says so, and no size is told."""
    spec = service.spec
    ranks = spec.parallelism.ranks if spec.parallelism is not None else 1
    return spec.gpu is not None and ranks == spec.gpu.count * spec.nodes


def type_place(node: ResourceNode, gpu: Gpu, card: Card) -> Span:
    """Where that card is named."""
    index = next((number for number, one in enumerate(gpu_types(gpu)) if find_gpu(one) == card), 0)
    return node.span("spec", "gpu", "type", *(() if isinstance(gpu.type, str) else (index,)))


def gpus_are_known(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for name, place in _named_gpus(graph):
        if find_gpu(name) is not None:
            continue
        meant = gpus_named(name)
        if meant:
            listed = " or ".join(f"`{one.name}`" for one in meant)
            yield UNKNOWN_GPU.at(place, f"`{name}` is several cards, of different memory", help=f"write {listed}")
        else:
            yield UNKNOWN_GPU.at(
                place,
                f"`{name}` is no GPU of the catalogue",
                note="its memory and what it computes in are not known, so nothing can be said of what fits on it",
                help=did_you_mean(name, near)
                if (near := nearest(name, [one.name for one in all_gpus()]))
                else "`llmops size model … --search` lists cards by their names",
            )


def _named_gpus(graph: ResourceGraph) -> Iterator[tuple[str, Span]]:
    for node, service in graph.of(Service):
        if service.spec.gpu is not None:
            yield from _places(node, service.spec.gpu, "spec", "gpu", "type")
    for node, training in graph.of(Training):
        if training.spec.distribution is not None:
            yield from _places(node, training.spec.distribution.gpu, "spec", "distribution", "gpu", "type")
    for index, pool in enumerate(graph.environment.spec.gpu_pools):
        yield pool.gpu, graph.environment_node.span("spec", "gpuPools", index, "gpu")


def _places(node: ResourceNode, gpu: Gpu, *path: str) -> Iterator[tuple[str, Span]]:
    if isinstance(gpu.type, str):
        yield gpu.type, node.span(*path)
        return
    for index, name in enumerate(gpu.type):
        yield name, node.span(*path, index)


def gpu_engines_have_a_gpu(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        name, model = service.spec.engine.name, graph.get(Model, service.spec.model)
        hosted = model is not None and model.spec.from_.hosted is not None  # `hosted-mismatch` says so
        if name in ON_GPUS and service.spec.gpu is None and not hosted:
            yield MISSING_GPU.at(
                node.key_span("spec", "engine", name),
                f"engine `{name}` needs a GPU, and service `{node.name}` asks for none",
                help=f"add `gpu: {{type: …, count: {_gpus_of_a_pod(service)}}}`;"
                " `llmops size model … --search` lists what fits",
            )


def _gpus_of_a_pod(service: Service) -> int:
    axes = service.spec.parallelism
    return -(-axes.ranks // service.spec.nodes) if axes is not None else 1


CHECKS = (
    GraphCheck(name="gpu-known", ask=gpus_are_known),
    GraphCheck(name="gpu-asked", ask=gpu_engines_have_a_gpu),
)
