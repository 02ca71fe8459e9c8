"""What is asked of a serving estimate. Called by `size_serving`, checks and `llmops size`."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.sizing.architecture import Architecture
from compiler.sizing.gpus import Gpu


@dataclass(frozen=True, kw_only=True)
class LoraSlots:
    """Adapters that the engine keeps beside the base."""

    max_loras: int = 1
    max_rank: int = 16
    targets: tuple[str, ...] = ()
    """Names of targeted modules (`q_proj`); empty for every linear of attention and MLP, as vLLM allocates them."""


@dataclass(frozen=True, kw_only=True)
class ServingRequest:
    """One model on one kind of GPU in one engine. None takes the engine version's default."""

    architecture: Architecture
    gpu: Gpu
    engine: str = "vllm"
    engine_version: str | None = None
    """`0.21.0` or `0.21`; None for the newest that the catalogue knows, which lowers no verdict by itself."""
    gpu_memory_bytes: int | None = None
    """Memory that one GPU shows to the engine; None for the catalogue's visible figure."""
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    expert_parallel: bool = False
    data_parallel_attention: bool = False
    """Each rank holds its own sequences' latent cache, and whole attention weights."""
    dtype: str | None = None
    """`auto` or None for the checkpoint's."""
    quantization: str | None = None
    """A format's name or alias; None for the checkpoint's own."""
    kv_cache_dtype: str | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilisation: float | None = None
    """A share in (0, 1]: vLLM's of the whole card, SGLang's static fraction, TGI's fraction,
    TensorRT-LLM's of what is free after loading."""
    enforce_eager: bool = False
    lora: LoraSlots | None = None
    draft: Architecture | None = None
    """A draft model that is loaded beside the base for speculative decoding."""
    offline: bool = False
    """Whether the engine runs as a library (larger defaults of batched tokens) instead of a server."""
