"""How the families of decoders differ from each other: biases, norms, windows and experts, as data.

Called by `decoder`. Each row says only what differs from the plain case (Llama). Every row is checked, parameter for
parameter, against the model classes of transformers 5.17 in tests/unit/compiler/sizing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Bias = bool | str
"""Whether a linear has a bias: always, never, or as a key of the configuration says."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What one family does. Widths of norms: 1 for RMS norms, 2 where a bias stands beside the weight."""

    query_bias: Bias = "attention_bias"
    """Of the query, key and value projections."""
    output_bias: Bias = "attention_bias"
    mlp_bias: Bias = False
    gated_mlp: bool = True
    norms: int = 2
    """Norms of the hidden size in one layer."""
    norm_width: int = 1
    """Parameters of a norm per feature: 0 for norms without parameters."""
    query_key_norm: Literal["none", "head", "full"] = "none"
    """`head`: one of the head's size each; `full`: over all heads."""
    query_key_norm_key: str | None = None
    """The key of the configuration that switches these norms on; None where the family always has them."""
    query_key_norm_width: int = 1
    final_norm: bool = True
    head_bias: Bias = False
    positions: int | None = None
    """Learned positions: rows beyond `max_position_embeddings`; None where there is no table."""
    sinks: bool = False
    """One learned attention sink for each head."""
    windows: Literal["none", "all", "alternate", "every", "qwen", "types", "chunks"] = "types"
    """Which layers slide where the configuration has no `layer_types`: none, all, every second, all but each n-th,
    those from `max_window_layers` on."""
    period: int = 1
    """`every`: each n-th layer sees everything."""
    router_bias: bool = False
    correction_bias: bool = False
    """One bias of the router's scores for each expert."""
    expert_bias: bool = False
    shared_gate: bool = False
    """One further row that weighs the shared expert."""
    expert_width: str = "moe_intermediate_size"


PLAIN = Rules()
_GPT = Rules(
    query_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norm_width=2, positions=0, windows="none"
)
_QWEN2 = Rules(query_bias=True, output_bias=False, windows="qwen")
_QWEN3 = Rules(query_key_norm="head", windows="qwen")
_GEMMA2 = Rules(norms=4, windows="alternate")
_GEMMA3 = Rules(norms=4, query_key_norm="head", windows="every", period=6)
_BIASLESS = Rules(query_bias=False, output_bias=False)

RULES: Mapping[str, Rules] = {
    "llama": Rules(mlp_bias="mlp_bias"),
    "mistral": replace(_BIASLESS, windows="all"),
    "ministral": replace(_BIASLESS, windows="types"),
    "mixtral": replace(_BIASLESS, windows="all", expert_width="intermediate_size"),
    "qwen2": _QWEN2,
    "qwen2_moe": replace(_QWEN2, query_bias="qkv_bias", shared_gate=True),
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3,
    "gemma": PLAIN,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA3,
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "phi": replace(_GPT, norms=1, positions=None, head_bias=True),
    "phi3": replace(_BIASLESS, windows="all"),
    "gpt_neox": replace(_GPT, query_bias="attention_bias", output_bias="attention_bias", positions=None),
    "gptj": Rules(
        query_bias=False, output_bias=False, mlp_bias=True, gated_mlp=False, norms=1, norm_width=2, head_bias=True
    ),
    "starcoder2": Rules(
        query_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", gated_mlp=False, norm_width=2, windows="all"
    ),
    "gpt_oss": Rules(
        sinks=True, windows="alternate", router_bias=True, expert_bias=True, expert_width="intermediate_size"
    ),
    "cohere": Rules(norms=1, query_key_norm="full", query_key_norm_key="use_qk_norm"),
    "cohere2": Rules(norms=1, windows="every", period=4),
    "olmo": replace(PLAIN, norm_width=0),
    "olmo2": Rules(query_key_norm="full"),
    "olmo3": Rules(query_key_norm="full", windows="every", period=4),
    "olmoe": Rules(query_key_norm="full", expert_width="intermediate_size"),
    "granite": Rules(mlp_bias="mlp_bias"),
    "nemotron": Rules(mlp_bias="mlp_bias", gated_mlp=False, norm_width=2),
    "seed_oss": Rules(output_bias="attention_out_bias", mlp_bias="mlp_bias"),
    "glm": replace(PLAIN, output_bias=False),
    "glm4": replace(PLAIN, output_bias=False, norms=4),
    "glm4_moe": Rules(output_bias=False, query_key_norm="head", query_key_norm_key="use_qk_norm", correction_bias=True),
    "ernie4_5": Rules(query_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias"),
    "ernie4_5_moe": Rules(
        query_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", expert_bias=False, correction_bias=True
    ),
    "smollm3": Rules(mlp_bias="mlp_bias"),
    "stablelm": Rules(query_bias="use_qkv_bias", output_bias=False, norm_width=2),
    "exaone4": Rules(query_bias=False, output_bias=False, query_key_norm="head", windows="types"),
    "hunyuan_v1_dense": Rules(query_key_norm="head"),
    "hunyuan_v1_moe": Rules(query_key_norm="head", expert_width="intermediate_size"),
    "minimax_m2": Rules(
        query_bias=False,
        output_bias=False,
        query_key_norm="full",
        correction_bias=True,
        expert_width="intermediate_size",
    ),
    "dots1": Rules(query_key_norm="head", correction_bias=True),
    "phimoe": Rules(norm_width=2, head_bias="lm_head_bias", windows="all", expert_width="intermediate_size"),
    "granitemoe": Rules(expert_width="intermediate_size"),
    "arcee": Rules(mlp_bias="mlp_bias", gated_mlp=False),
    "apertus": Rules(gated_mlp=False, query_key_norm="head"),
    "helium": Rules(mlp_bias="mlp_bias"),
    "baichuan": _BIASLESS,
    "internlm": Rules(query_bias="bias", output_bias="bias"),
    "internlm2": Rules(query_bias="bias", output_bias="bias"),
    "internlm3": Rules(query_bias="qkv_bias", output_bias="bias", mlp_bias="bias"),
    "qwen": Rules(query_bias=True, output_bias=False),
    "xverse": _BIASLESS,
    "minicpm": _BIASLESS,
    "exaone": _BIASLESS,
    "aquila": _BIASLESS,
    "orion": replace(_BIASLESS, norm_width=2),
    "deepseek": PLAIN,
    "mpt": Rules(query_bias=False, output_bias=False, gated_mlp=False),
}


def rules_of(model_type: str) -> Rules | None:
    """The rules of a model type; None where none are written."""
    return RULES.get(model_type)
