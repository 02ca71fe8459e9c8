"""What each engine takes, by version: the least compute capability of a weight format, cache types, `dtype: auto`.

Called by the rules of legality, which the checks share. Facts are those of the engines' own refusals at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from compiler.sizing.engines import EngineName, Version, engine_name, find_engine
from compiler.sizing.formats import WeightFormat, is_gguf
from compiler.sizing.serving.request import ServingRequest

Capability: TypeAlias = tuple[int, int]
"""CUDA's (major, minor)."""

Kernel = Literal[
    "fp8",
    "int8",
    "mxfp4",
    "nvfp4",
    "awq",
    "gptq",
    "marlin",
    "bitsandbytes",
    "compressed-integers",
    "compressed-fp8",
    "compressed-nvfp4",
    "modelopt-fp8",
]
"""Families of formats that one refusal covers: a format, or a format as one kind of checkpoint holds it."""


@dataclass(frozen=True, kw_only=True)
class Since:
    """The least compute capability from a version on."""

    version: Version
    least: Capability


def _always(major: int, minor: int) -> tuple[Since, ...]:
    return (Since(version=(), least=(major, minor)),)


def _turing(version: Version, *, before: tuple[Since, ...]) -> tuple[Since, ...]:
    return (*before, Since(version=version, least=(7, 5)))


_AMPERE: Final = _always(8, 0)

_COMMON: Final[Mapping[Kernel, tuple[Since, ...]]] = {
    "fp8": _AMPERE,
    "int8": _always(7, 5),
    "mxfp4": _AMPERE,
    "nvfp4": _AMPERE,
    "awq": _always(7, 5),
    "gptq": _always(6, 0),
    "marlin": _AMPERE,
    "bitsandbytes": _always(7, 0),
    "compressed-integers": _AMPERE,
    "compressed-fp8": _AMPERE,
    "compressed-nvfp4": _AMPERE,
    "modelopt-fp8": _AMPERE,
}
"""`get_min_capability` of vLLM's and SGLang's quantization methods; TGI's kernels follow them."""

_FP8: Final = (Since(version=(), least=(8, 9)), Since(version=(0, 5, 1), least=(8, 0)))

_ENGINES: Final[Mapping[EngineName, Mapping[Kernel, tuple[Since, ...]]]] = {
    "vllm": {
        "fp8": _turing((0, 14), before=_FP8),
        "compressed-fp8": _turing((0, 16), before=_FP8),
        "modelopt-fp8": _FP8,
        "nvfp4": _turing((0, 16), before=_AMPERE),
        "compressed-nvfp4": _turing((0, 16), before=_AMPERE),
        "marlin": _turing((0, 14), before=_AMPERE),
        "compressed-integers": _turing((0, 12), before=_AMPERE),
    },
    "sglang": {},
    "tgi": {},
    "tensorrt-llm": {"fp8": _always(8, 9), "compressed-fp8": _always(8, 9), "modelopt-fp8": _always(8, 9)},
    "triton": {},
}
"""Where an engine differs. vLLM: vllm-project/vllm#5975 (FP8 on Ampere by Marlin), #29901 (Marlin on Turing),
#33076 (compressed-tensors FP8 and NVFP4 there), #29732 (compressed-tensors integers there), #56660 (ModelOpt FP8, not
yet merged). TensorRT-LLM: its support matrix (FP8 from Ada on)."""

_AUTO_FALLS_BACK: Final[Mapping[EngineName, Version]] = {"vllm": (0, 9), "sglang": (), "tgi": ()}
"""The version from which `dtype: auto` takes float16 where the card has no bfloat16 (vLLM's `_resolve_auto_dtype`,
SGLang's model runner; TGI's own default is float16). Others refuse to start."""

_INTEGER_CACHES: Final[frozenset[EngineName]] = frozenset(("tensorrt-llm", "triton"))

_CACHE_WORDS: Final[Mapping[EngineName, str]] = {
    "vllm": "auto, bfloat16, float16, fp8, fp8_e4m3, fp8_e5m2",
    "sglang": "auto, bfloat16, fp8_e4m3, fp8_e5m2",
    "tgi": "auto, fp8_e4m3fn, fp8_e5m2",
}


def least_capability(request: ServingRequest, weights: WeightFormat) -> Capability | None:
    """The least compute capability on which the engine runs the weights, weight-only kernels included; None: any."""
    engine, kernel = engine_name(request.engine), kernel_of(request, weights)
    if engine is None or kernel is None:
        return None
    version = find_engine(engine, request.engine_version).number
    history = _ENGINES[engine].get(kernel) or _COMMON[kernel]
    return [step.least for step in history if step.version <= version][-1]


def kernel_of(request: ServingRequest, weights: WeightFormat) -> Kernel | None:
    """The family of kernels that reads the weights; None where no engine refuses a card for them."""
    own = request.architecture.quantization
    asked = (request.quantization or "").casefold()
    method = f"{own.method} {weights.name}".casefold() if own is not None else asked
    held: Mapping[str, Kernel] = _PLAIN
    if own is not None and own.method in {"compressed-tensors", "compressed_tensors"}:
        held = _COMPRESSED
    elif method.startswith("modelopt"):
        held = _MODELOPT
    elif any(word in method for word in _BITSANDBYTES):
        held = _EIGHT_BITS
    if weights.name in held:
        return held[weights.name]
    return "marlin" if "marlin" in asked else _integer_kernel(method)


_PLAIN: Final[Mapping[str, Kernel]] = {
    "fp8": "fp8",
    "int8": "int8",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
    "nf4": "bitsandbytes",
    "nf4-single": "bitsandbytes",
}
_COMPRESSED: Final[Mapping[str, Kernel]] = {**_PLAIN, "fp8": "compressed-fp8", "nvfp4": "compressed-nvfp4"}
_MODELOPT: Final[Mapping[str, Kernel]] = {**_PLAIN, "fp8": "modelopt-fp8"}
_EIGHT_BITS: Final[Mapping[str, Kernel]] = {**_PLAIN, "int8": "bitsandbytes"}
_BITSANDBYTES: Final = ("bitsandbytes", "bnb", "llm-int8", "llm.int8")


def _integer_kernel(method: str) -> Kernel | None:
    if "compressed" in method or "w4a16" in method or "w8a16" in method:
        return "compressed-integers"
    return "awq" if "awq" in method else "gptq" if "gptq" in method else None


def auto_falls_back(request: ServingRequest) -> bool:
    """Whether `dtype: auto` takes float16 where the card has no bfloat16."""
    engine = engine_name(request.engine)
    since = _AUTO_FALLS_BACK.get(engine) if engine is not None else None
    if engine is None or since is None:
        return False
    return find_engine(engine, request.engine_version).number >= since


def takes_format(request: ServingRequest, weights: WeightFormat) -> bool:
    """Whether the engine reads the format at all: TGI reads GGUF in its llama.cpp back end alone, not on CUDA."""
    return not (engine_name(request.engine) == "tgi" and is_gguf(weights))


def cache_words(request: ServingRequest) -> str | None:
    """The words that the engine takes for the type of its cache, where the one asked for is none of them."""
    engine = engine_name(request.engine)
    if (request.kv_cache_dtype or "").strip().casefold() != "int8" or engine is None or engine in _INTEGER_CACHES:
        return None
    return _CACHE_WORDS[engine]
