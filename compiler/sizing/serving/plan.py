"""What a request comes to before any engine's rule: storage, parallelism, cache terms, and facts that are missing.

Called by the engines' rules. A fact that the estimate needs and the request does not hold is named, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from compiler.sizing.architecture import Architecture
from compiler.sizing.budget import LineItem, Provenance, Setting
from compiler.sizing.engines import EngineVersion
from compiler.sizing.formats import DTYPE_BYTES, PLAIN, format_of, named_format
from compiler.sizing.key_value import CacheTerms, kv_element_bytes
from compiler.sizing.layers import LatentCache, Part
from compiler.sizing.serving.request import LoraSlots, ServingRequest
from compiler.sizing.weights import Parallel, Stage, Storage, stage_bytes, stages

_ACCEPTED: Final = (0.9, 1.4)
"""A checkpoint's byte count is taken for exact where it is within these factors of the formula. Below, tensors are
shared or left out; above, the checkpoint holds another precision than is loaded."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with what follows from it for every engine."""

    request: ServingRequest
    engine: EngineVersion
    total_bytes: int
    storage: Storage
    parallel: Parallel
    terms: CacheTerms
    stages: tuple[Stage, ...]
    settings: tuple[Setting, ...]
    missing: tuple[str, ...]

    @property
    def architecture(self) -> Architecture:
        """The model."""
        return self.request.architecture

    def setting(self, name: str) -> float | int | str | None:
        """The value of a setting, given or by default."""
        return next((one.value for one in self.settings if one.name == name), None)


def plan_of(request: ServingRequest, engine: EngineVersion) -> Plan:
    """The parts of a request that no engine's rule decides."""
    missing = list(request.architecture.missing)
    model_bytes = _model_bytes(request, missing)
    storage = _storage(request, model_bytes, missing)
    element = kv_element_bytes(request.kv_cache_dtype, model_bytes)
    if element is None:
        missing.append("kv_cache_dtype")
    if not request.architecture.layers and not missing:
        missing.append("num_hidden_layers")
    tensor = max(1, request.tensor_parallel)
    return Plan(
        request=request,
        engine=engine,
        total_bytes=request.gpu_memory_bytes or request.gpu.visible_bytes,
        storage=storage,
        parallel=Parallel(
            tensor=tensor,
            pipeline=max(1, request.pipeline_parallel),
            experts=request.expert_parallel,
            data_attention=request.data_parallel_attention,
        ),
        terms=CacheTerms(
            tensor=1 if request.data_parallel_attention else tensor,
            element_bytes=element or float(model_bytes),
            model_bytes=model_bytes,
        ),
        stages=stages(request.architecture, max(1, request.pipeline_parallel)),
        settings=(),
        missing=tuple(dict.fromkeys(missing)),
    )


def weight_item(plan: Plan, stage: Stage) -> LineItem:
    """Weights of one rank. Exact where the checkpoint's byte count is known and one rank holds it all."""
    whole = Stage(start=0, stop=plan.architecture.layer_count, first=True, last=True)
    formula = stage_bytes(plan.architecture, stage, plan.parallel, plan.storage)
    known = plan.architecture.weight_bytes
    own = plan.request.quantization is None or _same_format(plan)
    if known is None or not own:
        return LineItem(name="weights", bytes=int(formula), provenance="derived", note=_weights_note(plan))
    total = stage_bytes(plan.architecture, whole, Parallel(), plan.storage)
    total += sum(matrix.parameters for matrix in plan.architecture.draft) * plan.storage.dtype_bytes
    ratio = known / total if total else 0.0
    if not _ACCEPTED[0] <= ratio <= _ACCEPTED[1]:
        return LineItem(name="weights", bytes=int(formula), provenance="derived", note=_weights_note(plan))
    draft = sum(matrix.parameters for matrix in plan.architecture.draft) * plan.storage.dtype_bytes
    spread = (known - total) / plan.parallel.gpus
    provenance: Provenance = "exact" if plan.parallel.gpus == 1 and not draft else "derived"
    return LineItem(
        name="weights",
        bytes=int(formula + spread),
        provenance=provenance,
        note=f"checkpoint of {known:,} bytes over {plan.parallel.gpus} GPU(s)",
    )


