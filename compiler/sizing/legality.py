"""What cannot run whatever the memory: divisibility, dtypes, formats and lengths. Called by checks and suggestions.

Each rule is a pure function of a request that gives its reasons with the arithmetic; `broken_rules` asks them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from compiler.sizing.capabilities import auto_falls_back, cache_words, least_capability, takes_format
from compiler.sizing.engines import engine_name
from compiler.sizing.formats import WeightFormat, format_of, keeps, named_format
from compiler.sizing.layers import Matrix, Part, Split
from compiler.sizing.serving.request import ServingRequest
from compiler.sizing.weights import PADDING

Rule = Literal[
    "heads-divisible",
    "key-value-heads-divisible",
    "intermediate-divisible",
    "vocabulary-divisible",
    "shard-divisible-by-block",
    "experts-divisible",
    "enough-layers",
    "dtype-supported",
    "format-supported",
    "cache-type-supported",
    "length-within-positions",
]

_CERTAIN: Final[frozenset[Rule]] = frozenset(
    (
        "heads-divisible",
        "key-value-heads-divisible",
        "enough-layers",
        "dtype-supported",
        "format-supported",
        "cache-type-supported",
    )
)
"""Rules that every engine enforces at start-up, in what versions the rule itself says. Some pad other widths."""

_BOUNDED: Final = ("vllm", "sglang")
"""Engines that refuse a length above the model's own, unless an environment variable overrides it."""


@dataclass(frozen=True, kw_only=True)
class BrokenRule:
    """One reason why a request cannot run, or (not `fatal`) may not mean what it says."""

    rule: Rule
    text: str
    """The arithmetic, in words that a person can check."""
    fatal: bool = True


def broken_rules(request: ServingRequest) -> tuple[BrokenRule, ...]:
    """Every rule that a request breaks, in the order of `RULES`."""
    return tuple(found for rule in RULES for found in rule(request))


def refuses(rule: BrokenRule, request: ServingRequest) -> bool:
    """Whether the engine is known to end its start-up on the rule; False where some version may mend it."""
    bounded = rule.rule == "length-within-positions" and engine_name(request.engine) in _BOUNDED
    return rule.fatal and (bounded or rule.rule in _CERTAIN)


def heads_divisible(request: ServingRequest) -> Iterator[BrokenRule]:
    """Attention heads % tensor parallel = 0."""
    heads, ranks = request.architecture.heads, request.tensor_parallel
    if heads and not request.data_parallel_attention and heads % ranks:
        yield BrokenRule(rule="heads-divisible", text=_remainder(f"{heads} attention heads", ranks, heads))


def key_value_heads_divisible(request: ServingRequest) -> Iterator[BrokenRule]:
    """Key-value heads are divided evenly, or each is copied to equally many ranks."""
    heads, ranks = request.architecture.key_value_heads, request.tensor_parallel
    if not heads or request.architecture.latent or request.data_parallel_attention:
        return
    if heads % ranks and ranks % heads:
        text = f"{heads} key-value heads and tensor parallel {ranks} divide neither way"
        yield BrokenRule(rule="key-value-heads-divisible", text=text)


def intermediate_divisible(request: ServingRequest) -> Iterator[BrokenRule]:
    """The widths of MLPs and, unless whole experts are spread, of experts % tensor parallel = 0."""
    architecture, ranks = request.architecture, request.tensor_parallel
    widths = {
        matrix.outputs
        for layer in architecture.layers
        for matrix in layer.matrices
        if matrix.split is Split.COLUMN
        and (matrix.part is Part.MLP or (matrix.part is Part.EXPERTS and not request.expert_parallel))
    }
    for width in sorted(widths):
        if width % ranks:
            yield BrokenRule(rule="intermediate-divisible", text=_remainder(f"an MLP of {width}", ranks, width))


