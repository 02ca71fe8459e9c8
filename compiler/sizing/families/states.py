"""Mixers that keep a fixed state for each sequence: Mamba, gated delta nets, lightning attention, short convolutions.

Called by the decoder reader. Each function gives the matrices of one layer and what a sequence keeps in it, in the
shapes of vLLM's state calculators (model_executor/layers/mamba/mamba_utils).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil

from compiler.sizing.families.facts import Facts
from compiler.sizing.families.structure import column, norms, row, vector, whole
from compiler.sizing.layers import Matrix, Part, Split, StateCache

Mixer = tuple[tuple[Matrix, ...], StateCache]

_DTYPES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


def _inner(name: str, parameters: int) -> Matrix:
    """Weights of the inner width that no format quantizes, divided by the ranks."""
    return vector(name, Part.STATE, parameters, split=Split.COLUMN)


def state_dtype_bytes(facts: Facts) -> int | None:
    """Bytes of one element of the state where the configuration fixes them."""
    name = facts.text("mamba_ssm_dtype") or facts.text("mamba_ssm_cache_dtype")
    return _DTYPES.get(name or "")


def mamba2(facts: Facts) -> Mixer:
    """State-space duality: one projection to gates, inputs, groups and steps; a convolution; a gated norm."""
    hidden = facts.needed("hidden_size")
    heads = facts.number("mamba_n_heads") or facts.number("mamba_num_heads") or facts.needed("num_heads")
    head_dim = facts.number("mamba_d_head") or facts.number("mamba_head_dim") or facts.number("head_dim")
    inner = facts.number("mamba_d_ssm") or heads * head_dim
    groups = facts.number("mamba_n_groups") or facts.number("n_groups") or facts.number("mamba_ngroups") or 1
    state = facts.number("mamba_d_state") or facts.number("ssm_state_size") or facts.needed("state_size")
    kernel = facts.number("mamba_d_conv") or facts.number("conv_kernel") or 4
    convolved = inner + 2 * groups * state
    biased = facts.flag("use_bias") or facts.flag("mamba_proj_bias")
    conv_bias = facts.flag("mamba_conv_bias", default=True) and facts.flag("use_conv_bias", default=True)
    normed = inner if facts.flag("mamba_rms_norm", default=facts.model_type != "falcon_h1") else 0
    name = "mamba"
    matrices = (
        column(f"{name}.in_proj", Part.STATE, hidden, inner + convolved + heads, bias=biased),
        _inner(f"{name}.conv1d", convolved * (kernel + (1 if conv_bias else 0))),
        _inner(f"{name}.scalars", 3 * heads),
        row(f"{name}.out_proj", Part.STATE, inner, hidden, bias=biased),
        *((_inner(f"{name}.norm", normed),) if normed else ()),
    )
    cache = StateCache(
        kind="mamba2",
        convolution=convolved * (kernel - 1),
        state=heads * (inner // heads if heads else 0) * state,
        state_bytes=state_dtype_bytes(facts),
    )
    return matrices, cache


def mamba1(facts: Facts) -> Mixer:
    """Selective state spaces: inputs and gates, a convolution, projections of steps and of the two state matrices."""
    hidden = facts.needed("hidden_size")
    state = facts.number("mamba_d_state") or facts.number("state_size") or 16
    kernel = facts.number("mamba_d_conv") or facts.number("conv_kernel") or 4
    expand = facts.number("mamba_expand") or facts.number("expand") or 2
    inner = expand * hidden
    if facts.model_type in {"mamba", "falcon_mamba"} and facts.given("intermediate_size"):
        inner = facts.number("intermediate_size")
    rank = facts.number("mamba_dt_rank") or facts.number("time_step_rank") or ceil(hidden / 16)
    biased = facts.flag("use_bias") or facts.flag("mamba_proj_bias")
    conv_bias = facts.flag("mamba_conv_bias", default=True) and facts.flag("use_conv_bias", default=True)
    name = "mamba"
    matrices = (
        column(f"{name}.in_proj", Part.STATE, hidden, 2 * inner, bias=biased),
        _inner(f"{name}.conv1d", inner * (kernel + (1 if conv_bias else 0))),
        row(f"{name}.x_proj", Part.STATE, inner, rank + 2 * state),
        column(f"{name}.dt_proj", Part.STATE, rank, inner, bias=True),
        _inner(f"{name}.A_log", inner * (state + 1)),
        row(f"{name}.out_proj", Part.STATE, inner, hidden, bias=biased),
        *norms(f"{name}.norms", rank + 2 * state if facts.model_type == "jamba" else 0),
    )
    return matrices, StateCache(kind="mamba1", convolution=inner * (kernel - 1), state=inner * state)


def delta(facts: Facts) -> Mixer:
    """Gated delta net (Qwen3-Next, Qwen3.5, OLMo hybrid)."""
    hidden = facts.needed("hidden_size")
    value_heads = facts.needed("linear_num_value_heads")
    key = facts.needed("linear_num_key_heads") * facts.needed("linear_key_head_dim")
    value = value_heads * facts.needed("linear_value_head_dim")
    kernel = facts.number("linear_conv_kernel_dim") or 4
    name = "linear_attn"
    matrices = (
        column(f"{name}.in_proj_qkvz", Part.STATE, hidden, 2 * key + 2 * value),
        column(f"{name}.in_proj_ba", Part.STATE, hidden, 2 * value_heads),
        _inner(f"{name}.conv1d", (2 * key + value) * kernel),
        _inner(f"{name}.scalars", 2 * value_heads),
        vector(f"{name}.norm", Part.NORMS, facts.number("linear_value_head_dim")),
        row(f"{name}.out_proj", Part.STATE, value, hidden),
    )
    cache = StateCache(
        kind="delta",
        convolution=(2 * key + value) * (kernel - 1),
        state=value * facts.number("linear_key_head_dim"),
        state_bytes=state_dtype_bytes(facts),
    )
    return matrices, cache


def kimi_delta(facts: Facts) -> Mixer:
    """Kimi delta attention: a delta net whose gates are low-rank."""
    inner_facts = Facts(facts.under("linear_attn_config") or facts.config, facts.model_type, facts.missing)
    hidden = facts.needed("hidden_size")
    heads = inner_facts.number("num_heads") or inner_facts.needed("linear_num_heads")
    dim = inner_facts.number("head_dim") if inner_facts.config is not facts.config else 0
    dim = dim or facts.number("linear_head_dim") or 128
    kernel = inner_facts.number("short_conv_kernel_size") or facts.number("linear_conv_kernel_dim") or 4
    width = heads * dim
    name = "self_attn"
    matrices = (
        *(column(f"{name}.{part}_proj", Part.STATE, hidden, width) for part in "qkv"),
        _inner(f"{name}.conv1d", 3 * width * kernel),
        _inner(f"{name}.scalars", width + heads),
        whole(f"{name}.f_a_proj", Part.STATE, hidden, dim),
        column(f"{name}.f_b_proj", Part.STATE, dim, width),
        column(f"{name}.b_proj", Part.STATE, hidden, heads),
        whole(f"{name}.g_a_proj", Part.STATE, hidden, dim),
        column(f"{name}.g_b_proj", Part.STATE, dim, width),
        vector(f"{name}.o_norm", Part.NORMS, dim),
        row(f"{name}.o_proj", Part.STATE, width, hidden),
    )
    cache = StateCache(kind="delta", convolution=3 * width * (kernel - 1), state=width * dim, state_bytes=4)
    return matrices, cache


def lightning(facts: Facts) -> Mixer:
    """Lightning attention (MiniMax): linear attention with an output gate and a 32-bit state."""
    hidden, heads = facts.needed("hidden_size"), facts.needed("num_attention_heads")
    dim = facts.number("head_dim") or (hidden // heads if heads else 0)
    width = heads * dim
    name = "self_attn"
    matrices = (
        column(f"{name}.qkv_proj", Part.STATE, hidden, 3 * width),
        column(f"{name}.output_gate", Part.STATE, hidden, width),
        row(f"{name}.out_proj", Part.STATE, width, hidden),
        _inner(f"{name}.norm", width),
    )
    return matrices, StateCache(kind="lightning", convolution=0, state=width * dim, state_bytes=4)


def short_convolution(facts: Facts) -> Mixer:
    """A gated convolution over the last tokens (LFM2)."""
    hidden, kernel = facts.needed("hidden_size"), facts.number("conv_L_cache") or 3
    biased = facts.flag("conv_bias")
    matrices = (
        column("conv.in_proj", Part.STATE, hidden, 3 * hidden, bias=biased),
        _inner("conv.conv", hidden * (kernel + (1 if biased else 0))),
        row("conv.out_proj", Part.STATE, hidden, hidden, bias=biased),
    )
    return matrices, StateCache(kind="conv", convolution=hidden * (kernel - 1), state=0)


MIXERS: Mapping[str, Callable[[Facts], Mixer]] = {
    "mamba1": mamba1,
    "mamba2": mamba2,
    "delta": delta,
    "kimi-delta": kimi_delta,
    "lightning": lightning,
    "convolution": short_convolution,
}
