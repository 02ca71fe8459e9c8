"""Bytes that a linear weight takes in each weight format, and which modules a format leaves in 16 bits.

Called by the weight estimates. A format comes from the checkpoint's `quantization_config` or from the name that a
person gives (`--quantization awq`). What is in between (block scales, zero points) is counted, not rounded up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from compiler.sizing.layers import Quantization

DTYPE_BYTES: Final[Mapping[str, int]] = {
    "float32": 4,
    "float": 4,
    "fp32": 4,
    "bfloat16": 2,
    "bf16": 2,
    "float16": 2,
    "half": 2,
    "fp16": 2,
    "float8_e4m3fn": 1,
    "fp8": 1,
}


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """How one linear weight of `inputs` by `outputs` is stored."""

    name: str
    bits: float
    """Of one weight, what goes along with it for each group of weights apart."""
    group: int | None = None
    """Weights along the inputs that share a scale; None for whole rows or blocks."""
    group_bits: float = 0.0
    """Bits of scales and zero points for each group."""
    channel_bytes: int = 0
    """Bytes of scales for each output."""
    block: tuple[int, int] | None = None
    """(outputs, inputs) that share a 4-byte scale."""
    experts_only: bool = False
    """Only experts are stored so; every other linear stays in 16 bits (gpt-oss)."""
    padding: tuple[int, int] = (1, 1)
    """Experts: multiples to which kernels pad the (expert's width of a rank, hidden size)."""

    def bytes_of(self, inputs: float, outputs: float) -> float:
        """Bytes of one matrix; fractions of a group count as they are, since shards are multiples of it."""
        weights = inputs * outputs
        size = weights * self.bits / 8
        if self.group:
            size += weights / self.group * self.group_bits / 8
        if self.block:
            size += weights / (self.block[0] * self.block[1]) * 4
        return size + outputs * self.channel_bytes


PLAIN: Final = WeightFormat(name="16-bit", bits=16)
_FP8: Final = WeightFormat(name="fp8", bits=8, channel_bytes=4)
_INT8: Final = WeightFormat(name="int8", bits=8, channel_bytes=4)
_NF4: Final = WeightFormat(name="nf4", bits=4, group=64, group_bits=8 + 32 / 256)
_NF4_PLAIN: Final = WeightFormat(name="nf4-single", bits=4, group=64, group_bits=32)
_MXFP4: Final = WeightFormat(name="mxfp4", bits=4, group=32, group_bits=8, experts_only=True, padding=(128, 256))
_NVFP4: Final = WeightFormat(name="nvfp4", bits=4, group=16, group_bits=8)

_GGUF_BITS: Final[Mapping[str, float]] = {
    "q2_k": 2.625,
    "q2_k_s": 2.5,
    "q3_k_s": 3.4375,
    "q3_k_m": 3.91,
    "q3_k_l": 4.27,
    "q3_k": 3.91,
    "q4_0": 4.5,
    "q4_1": 5.0,
    "q4_k": 4.5,
    "q4_k_s": 4.58,
    "q4_k_m": 4.85,
    "q5_0": 5.5,
    "q5_1": 6.0,
    "q5_k": 5.5,
    "q5_k_s": 5.54,
    "q5_k_m": 5.69,
    "q6_k": 6.5625,
    "q8_0": 8.5,
    "iq4_xs": 4.25,
    "iq4_nl": 4.5,
    "iq3_m": 3.66,
    "iq2_m": 2.7,
}
"""Mean bits of llama.cpp's mixes: block layouts of ggml, and for `_S`, `_M`, `_L` the mean of published files. These
formats quantize the embeddings too."""

_FULL: Final = frozenset(
    ("", "none", "auto", "bf16", "bfloat16", "fp16", "float16", "half", "16bit", "fp32", "float32", "no", "unquantized")
)
_INTEGER_METHODS: Final = frozenset(
    ("awq", "gptq", "awq-marlin", "gptq-marlin", "auto-round", "auto-awq", "intel/auto-round")
)
_FP8_METHODS: Final = frozenset(("fp8", "fbgemm-fp8", "modelopt-fp8", "ptpc-fp8"))


def format_of(quantization: Quantization) -> WeightFormat | None:
    """The format of a checkpoint; None where its method is not known."""
    method = quantization.method.replace("_", "-")
    if method in _INTEGER_METHODS:
        return integer_format(method, quantization.bits or 4, quantization.group, zero_points=True)
    if method in _FP8_METHODS:
        return _blocks(quantization)
    if method == "bitsandbytes":
        four = _NF4 if quantization.double else _NF4_PLAIN
        return _INT8 if quantization.bits == 8 else four
    if method in {"compressed-tensors", "quark"}:
        return _compressed(quantization)
    if method.startswith("modelopt"):
        return _NVFP4 if "fp4" in f"{method} {quantization.format or ''}".casefold() else _FP8
    return named_format(quantization.method)


def _blocks(quantization: Quantization) -> WeightFormat:
    return WeightFormat(name="fp8", bits=8, block=quantization.block) if quantization.block else _FP8


def named_format(name: str | None) -> WeightFormat | None:
    """The format that a person names; None for a name that is not known. `PLAIN` for none at all."""
    return _named((name or "").strip().casefold())


@cache
def _named(name: str) -> WeightFormat | None:
    key = name.replace("_", "-")
    if key.replace("-", "") in _FULL or key in _FULL:
        return PLAIN
    gguf = name.removeprefix("gguf").strip("-_: ") or "q4_k_m" if name.startswith("gguf") else name
    if gguf.replace("-", "_") in _GGUF_BITS:
        return WeightFormat(name=gguf.upper(), bits=_GGUF_BITS[gguf.replace("-", "_")])
    if re.fullmatch(
        r"(gptq|awq|autoround|auto-round|w|int|marlin)?-?(4|8|3|2)?-?(bit|a16|a4|a8)?(-?(int)?(4|8))?(-g\d+)?", key
    ):
        return _integer_name(key)
    return _FLOATS.get(key) or _by_word(key)


_FLOATS: Final[Mapping[str, WeightFormat]] = {
    "fp8": _FP8,
    "mxfp4": _MXFP4,
    "nvfp4": _NVFP4,
    "fp4": _NVFP4,
    "modelopt-fp4": _NVFP4,
    "nf4": _NF4,
    "qlora": _NF4,
    "bitsandbytes": _NF4,
    "bnb": _NF4,
    "bnb-4bit": _NF4,
    "bnb-nf4": _NF4,
    "bitsandbytes-4bit": _NF4,
    "bnb-8bit": _INT8,
    "bitsandbytes-8bit": _INT8,
    "llm-int8": _INT8,
    "smoothquant": _INT8,
    "int8-sq": _INT8,
    "w8a8": _INT8,
    "int8-w8a8": _INT8,
}


_WORDS: Final = (("mxfp4", _MXFP4), ("fp4", _NVFP4), ("fp8", _FP8), ("nf4", _NF4), ("int8", _INT8), ("w8a8", _INT8))


def _by_word(key: str) -> WeightFormat | None:
    for word, found in _WORDS:
        if word in key:
            return found
    for word in ("awq", "gptq", "int4", "w4a16"):
        if word in key:
            return integer_format(word, 8 if "8" in key else 4, 128, zero_points=True)
    return None


def _integer_name(key: str) -> WeightFormat | None:
    bits = next((int(digit) for digit in re.findall(r"(?<!a)(?<!g)(?<!\d)([2348])(?!\d)", key)), 4)
    if key in {"w8a8", "int8", "8bit", "w8", "8-bit", "w-8-a8"}:
        return _INT8
    group = re.search(r"g(\d+)$", key)
    return integer_format(key, bits, int(group.group(1)) if group else 128, zero_points=True)


def integer_format(name: str, bits: float, group: int | None, *, zero_points: bool) -> WeightFormat:
    """Integers with a 16-bit scale (and a zero point of their own width) for each group, or each output without one."""
    extra = 16 + (bits if zero_points else 0)
    if group is None:
        return WeightFormat(name=name, bits=bits, channel_bytes=2)
    return WeightFormat(name=name, bits=bits, group=group, group_bits=extra)


def _compressed(quantization: Quantization) -> WeightFormat | None:
    kind = (quantization.format or "").casefold()
    bits = quantization.bits
    if "nvfp4" in kind:
        return _NVFP4
    if "mxfp4" in kind:
        return WeightFormat(name="mxfp4", bits=4, group=32, group_bits=8)
    if kind.startswith("pack") or (bits is not None and bits < 8 and not kind.startswith("float")):
        return integer_format(
            "compressed-tensors", bits or 4, quantization.group, zero_points=not quantization.symmetric
        )
    if "int" in kind:
        return _INT8
    return _blocks(quantization) if bits == 8 or "float" in kind or "naive" in kind else None


def is_gguf(weight_format: WeightFormat) -> bool:
    """Whether the format also quantizes the tables of embeddings."""
    return weight_format.name.casefold() in _GGUF_BITS


def keeps(patterns: tuple[str, ...], path: str) -> bool:
    """Whether a checkpoint's list of modules left in 16 bits names the module at `path`."""
    return any(_names(pattern, path) for pattern in patterns)


def _names(pattern: str, path: str) -> bool:
    if pattern.startswith("re:"):
        return re.match(_compiled(pattern[3:]), path) is not None
    if "*" in pattern:
        return re.search(_compiled(re.escape(pattern.rstrip("*")).replace(r"\*", ".*")), path) is not None
    bare = pattern.removeprefix("model.").removeprefix("language_model.").rstrip(".")
    return f".{bare}." in f".{path}." if bare else False


_LONGEST_PATTERN: Final = 200
_MOST_REPEATS: Final = 4
"""Unbounded repetitions that a path of 80 letters is searched through in no time, whatever they are."""


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A checkpoint's pattern; one that is no pattern, or that could be searched for ever, names nothing."""
    nested = re.search(r"\)[*+{]", pattern)
    if len(pattern) > _LONGEST_PATTERN or nested or len(re.findall(r"[*+{]", pattern)) > _MOST_REPEATS:
        return _NOTHING
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return _NOTHING


_NOTHING: Final = re.compile(r"(?!)")
