"""Memory: a model with its cache fits on the GPUs that a service asks for, and a training on its own.

Reports `does-not-fit`, `marginal-fit`, `missing-facts`, `training-memory`. The arithmetic is `compiler.sizing`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.engine_facts import engine_version
from compiler.checks.model_facts import MissingFacts, ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.checks.service_gpus import gpu_types, gpus_of
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
    for node, service, facts, request in requests_of(graph, files):
        version = engine_version(service.spec.engine)
        if version is None or not version.known or any(one.fatal for one in broken_rules(request)):
            continue  # an unknown version, or what cannot run anyhow, is reported as that
        yield from _verdict(node, request, facts, size_serving(request))


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
    node: ResourceNode, request: ServingRequest, facts: ModelFacts, budget: ServingBudget
) -> Iterator[Diagnostic]:
    if budget.verdict == "fits":
        return
    if budget.verdict == "unknown":
        listed = ", ".join(f"`{one}`" for one in budget.missing)
        yield _missing(node, listed, "run `llmops lock`, or complete its `config.json`")
        return
    declared = DOES_NOT_FIT if budget.verdict == "does-not-fit" else MARGINAL_FIT
    where = f"{budget.gpus} × {request.gpu.name}" if budget.gpus > 1 else f"one {request.gpu.name}"
    lacks = "does not fit" if budget.verdict == "does-not-fit" else "may or may not fit"
    yield declared.at(
        node.key_span("spec", "gpu"),
        f"model `{request.architecture.name}` with {request.max_model_len} tokens {lacks} on {where}",
        label=_summary(budget),
        related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
        note=_arithmetic(budget),
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
    "tensor_parallel": "spread the model over {value} GPUs",
    "gpu": "use {value}",
}


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
