"""Memory: a model with its cache fits on the GPUs that a service asks for, and a training on its own.

Reports `does-not-fit`, `marginal-fit`, `missing-facts`, `training-memory`. The arithmetic is `compiler.sizing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from compiler.checks.engine_facts import engine_version
from compiler.checks.model_facts import MissingFacts, ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.checks.service_gpus import gpu_types, gpus_of, ranks_are_served
from compiler.checks.service_requests import requests_of
from compiler.diagnostics.catalogue import DOES_NOT_FIT, MARGINAL_FIT, MISSING_FACTS, TRAINING_MEMORY
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.sizing.budget import GIB, ServingBudget
from compiler.sizing.gpus import Gpu, find_gpu
from compiler.sizing.legality import broken_rules
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.serving.suggestions import suggest
from compiler.sizing.training import TrainingRequest, size_training
from compiler.sizing.training_words import Sharding, read_optimizer
from llmops_spec.service import Service
from llmops_spec.training import Distribution, Training


def models_fit(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """One finding for a service: of several cards that will not do, the worst."""
    for _, asked in groupby(requests_of(graph, files), key=lambda one: one[0].id):
        sized = [(*one, size_serving(one[3])) for one in asked if _can_be_sized(one[1], one[3])]
        failing = [one for one in sized if one[-1].verdict != "fits"]
        if not failing:
            continue
        node, _, facts, request, budget = min(failing, key=lambda one: _badness(one[-1]))
        others: list[str] = [one[3].gpu.name for one in failing if one[3].gpu != request.gpu]
        yield _verdict(node, request, facts, budget, others)


def _can_be_sized(service: Service, request: ServingRequest) -> bool:
    """An unknown version, GPUs without a rank, and what cannot run anyhow are reported as that."""
    version = engine_version(service.spec.engine)
    known = version is not None and version.known and ranks_are_served(service)
    return known and not any(one.fatal for one in broken_rules(request))


def _badness(budget: ServingBudget) -> tuple[int, float]:
    return ("does-not-fit", "unknown", "marginal", "fits").index(budget.verdict), budget.headroom_bytes


def models_are_known(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        facts = model_facts(graph, files, service.spec.model)
        if isinstance(facts, MissingFacts) and gpus_of(service) and engine_version(service.spec.engine) is not None:
            yield _missing(node, facts.fact, facts.remedy)


def _missing(node: ResourceNode, fact: str, remedy: str) -> Diagnostic:
    return MISSING_FACTS.at(
        node.span("spec", "model"),
        f"whether service `{node.name}` fits on its GPUs cannot be said: of its model {fact} is not known",
        note="nothing is guessed, and nothing is promised",
        help=remedy,
    )


def _verdict(
    node: ResourceNode, request: ServingRequest, facts: ModelFacts, budget: ServingBudget, others: list[str]
) -> Diagnostic:
    if budget.verdict == "unknown":
        listed = ", ".join(f"`{one}`" for one in budget.missing)
        return _missing(node, listed, f"complete its `config.json`: what is known comes from {facts.origin}")
    declared = DOES_NOT_FIT if budget.verdict == "does-not-fit" else MARGINAL_FIT
    where = f"{budget.gpus} × {request.gpu.name}" if budget.gpus > 1 else f"one {request.gpu.name}"
    lacks = "does not fit" if budget.verdict == "does-not-fit" else "may or may not fit"
    length = "its own length" if request.max_model_len is None else f"{request.max_model_len} tokens"
    nor = f"\nnor on {' or '.join(others)}" if others else ""
    return declared.at(
        node.key_span("spec", "gpu"),
        f"model `{request.architecture.name}` with {length} {lacks} on {where}",
        label=_summary(budget),
        related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
        note="\n".join([_arithmetic(budget) + nor, *_beside_memory(budget)]),
        help=_smallest_change(request),
    )


def _smallest_change(request: ServingRequest) -> str:
    """The first change that was tried and fits; then what else would."""
    found = suggest(request)
    if not found:
        return "no single change makes it fit: use a smaller model, or more and larger GPUs"
    first, *others = [_WORDS[one.change].format(value=one.value) for one in found]
    return f"{first}; or {', or '.join(others)}" if others else first


_WORDS = {
    "max_num_seqs": "serve at most {value} sequences at once",
    "max_model_len": "serve at most {value} tokens",
    "kv_cache_dtype": "keep the cache in {value}",
    "tensor_parallel": "spread the model over {value} GPUs, in `gpu.count` and `parallelism.tensor`",
    "gpu": "use {value}",
}


def _beside_memory(budget: ServingBudget) -> tuple[str, ...]:
    """Why a model that has its margin is not said to fit."""
    return budget.reasons if budget.headroom_bytes >= budget.margin_bytes else ()


def _summary(budget: ServingBudget) -> str:
    short = -budget.headroom_bytes / GIB
    return f"{short:.2f} GiB too little on each" if short > 0 else f"{-short:.2f} GiB to spare on each"


def _arithmetic(budget: ServingBudget) -> str:
    """The budget of one GPU as a sum, then what one sequence needs of the rest."""
    parts = " - ".join(f"{item.bytes / GIB:.2f} {item.name}" for item in budget.items if item.bytes)
    pool, needed, margin = (one / GIB for one in (budget.pool_bytes, budget.needed_bytes, budget.margin_bytes))
    return (
        f"{budget.budget_bytes / GIB:.2f} GiB on each GPU - {parts} = {pool:.2f} for the key-value cache\n"
        f"one sequence of the declared length needs {needed:.2f}; the estimate is good to {margin:.2f} GiB"
    )


def trainings_fit(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, training in graph.of(Training):
        distribution = training.spec.distribution
        facts = model_facts(graph, files, training.spec.base)
        if distribution is None or not isinstance(facts, ModelFacts) or facts.architecture.missing:
            continue
        for name in gpu_types(distribution.gpu):
            card = find_gpu(name)
            if card is not None:
                yield from _training_verdict(node, training, distribution, facts, card)


def _training_verdict(
    node: ResourceNode, training: Training, distribution: Distribution, facts: ModelFacts, card: Gpu
) -> Iterator[Diagnostic]:
    optimizer = read_optimizer(distribution.optimizer)
    assert optimizer is not None  # the schema's words are among those that sizing reads
    estimate = size_training(
        TrainingRequest(
            architecture=facts.architecture,
            method=training.spec.method,
            sequence_length=training.spec.hyper_parameters.sequence_length,
            micro_batch=distribution.micro_batch_size,
            optimizer=optimizer,
            checkpointing="full" if distribution.gradient_checkpointing else "none",
            sharding=Sharding(shards=distribution.sharding, offload=distribution.offload),
            gpus=distribution.gpu.count,
            lora_rank=training.spec.lora.rank if training.spec.lora is not None else None,
            quantization="nf4" if training.spec.method == "qlora" else None,
        )
    )
    if estimate.low_bytes <= card.visible_bytes:
        return
    parts = " + ".join(f"{item.bytes / GIB:.1f} {item.name}" for item in estimate.items)
    yield TRAINING_MEMORY.at(
        node.key_span("spec", "distribution", "gpu"),
        f"training `{node.name}` is likely to need {estimate.low_bytes / GIB:.0f} to"
        f" {estimate.high_bytes / GIB:.0f} GiB on each GPU, and {card.name} has {card.visible_bytes / GIB:.1f}",
        related=[Label(span=node.span("spec", "base"), text=f"from {facts.origin}")],
        note=f"{parts} = {estimate.peak_bytes / GIB:.1f} GiB, good to 25 % either way; the largest part is"
        f" {estimate.dominant}",
        help="a warning only: measure it, or lower `microBatchSize` or `sequenceLength`, shard over more GPUs, or train"
        " an adapter",
    )


CHECKS = (
    FileCheck(name="serving-memory", ask=models_fit),
    FileCheck(name="serving-facts", ask=models_are_known),
    FileCheck(name="training-memory", ask=trainings_fit),
)
