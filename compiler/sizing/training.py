"""Peak GPU memory of a training: weights, gradients, optimizer, activations, logits, and what sharding leaves of them.

Called by `llmops size` and by checks, which warn and never refuse: an estimate is good for `UNCERTAINTY` either way.
Two moments can be the peak, and they are not simultaneous: the start of the backward pass, when all activations and the
logits live, and the optimizer's step, when all gradients do. Constants were fitted on public measurements
(`tests/unit/compiler/sizing/points/training.csv` names them and keeps part of them aside).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from compiler.sizing.activations import (
    all_layers_bytes,
    checkpoint_bytes,
    largest_layer_bytes,
    score_bytes,
)
from compiler.sizing.architecture import Architecture
from compiler.sizing.budget import LineItem, Provenance
from compiler.sizing.layers import Part
from compiler.sizing.training_words import SINGLE, Checkpointing, Method, Optimizer, Precision, Sharding

UNCERTAINTY: Final = 0.25
"""Share of the peak that the range leaves on either side."""

CONTEXT_BYTES: Final = round(0.9 * 2**30)
"""CUDA context, libraries' workspaces and what the allocator cannot use."""

EAGER: Final = 1.35
"""Activations of a trained model over the formula, where no compiler fuses element-wise operations."""

EAGER_FROZEN: Final = 0.9
"""The same where base weights are frozen: their gradients need no inputs, adapters keep copies of some."""

SELECTIVE: Final = 0.42
"""Share of the eager activations that selective checkpointing keeps (0.55 of the formula)."""

LOGITS_BYTES: Final = 9
"""Bytes per token and vocabulary entry where nobody says how the trainer forms its loss. Trainers that form the logits
take 11 to 12: 16 bits, a 32-bit copy, the softmax and its gradient, not all at once. Those whose loss works on chunks
(torchtune, Liger) take 2 or 3. This is between them: every public source of the first kind stays within a quarter at
p90, and up to an eighth of the rows may be of the second (`docs/decisions/0008-sizing.md`)."""

LOGITS_BYTES_PREFERENCE: Final = 7
"""The same where a loss takes one log-probability per token (DPO): the 32-bit copy is made row by row."""

LOGITS_BYTES_CHUNKED: Final = 2.5
"""The same where the loss is known to work on chunks: the trainer that offloads checkpoints (unsloth) does."""

KEPT_TABLE_BYTES: Final = 3
"""Embeddings and head beside a quantized base. PEFT's `prepare_model_for_kbit_training` raises them to 4, others leave
them at 2."""

ZERO_BUCKETS_BYTES: Final = 10**9
"""DeepSpeed's reduce bucket: 5e8 elements of 16 bits."""

STEP_ELEMENTS: Final = 10**9
"""DeepSpeed's `sub_group_size`: the step of a sharded optimizer works on so many parameters at a time."""

QUANTIZED_BYTES: Final = {"nf4": 0.527, "int4": 0.53, "fp4": 0.527, "int8": 1.0, "fp8": 1.0}
"""Bytes per linear parameter of a frozen base. NF4: between 0.516 with double quantization and 0.5625 without."""

