"""Memory: a model with its cache fits on the GPUs that a service asks for, and a training on its own.

Reports `does-not-fit`, `marginal-fit`, `missing-facts`, `training-memory`. The arithmetic is `compiler.sizing`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.engine_facts import engine_version
from compiler.checks.model_facts import MissingFacts, ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.checks.service_gpus import gpu_types, gpus_of
from compiler.diagnostics.catalogue import DOES_NOT_FIT, MARGINAL_FIT, MISSING_FACTS, TRAINING_MEMORY
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import context_length
from compiler.ports import Reader
from compiler.sizing.budget import GIB, ServingBudget
from compiler.sizing.gpus import Gpu, find_gpu
from compiler.sizing.serving import LoraSlots, ServingRequest, size_serving
from compiler.sizing.training import TrainingRequest, size_training
from compiler.sizing.training_words import Sharding, read_optimizer
from llmops_spec.service import Service, ServiceSpec
from llmops_spec.training import Distribution, Training


def models_fit(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        spec = service.spec
        engine = engine_version(spec.engine)
        cards = gpus_of(service)
        if engine is None or not engine.known or not cards:
            continue
        facts = model_facts(graph, files, spec.model)
        if isinstance(facts, MissingFacts):
            yield _missing(node, facts.fact, facts.remedy)
        if not isinstance(facts, ModelFacts):
            continue
        for card in cards:
            request = _request(graph, files, spec, facts, card)
            yield from _verdict(node, request, facts, size_serving(request))


def _missing(node: ResourceNode, fact: str, remedy: str) -> Diagnostic:
    return MISSING_FACTS.at(
        node.span("spec", "model"),
        f"whether service `{node.name}` fits on its GPUs cannot be said: of its model {fact} is not known",
        note="nothing is guessed, and nothing is promised",
        help=remedy,
    )


def _request(graph: ResourceGraph, files: Reader, spec: ServiceSpec, facts: ModelFacts, card: Gpu) -> ServingRequest:
    """What the service asks of its engine. A length beyond the model's own is reported elsewhere, and sized as that."""
    engine, axes = spec.engine, spec.parallelism
    version = engine_version(engine)
    assert version is not None  # asked for by the caller
    own = context_length(graph, spec.model) or facts.architecture.max_positions
    asked = engine.max_length
    draft = engine.vllm.draft_model if engine.vllm is not None else None
    drafted = model_facts(graph, files, draft)
    told = engine.vllm or engine.sglang or engine.triton
    assert told is not None  # every engine with a version is one of these
    return ServingRequest(
        architecture=facts.architecture,
        gpu=card,
        engine=version.engine,
        engine_version=version.version,
        tensor_parallel=axes.tensor if axes is not None else 1,
        pipeline_parallel=axes.pipeline if axes is not None else 1,
        expert_parallel=axes is not None and axes.expert > 1,
        data_parallel_attention=axes is not None and axes.data > 1 and facts.architecture.latent,
        dtype=told.dtype,
        quantization=told.quantization,
        kv_cache_dtype=told.kv_cache_dtype,
        max_model_len=min(asked, own) if asked is not None and own is not None else asked or own,
        max_num_seqs=_sequences(spec),
        max_num_batched_tokens=engine.vllm.max_num_batched_tokens if engine.vllm is not None else None,
        gpu_memory_utilisation=_share(spec),
        enforce_eager=engine.vllm is not None and engine.vllm.enforce_eager,
        lora=_slots(spec),
        draft=drafted.architecture if isinstance(drafted, ModelFacts) else None,
    )


def _sequences(spec: ServiceSpec) -> int | None:
    engine = spec.engine
    if engine.vllm is not None:
        return engine.vllm.max_num_seqs
    if engine.sglang is not None:
        return engine.sglang.max_running_requests
    return engine.triton.max_batch_size if engine.triton is not None else None


def _share(spec: ServiceSpec) -> float | None:
    engine = spec.engine
    if engine.vllm is not None:
        return engine.vllm.gpu_memory_utilization
    if engine.sglang is not None:
        return engine.sglang.mem_fraction_static
    return engine.triton.gpu_memory_fraction if engine.triton is not None else None


def _slots(spec: ServiceSpec) -> LoraSlots | None:
    if not spec.adapters:
        return None
    if spec.engine.vllm is not None:
        return LoraSlots(max_loras=spec.engine.vllm.max_loras, max_rank=spec.engine.vllm.max_lora_rank)
    sglang = spec.engine.sglang
    if sglang is None:
        return None
    return LoraSlots(max_loras=sglang.max_loras_per_batch, max_rank=sglang.max_lora_rank or LoraSlots().max_rank)


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
        help="see `llmops size model`",
    )


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
    FileCheck(name="training-memory", ask=trainings_fit),
)