def rotary_bytes(plan: Plan) -> int:
    """The table of rotary positions that vLLM and its kin keep, one for the whole model."""
    architecture = plan.architecture
    positions = (architecture.max_positions or 0) * architecture.rope_factor
    return int(positions * architecture.head_dim * 2)


def absorbed_bytes(plan: Plan, stage: Stage) -> int:
    """MLA: 16-bit copies of the up-projections of keys and values that decoding multiplies with directly."""
    size = 0.0
    for layer, count in plan.architecture.stage(stage.start, stage.stop):
        if any(isinstance(cache, LatentCache) for cache in layer.caches):
            size += count * sum(m.parameters for m in layer.matrices if m.name.endswith("kv_b_proj"))
    return int(size * 2 / (1 if plan.parallel.data_attention else plan.parallel.tensor))


def lora_item(plan: Plan, slots: LoraSlots, stage: Stage) -> LineItem:
    """Slots for adapters: rank times inputs and outputs of each targeted module, 16 bits, outputs or inputs divided."""
    size = 0
    for layer, count in plan.architecture.stage(stage.start, stage.stop):
        for matrix in layer.matrices:
            if not matrix.linear or matrix.part not in (Part.ATTENTION, Part.MLP, Part.EXPERTS):
                continue
            leaf = matrix.name.rsplit(".", 1)[-1]
            if not slots.targets or leaf in slots.targets:
                size += count * matrix.copies * (matrix.inputs + matrix.outputs)
    total = slots.max_loras * slots.max_rank * size * 2 // plan.parallel.tensor
    return LineItem(
        name="LoRA slots",
        bytes=total,
        provenance="derived",
        note=f"{slots.max_loras} slot(s) of rank {slots.max_rank}",
    )


def draft_item(plan: Plan, draft: Architecture) -> LineItem:
    """A draft model beside the base, with the base's tensor parallelism."""
    request = replace(plan.request, architecture=draft, quantization=None, draft=None, pipeline_parallel=1)
    inner = plan_of(request, plan.engine)
    size = weight_item(inner, inner.stages[0]).bytes
    return LineItem(name="draft weights", bytes=size, provenance="derived", note=draft.name)


def _model_bytes(request: ServingRequest, missing: list[str]) -> int:
    name = (request.dtype or "auto").strip().casefold()
    if name in {"auto", ""}:
        name = (request.architecture.dtype or "").casefold()
        if name in {"", "float32"}:
            return 2  # engines load 32-bit checkpoints in 16 bits, and so where nothing is declared
    size = DTYPE_BYTES.get(name)
    if size is None and named_format(name) is None:
        missing.append("dtype")
    if size is None:
        return 2
    return max(2, size)


def _storage(request: ServingRequest, model_bytes: int, missing: list[str]) -> Storage:
    """How the weights are held: as the checkpoint stores them, unless another width of weights is asked for."""
    own = request.architecture.quantization
    asked = request.quantization
    if own is not None and _keeps_own(request):
        found = format_of(own) or (named_format(asked) if asked else None)
        if found is None:
            missing.append("quantization")
        return Storage(dtype_bytes=model_bytes, format=found or PLAIN, kept=own.kept, head=own.head)
    found = named_format(asked) or (named_format(request.dtype) if asked is None else None)
    if found is None and asked is not None:
        missing.append("quantization")
    return Storage(dtype_bytes=model_bytes, format=found or PLAIN)


def _keeps_own(request: ServingRequest) -> bool:
    """Whether the checkpoint's format stays: nothing else is asked for, or the same by another name (`awq_marlin`)."""
    own, asked = request.architecture.quantization, named_format(request.quantization)
    if own is None or request.quantization is None or asked is None:
        return own is not None
    stored = format_of(own)
    return stored is None or (asked is not PLAIN and asked.bits == stored.bits)


def _same_format(plan: Plan) -> bool:
    """Whether the format that was asked for is the checkpoint's own."""
    if plan.architecture.quantization is None:
        return named_format(plan.request.quantization) is PLAIN
    return _keeps_own(plan.request)


def _weights_note(plan: Plan) -> str:
    billions = plan.architecture.parameters / 1e9
    return f"{billions:.2f}B parameters, {plan.storage.format.name}, over {plan.parallel.gpus} GPU(s)"
