"""How many tokens per second a service gives: a roofline, turned into an interval by the regime that it works in.

Called by `llmops size`. Only dense models on NVIDIA GPUs of one node: for mixtures of experts and other vendors the
roofline is not even one-sided, and between nodes the network decides, so they get the regime `unknown` and no figures.
A step is bound by reading weights and cache or by arithmetic, whichever takes longer; the widths of the intervals are
what public measurements show (`SPREADS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from compiler.sizing.architecture import Architecture
from compiler.sizing.gpus import Gpu

Regime: TypeAlias = Literal["batch-1", "prefill-bound", "decode-bound", "decode-bound at TP 8", "saturated", "unknown"]

BANDWIDTH_SHARE: Final = 0.80
"""Of the memory bandwidth that decoding reaches."""
ARITHMETIC_SHARE: Final = 0.55
"""Of the dense peak that matrix products reach."""
STEP_SECONDS: Final = 0.002
"""Scheduling, sampling and launches of one step."""
ALL_REDUCE_SECONDS: Final = 30e-6
"""Of one layer's sums over tensor-parallel ranks, in one step."""
SATURATED_SEQUENCES: Final = 1024
"""Where no concurrency is given and no limit of sequences is known."""

SPREADS: Final[dict[Regime, tuple[float, float]]] = {
    "batch-1": (0.60, 1.35),
    "prefill-bound": (0.45, 1.25),
    "decode-bound": (0.28, 1.20),
    "decode-bound at TP 8": (0.24, 1.15),
    "saturated": (0.26, 1.20),
}
"""Measured over roofline, low and high, chosen from public figures (predicted over measured): 37 at batch 1 (median
error 7 %, worst 36 %), 12 bound by prefill at TP 1-2 (-8 to +11 %) and 6 at TP 8 (+37 to +49 %), 55 static batches
(median 1.1-1.3, worst 2.3), 42 saturated (1.45, worst 2.9), 53 under queueing (1.43, worst 3.7: outside).

The tests hold 80 figures of TensorRT-LLM on one node against them, and all lie inside: 47 saturated, 19 bound by
prefill, 14 at TP 8. For batch 1 and for a given concurrency on one node they hold none. Six of two GPUs in two
machines, which nothing in a question tells, lie below (0.15 to 0.23 of the roofline)."""

NODE_GPUS: Final = 8
"""GPUs of one node that share fast links, at most, where `_NODES` has no other number."""
_NODES: Final = {"GB10": 1, "GB200": 72, "GB300": 72}
"""DGX Spark has one GPU, the GB200 NVL72 and GB300 NVL72 racks have one NVLink domain (NVIDIA's product pages)."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one replica is asked to do. Byte figures are of one GPU."""

    architecture: Architecture
    gpu: Gpu
    gpus: int = 1
    """GPUs that share each layer (tensor parallelism)."""
    weight_bytes: int
    cache_bytes_per_token: float
    pool_tokens: int | None = None
    """Tokens that the key-value pool holds; None where it is not known."""
    max_sequences: int | None = None
    """The engine's limit of sequences in one step."""
    arithmetic: str = "bf16"
    """Format of the products: a key of the GPU's `tflops`."""
    input_tokens: int
    output_tokens: int
    concurrency: int | None = None
    """Requests in flight; None for as many as there is room for."""


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Tokens per second of the whole replica: an interval with the regime that it holds for."""

    regime: Regime
    roofline: float
    """Output tokens per second if nothing but bandwidth and arithmetic held them up."""
    batch: int
    """Sequences in one step."""
    output_low: float
    output_high: float
    total_low: float
    """Input and output tokens together."""
    total_high: float


def measure_first(load: Load) -> str | None:
    """Why no figure can be given; None where one can."""
    if load.architecture.experts > 1:
        return "mixtures of experts miss the roofline in both directions: benchmark it"
    if load.gpu.vendor != "nvidia":
        return f"no public measurements to calibrate {load.gpu.name} with: benchmark it"
    if load.gpus > _NODES.get(load.gpu.name, NODE_GPUS):
        return f"{load.gpus} x {load.gpu.name} are several nodes, and the network between them decides: benchmark it"
    if load.architecture.task != "causal" or load.architecture.layer_count == 0:
        return "the model does not decode token by token"
    if _flops(load) <= 0:
        return f"the catalogue has no arithmetic rate of {load.gpu.name}"
    return None


def estimate_throughput(load: Load) -> Throughput | None:
    """The interval of one load; None where `measure_first` says why there is none."""
    if measure_first(load) is not None:
        return None
    batch = sequences(load)
    prefill = batch * _prefill_seconds(load)
    decode = load.output_tokens * _step_seconds(load, batch)
    output = batch * load.output_tokens / (prefill + decode)
    regime = _regime(load, batch, prefill, decode)
    low, high = SPREADS[regime]
    whole = (load.input_tokens + load.output_tokens) / load.output_tokens
    return Throughput(
        regime=regime,
        roofline=output,
        batch=batch,
        output_low=output * low,
        output_high=output * high,
        total_low=output * whole * low,
        total_high=output * whole * high,
    )


def sequences(load: Load) -> int:
    """Sequences in one step: what is in flight, what the pool holds at the mean length, and the engine's limit."""
    limits = [load.concurrency or load.max_sequences or SATURATED_SEQUENCES]
    if load.max_sequences is not None:
        limits.append(load.max_sequences)
    if load.pool_tokens is not None:
        limits.append(round(load.pool_tokens / (load.input_tokens + load.output_tokens / 2)))
    return max(1, min(limits))


def _regime(load: Load, batch: int, prefill: float, decode: float) -> Regime:
    if batch == 1 and load.concurrency == 1:
        return "batch-1"
    if prefill > decode:
        return "prefill-bound"
    if load.gpus >= 8:
        return "decode-bound at TP 8"
    return "saturated" if load.concurrency is None or load.concurrency > batch else "decode-bound"


def _prefill_seconds(load: Load) -> float:
    """Seconds of one request's prompt."""
    model, tokens = load.architecture, load.input_tokens
    work = 2 * model.active_parameters * tokens + 2 * tokens**2 * model.hidden_size * model.layer_count
    return work / (load.gpus * ARITHMETIC_SHARE * _flops(load))


def _step_seconds(load: Load, batch: int) -> float:
    """Seconds of one decoding step at the mean context."""
    context = load.input_tokens + load.output_tokens / 2
    read = load.weight_bytes + batch * context * load.cache_bytes_per_token
    reading = read / (BANDWIDTH_SHARE * load.gpu.bandwidth_bytes_per_second)
    working = 2 * load.architecture.active_parameters * batch / (load.gpus * ARITHMETIC_SHARE * _flops(load))
    sums = ALL_REDUCE_SECONDS * load.architecture.layer_count if load.gpus > 1 else 0
    return max(reading, working) + STEP_SECONDS + sums


def _flops(load: Load) -> float:
    """The rate of the format, or of 16-bit floats where the card has no units for it."""
    rates = load.gpu.tflops
    return 1e12 * (rates.get(load.arithmetic) or rates.get("bf16") or rates.get("fp16") or 0)