def vocabulary_divisible(request: ServingRequest) -> Iterator[BrokenRule]:
    """The padded vocabulary % tensor parallel = 0."""
    rows, ranks = request.architecture.vocabulary_size, request.tensor_parallel
    padded = -(-rows // PADDING) * PADDING
    if padded % ranks:
        text = _remainder(f"{rows} words padded to {padded}", ranks, padded)
        yield BrokenRule(rule="vocabulary-divisible", text=text)


def shard_divisible_by_block(request: ServingRequest) -> Iterator[BrokenRule]:
    """The shard of every quantized linear is a multiple of the format's block or group."""
    format_ = _format(request)
    ranks = request.tensor_parallel
    if format_ is None or ranks == 1:
        return
    quantization = request.architecture.quantization
    kept = quantization.kept if quantization is not None else ()
    told: set[str] = set()
    for layer in request.architecture.layers:
        for matrix in layer.matrices:
            whole = matrix.part is Part.EXPERTS and request.expert_parallel
            if not matrix.linear or whole or keeps(kept, matrix.name):
                continue
            text = _uneven(matrix, format_, ranks)
            if text and text not in told:
                told.add(text)
                yield BrokenRule(rule="shard-divisible-by-block", text=text)


def experts_divisible(request: ServingRequest) -> Iterator[BrokenRule]:
    """Experts % ranks = 0 where whole experts are spread."""
    experts, ranks = request.architecture.experts, request.tensor_parallel
    if request.expert_parallel and experts and experts % ranks:
        yield BrokenRule(rule="experts-divisible", text=_remainder(f"{experts} experts", ranks, experts))


def enough_layers(request: ServingRequest) -> Iterator[BrokenRule]:
    """Every pipeline stage has a layer."""
    layers, stages = request.architecture.layer_count, request.pipeline_parallel
    if layers and stages > layers:
        yield BrokenRule(rule="enough-layers", text=f"{stages} pipeline stages for {layers} layers")


def dtype_supported(request: ServingRequest) -> Iterator[BrokenRule]:
    """No bfloat16 on cards without it (T4, V100), unless the engine takes float16 by itself."""
    asked = (request.dtype or "auto").casefold()
    given = asked in {"bfloat16", "bf16"}
    own = asked in {"auto", ""} and request.architecture.dtype == "bfloat16" and not auto_falls_back(request)
    if (given or own) and not request.gpu.has_bf16:
        text = f"{request.gpu.name} has no bfloat16; set dtype to float16"
        yield BrokenRule(rule="dtype-supported", text=text)


def format_supported(request: ServingRequest) -> Iterator[BrokenRule]:
    """The engine has kernels for the format on the card.

    FP8 multiplies natively from compute capability 8.9 on; below it weights alone stay in 8 bits, if at all.
    """
    format_, capability = _format(request), request.gpu.compute_capability
    if format_ is None or capability is None:
        return
    if not takes_format(request, format_):
        yield BrokenRule(rule="format-supported", text=f"{request.engine} reads no GGUF on CUDA")
        return
    least, version = least_capability(request, format_), f"{capability[0]}.{capability[1]}"
    if least is not None and capability < least:
        at = f"{request.engine} {request.engine_version or ''}".strip()
        needs = f"{format_.name} needs compute capability {least[0]}.{least[1]} in {at}"
        yield BrokenRule(rule="format-supported", text=f"{needs}, {request.gpu.name} has {version}")
    elif format_.name == "fp8" and not request.gpu.has_native_fp8:
        text = f"{request.gpu.name} ({version}) keeps FP8 weights and computes in 16 bits: no faster than bf16"
        yield BrokenRule(rule="format-supported", text=text, fatal=False)
    elif format_.experts_only and not request.architecture.experts:
        text = f"{format_.name} is a format of experts, and the model has none: its weights stay in 16 bits"
        yield BrokenRule(rule="format-supported", text=text, fatal=False)


def cache_type_supported(request: ServingRequest) -> Iterator[BrokenRule]:
    """The engine has kernels for keys and values of that type."""
    words = cache_words(request)
    if words is not None:
        text = f"{request.engine} keeps no {request.kv_cache_dtype} keys and values; it takes {words}"
        yield BrokenRule(rule="cache-type-supported", text=text)


def length_within_positions(request: ServingRequest) -> Iterator[BrokenRule]:
    """The declared length is at most the positions, with a rope factor that they do not hold already."""
    positions, length = request.architecture.max_positions, request.max_model_len
    if positions is None or length is None:
        return
    factor = request.architecture.rope_factor
    if length > positions * factor:
        text = f"{length} tokens are declared, the model has {positions}" + (f" × {factor:g}" if factor > 1 else "")
        yield BrokenRule(rule="length-within-positions", text=text)
    elif length > positions:
        text = f"{length} tokens need the rope factor {factor:g} over {positions} positions; see that none counts twice"
        yield BrokenRule(rule="length-within-positions", text=text, fatal=False)


RULES: Final[tuple[Callable[[ServingRequest], Iterator[BrokenRule]], ...]] = (
    heads_divisible,
    key_value_heads_divisible,
    intermediate_divisible,
    vocabulary_divisible,
    shard_divisible_by_block,
    experts_divisible,
    enough_layers,
    dtype_supported,
    format_supported,
    cache_type_supported,
    length_within_positions,
)


def _remainder(what: str, ranks: int, number: int) -> str:
    return f"{what} by tensor parallel {ranks} leave {number % ranks}"


def _format(request: ServingRequest) -> WeightFormat | None:
    own = request.architecture.quantization
    if own is not None:
        return format_of(own)
    return named_format(request.quantization) if request.quantization else None


def _uneven(matrix: Matrix, format_: WeightFormat, ranks: int) -> str | None:
    """Why a shard of the matrix is no multiple of the block; None where it is one."""
    by_outputs, by_inputs = format_.block or (1, format_.group or 1)
    match matrix.split:
        case Split.ROW:
            side, width, multiple = "inputs", matrix.inputs, by_inputs
        case Split.COLUMN:
            side, width, multiple = "outputs", matrix.outputs, by_outputs
        case Split.KEY_VALUE | Split.VOCABULARY | Split.NONE:
            return None
    if width % ranks or width // ranks % multiple == 0:
        return None  # what does not divide at all is another rule's
    return f"{matrix.name}: a shard of {width}/{ranks} = {width // ranks} {side} is no multiple of {multiple}"