Term: TypeAlias = Literal[
    "weights", "gathered layers", "gradients", "optimizer", "adapters", "reference", "activations", "logits", "context"
]
_PROVENANCE: Final[dict[Term, Provenance]] = {
    "weights": "derived",
    "gathered layers": "derived",
    "gradients": "derived",
    "optimizer": "derived",
    "adapters": "derived",
    "reference": "derived",
    "activations": "measured",
    "logits": "measured",
    "context": "measured",
}
Moment: TypeAlias = Literal["backward pass", "optimizer step"]


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One training of one model. Sizes are per GPU where they can differ."""

    architecture: Architecture
    method: Method
    sequence_length: int
    micro_batch: int
    """Sequences (DPO: pairs of them) that one GPU works on at a time."""
    optimizer: Optimizer
    checkpointing: Checkpointing = "full"
    precision: Precision = "bf16"
    sharding: Sharding = SINGLE
    gpus: int = 1
    lora_rank: int | None = None
    """Of the adapters on every linear of attention and MLP; None for DPO that trains all weights."""
    quantization: str | None = None
    """Of the frozen base: a key of `QUANTIZED_BYTES`."""
    fused_attention: bool = True
    """False: attention scores are written out, which grows with the square of the sequence."""

    @property
    def adapters_only(self) -> bool:
        """The base is frozen; adapters alone are trained."""
        return self.method in ("lora", "qlora") or (self.method == "dpo" and self.lora_rank is not None)


@dataclass(frozen=True, kw_only=True)
class TrainingEstimate:
    """The peak of one GPU and what it is made of at that moment."""

    peak_bytes: int
    moment: Moment
    items: tuple[LineItem, ...]
    """Named by `Term`, in its order; they sum to the peak. Terms of no bytes are left out."""
    dominant: Term
    """The largest term beside the context."""
    adapter_parameters: int

    @property
    def low_bytes(self) -> int:
        return round(self.peak_bytes * (1 - UNCERTAINTY))

    @property
    def high_bytes(self) -> int:
        return round(self.peak_bytes * (1 + UNCERTAINTY))


def size_training(request: TrainingRequest) -> TrainingEstimate:
    """The peak memory of one GPU, by the larger of its two moments."""
    states, live = _states(request), _activations(request)
    moments: dict[Moment, dict[Term, float]] = {
        "backward pass": _backward(request, states, live),
        "optimizer step": _step(request, states),
    }
    totals = {moment: sum(terms.values()) for moment, terms in moments.items()}
    moment: Moment = "backward pass" if totals["backward pass"] >= totals["optimizer step"] else "optimizer step"
    terms: dict[Term, int] = {term: round(size) for term, size in moments[moment].items() if size >= 1}
    return TrainingEstimate(
        peak_bytes=sum(terms.values()),
        moment=moment,
        items=tuple(LineItem(name=term, bytes=size, provenance=_PROVENANCE[term]) for term, size in terms.items()),
        dominant=_dominant(terms),
        adapter_parameters=adapter_parameters(request),
    )


def _dominant(terms: dict[Term, int]) -> Term:
    ranked: list[tuple[int, Term]] = sorted(
        ((size, term) for term, size in terms.items() if term != "context"), reverse=True
    )
    return ranked[0][1] if ranked else "context"


def adapter_parameters(request: TrainingRequest) -> int:
    """Parameters of LoRA adapters on every linear of attention, state mixers and MLP; experts have none."""
    if not request.adapters_only:
        return 0
    targeted = (Part.ATTENTION, Part.STATE, Part.MLP)
    sides = sum(
        (matrix.inputs + matrix.outputs) * matrix.copies * count
        for matrix, count in request.architecture.matrices()
        if matrix.linear and matrix.part in targeted
    )
    return sides * (request.lora_rank or 16)


@dataclass(frozen=True, kw_only=True)
class _States:
    """Bytes of one GPU that do not depend on the tokens."""

    weights: float
    gathered: float
    gradients: float
    optimizer: float
    scratch: float
    """Copies that one optimizer step makes."""
    adapters: float
    reference: float


@dataclass(frozen=True, kw_only=True)
class _Live:
    activations: float
    logits: float


def _states(request: TrainingRequest) -> _States:
    return _adapter_states(request) if request.adapters_only else _full_states(request)


def _full_states(request: TrainingRequest) -> _States:
    count = request.architecture.parameters
    weight, gradient, state = _trained_bytes(request)
    by_weights, by_gradients, by_states = _divisors(request)
    offload = request.sharding.offload
    scratch = count / by_states * (weight if request.optimizer.scratch else 0)
    if _zero(request):
        scratch = _zero_scratch(request, count / by_states)
    parameters_too = offload and request.sharding.shards == "fsdp"
    return _States(
        weights=0 if parameters_too else count * weight / by_weights,
        gathered=_gathered(request),
        gradients=0 if offload else count * gradient / by_gradients,
        optimizer=0 if offload else count * state / by_states,
        scratch=0 if offload else scratch,
        adapters=0,
        reference=count * 2 / by_weights if request.method == "dpo" else 0,
    )


def _zero_scratch(request: TrainingRequest, parameters: float) -> float:
    """The gradients of a rank's share in 32 bits; stage 3 works on groups of them, with the optimizer's copy."""
    return min(parameters, STEP_ELEMENTS) * 8 if request.sharding.shards == "zero3" else parameters * 4


def _trained_bytes(request: TrainingRequest) -> tuple[float, float, float]:
    """Weights, gradients and optimizer states of one trained parameter, before sharding."""
    optimizer = request.optimizer
    match request.precision:
        case "bf16":
            return 2, _with_buckets(request, 2), optimizer.state_bytes_low
        case "fp32":
            return 4, _with_buckets(request, 4), optimizer.state_bytes
        case "mixed":
            if _zero(request):  # 16-bit weights and gradients; the 32-bit copy belongs to the optimizer
                return 2, 2, optimizer.state_bytes + 4
            return 4, _with_buckets(request, 4), optimizer.state_bytes


def _with_buckets(request: TrainingRequest, gradient: float) -> float:
    """Plain data parallelism keeps its gradients a second time, in the buckets that it sums."""
    return 2 * gradient if request.sharding.shards == "ddp" and request.gpus > 1 else gradient


def _adapter_states(request: TrainingRequest) -> _States:
    adapters = adapter_parameters(request)
    by_weights, by_gradients, by_states = _divisors(request)
    base = 0 if request.sharding.offload and request.sharding.shards in ("fsdp", "zero3") else _base_bytes(request)
    state = 0 if request.sharding.offload else request.optimizer.state_bytes
    return _States(
        weights=base / by_weights,
        gathered=_gathered(request),
        gradients=4 * adapters / by_gradients,
        optimizer=adapters * state / by_states,
        scratch=4 * adapters / by_states if request.optimizer.scratch else 0,
        adapters=4 * adapters / by_weights,
        reference=0,  # with the adapter switched off, the base is its own reference
    )


def _base_bytes(request: TrainingRequest) -> float:
    """A frozen base: 16 (or 32) bits, or its linear weights in the quantized format."""
    total = request.architecture.parameters
    if request.quantization is None:
        return total * (4 if request.precision == "fp32" else 2)
    linear, tables = 0, 0
    for matrix, count in request.architecture.matrices():
        size = matrix.parameters * count
        if matrix.part in (Part.EMBEDDINGS, Part.HEAD):
            tables += size
        elif matrix.linear and matrix.part is not Part.VISION:
            linear += size
    rest = total - linear - tables
    return linear * QUANTIZED_BYTES[request.quantization] + tables * KEPT_TABLE_BYTES + rest * 2


def _divisors(request: TrainingRequest) -> tuple[int, int, int]:
    """By how many GPUs weights, gradients and optimizer states are divided."""
    gpus = request.gpus
    return {
        "none": (1, 1, 1),
        "ddp": (1, 1, 1),
        "zero1": (1, 1, gpus),
        "zero2": (1, gpus, gpus),
        "zero3": (gpus, gpus, gpus),
        "fsdp": (gpus, gpus, gpus),
    }[request.sharding.shards]


def _zero(request: TrainingRequest) -> bool:
    return request.sharding.shards.startswith("zero")


def _gathered(request: TrainingRequest) -> float:
    """Whole layers that a rank holds for its computation: two of them, and what stands beside the layers."""
    model = request.architecture
    match request.sharding.shards:
        case "none" | "ddp":
            return 0
        case "zero1" | "zero2":
            return 0 if request.adapters_only else min(ZERO_BUCKETS_BYTES, 4 * model.parameters)
        case "fsdp" | "zero3":
            beside = sum(matrix.parameters for matrix in model.outside)
            largest = max((sum(one.parameters for one in layer.matrices) for layer in model.layers), default=0)
            share = QUANTIZED_BYTES[request.quantization] if request.quantization else 2
            return min(beside * 2 + 2 * largest * share, 2 * model.parameters)


def _activations(request: TrainingRequest) -> _Live:
    """Activations and logits at the start of the backward pass."""
    model = request.architecture
    element = 4 if request.precision == "fp32" and not request.adapters_only else 2
    tokens = request.sequence_length * request.micro_batch * (2 if request.method == "dpo" else 1)
    eager = EAGER_FROZEN if request.adapters_only else EAGER
    scores = 0 if request.fused_attention else score_bytes(model, request.sequence_length)
    largest = largest_layer_bytes(model, element_bytes=element) * eager + scores
    whole = all_layers_bytes(model, element_bytes=element) * eager + scores * model.layer_count
    match request.checkpointing:
        case "none":
            kept = whole
        case "selective":
            kept = whole * SELECTIVE
        case "full":
            kept = checkpoint_bytes(model, element_bytes=element) + largest
        case "offloaded":
            kept = largest
    vocabulary = 0 if model.task == "encoder" else model.vocabulary_size
    return _Live(
        activations=tokens * kept,
        logits=tokens * vocabulary * _logits_bytes(request),
    )


def _logits_bytes(request: TrainingRequest) -> float:
    if request.checkpointing == "offloaded":
        return LOGITS_BYTES_CHUNKED
    return LOGITS_BYTES_PREFERENCE if request.method == "dpo" else LOGITS_BYTES


def _backward(request: TrainingRequest, states: _States, live: _Live) -> dict[Term, float]:
    return {
        "weights": states.weights,
        "gathered layers": states.gathered,
        "gradients": states.gradients if request.adapters_only else 0,
        "optimizer": states.optimizer,
        "adapters": states.adapters,
        "reference": states.reference,
        "activations": live.activations,
        "logits": live.logits,
        "context": CONTEXT_BYTES,
    }


def _step(request: TrainingRequest, states: _States) -> dict[Term, float]:
    return {
        "weights": states.weights,
        "gathered layers": states.gathered if request.sharding.shards in ("fsdp", "zero3") else 0,
        "gradients": states.gradients,
        "optimizer": states.optimizer + states.scratch,
        "adapters": states.adapters,
        "reference": states.reference,
        "context": CONTEXT_BYTES,
    }
