"""What a service asks of its engine, as the sizing arithmetic takes it.

Shared by the checks of memory, parallelism and number formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias
from weakref import WeakKeyDictionary

from compiler.checks.engine_facts import engine_version
from compiler.checks.model_facts import ModelFacts, model_facts
from compiler.checks.service_gpus import gpus_of
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import context_length
from compiler.ports import Reader
from compiler.sizing.gpus import Gpu
from compiler.sizing.serving import LoraSlots, ServingRequest
from llmops_spec.model import Model
from llmops_spec.service import Service, ServiceSpec


def requests_of(
    graph: ResourceGraph, files: Reader
) -> Iterator[tuple[ResourceNode, Service, ModelFacts, ServingRequest]]:
    """Each service on each card that will do, where engine, card and model are known."""
    kept = _KEPT.setdefault(graph, {})
    if files not in kept:
        kept[files] = tuple(_requests(graph, files))
    yield from kept[files]


_Request: TypeAlias = tuple[ResourceNode, Service, ModelFacts, ServingRequest]
_KEPT: WeakKeyDictionary[ResourceGraph, dict[Reader, tuple[_Request, ...]]] = WeakKeyDictionary()
"""Six checks ask the same of one graph."""


def _requests(graph: ResourceGraph, files: Reader) -> Iterator[_Request]:
    for node, service in graph.of(Service):
        engine, cards = engine_version(service.spec.engine), gpus_of(service)
        if engine is None or not cards:
            continue
        facts = model_facts(graph, files, service.spec.model)
        if not isinstance(facts, ModelFacts):
            continue
        for card in cards:
            yield node, service, facts, serving_request(graph, files, service.spec, facts, card)


def serving_request(
    graph: ResourceGraph, files: Reader, spec: ServiceSpec, facts: ModelFacts, card: Gpu
) -> ServingRequest:
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
        lora=_slots(graph, spec),
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


def _slots(graph: ResourceGraph, spec: ServiceSpec) -> LoraSlots | None:
    model = graph.get(Model, spec.model)
    if not spec.adapters and (model is None or model.spec.adapter_of is None):
        return None
    if spec.engine.vllm is not None:
        return LoraSlots(max_loras=spec.engine.vllm.max_loras, max_rank=spec.engine.vllm.max_lora_rank)
    sglang = spec.engine.sglang
    if sglang is None:
        return None
    return LoraSlots(max_loras=sglang.max_loras_per_batch, max_rank=sglang.max_lora_rank or LoraSlots().max_rank)
