"""What a model is made of: weight matrices, layers and what each layer keeps for a sequence.

One uniform description serves every estimate: parameters by part, bytes per GPU under tensor parallelism,
LoRA slots, the key-value cache and legality. Families (`compiler.sizing.families`) build these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

Task = Literal["causal", "encoder", "encoder-decoder"]


class Part(Enum):
    """Where a parameter belongs. Quantization and tensor parallelism treat the parts differently."""

    EMBEDDINGS = "embeddings"
    HEAD = "head"
    ATTENTION = "attention"
    STATE = "state"
    """Mixers that keep a fixed state per sequence: Mamba, gated delta nets, short convolutions."""
    MLP = "mlp"
    EXPERTS = "experts"
    ROUTER = "router"
    NORMS = "norms"
    VISION = "vision"
    """Encoders of other inputs (pictures, sound) with their projectors."""


class Split(Enum):
    """How tensor parallelism divides a matrix."""

    COLUMN = "column"
    """Outputs divided by the ranks."""
    ROW = "row"
    """Inputs divided by the ranks; the bias stays whole."""
    KEY_VALUE = "key-value"
    """Outputs divided by the ranks, but never below one key-value head: heads are replicated beyond that."""
    VOCABULARY = "vocabulary"
    """Rows padded to a multiple of 64, then divided by the ranks."""
    NONE = "none"
    """The same on every rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """One weight (or `copies` alike) inside a layer or beside the layers."""

    name: str
    """The path of the module inside its layer as checkpoints name it, such as `self_attn.q_proj`."""
    part: Part
    inputs: int
    outputs: int = 1
    split: Split = Split.NONE
    bias: bool = False
    """One further parameter for each output."""
    copies: int = 1
    """Experts: how many of these one layer has."""
    active: int | None = None
    """Experts: how many of the copies work on one token; None for all."""
    linear: bool = True
    """Whether weight formats may quantize it; convolutions, norms, tables and routers are not."""
    heads: int = 0
    """KEY_VALUE: the number of heads in `outputs`."""

    @property
    def parameters(self) -> int:
        """Parameters of all copies, the bias included."""
        return self.copies * (self.inputs * self.outputs + (self.outputs if self.bias else 0))

    @property
    def active_parameters(self) -> int:
        """Parameters that take part in one token."""
        return self.parameters if self.active is None else self.parameters * self.active // self.copies


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionCache:
    """Keys and values of one layer, for every token or for a window of them."""

    key_value_heads: int
    key_dim: int
    value_dim: int
    window: int | None = None
    """Tokens that stay visible (sliding window or chunk); None for all."""
    cross: bool = False
    """Cross-attention: keeps the encoder's tokens, allocated like any other layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentCache:
    """Multi-head latent attention: one compressed vector for each token, the same on every rank."""

    dim: int
    """`kv_lora_rank + qk_rope_head_dim`."""
    indexer_dim: int = 0
    """Elements of the sparse indexer's key beside it (DeepSeek-V3.2), one byte each, and a 4-byte scale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateCache:
    """A fixed state for each sequence, whatever its length."""

    kind: Literal["mamba1", "mamba2", "delta", "conv", "lightning"]
    convolution: int
    """Elements of the convolution window, in the model's dtype; divided by the ranks."""
    state: int
    """Elements of the recurrent state; divided by the ranks."""
    state_bytes: int | None = None
    """Of one element of the state, where the model fixes it (`mamba_ssm_dtype`); None for the model's dtype."""


Cache: TypeAlias = AttentionCache | LatentCache | StateCache


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One kind of decoder (or encoder) layer."""

    matrices: tuple[Matrix, ...]
    caches: tuple[Cache, ...] = ()
    """None: the layer keeps nothing (an MLP alone, or it reads another layer's keys and values).
    Two: attention and a state-space mixer side by side (Falcon-H1, Hymba)."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The `quantization_config` of a checkpoint: how its linear weights are stored."""

    method: str
    """`quant_method` as the checkpoint spells it."""
    bits: float | None = None
    group: int | None = None
    """Weights that share one scale along the inputs; None for one a channel or tensor, or the method's default."""
    block: tuple[int, int] | None = None
    """FP8: weights that share one scale, (outputs, inputs)."""
    symmetric: bool = True
    double: bool = False
    """NF4: scales are quantized themselves."""
    format: str | None = None
    """compressed-tensors: `pack-quantized`, `float-quantized`, `int-quantized`, `nvfp4-pack-quantized`, …"""
    ordered: bool = False
    """GPTQ: an index of the group for each input (`desc_act`)."""
    head: bool = False
    """The language-model head is quantized too."""
    kept: tuple[str, ...] = ()
    """Modules left in 16 bits, as the checkpoint lists them: names, parts of names, `re:` patterns."""
