"""How the families of decoders differ from each other: biases, norms, windows and experts, as data.

Called by `decoder`. Each row says only what differs from the plain case (Llama). Every row is checked, parameter for
parameter, against the model classes of transformers 5.17 in tests/unit/compiler/sizing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from compiler.sizing.families.facts import Facts

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
    expert_bias: bool = False
    shared_gate: bool = False
    """One further row that weighs the shared expert."""
    expert_width: str = "moe_intermediate_size"
    latent: bool = False
    """Attention keeps latent vectors (MLA)."""
    output_gate: bool = False
    """Queries carry a gate of their own size."""
    mixer: Literal["", "mamba1", "mamba2", "delta", "kimi-delta", "lightning", "convolution"] = ""
    """Of the layers that do not attend, in hybrid models."""
    beside: bool = False
    """Attention and the mixer stand side by side in every layer."""
    embedding_norms: int = 0
    """Norms of the hidden size at the embeddings."""
    tied: bool = False
    """Whether the head is the embedding table where the configuration does not say."""


PLAIN = Rules()
_GPT = Rules(
    query_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norm_width=2, positions=0, windows="none"
)
_QWEN2 = Rules(query_bias=True, output_bias=False, windows="qwen")
_QWEN3 = Rules(query_key_norm="head", windows="qwen")
_GEMMA2 = Rules(norms=4, windows="alternate")
_GEMMA3 = Rules(norms=4, query_key_norm="head", windows="every", period=6)
_BIASLESS = Rules(query_bias=False, output_bias=False)
_LATENT = Rules(latent=True)
_QWEN_HYBRID = Rules(query_key_norm="head", mixer="delta", output_gate=True, shared_gate=True)

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
    "glm4_moe": Rules(output_bias=False, query_key_norm="head", query_key_norm_key="use_qk_norm"),
    "ernie4_5": Rules(query_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias"),
    "ernie4_5_moe": Rules(query_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", expert_bias=False),
    "smollm3": Rules(mlp_bias="mlp_bias"),
    "stablelm": Rules(query_bias="use_qkv_bias", output_bias=False, norm_width=2),
    "exaone4": Rules(query_bias=False, output_bias=False, query_key_norm="head", windows="types"),
    "hunyuan_v1_dense": Rules(query_key_norm="head"),
    "hunyuan_v1_moe": Rules(query_key_norm="head", expert_width="intermediate_size"),
    "minimax_m2": Rules(
        query_bias=False,
        output_bias=False,
        query_key_norm="full",
        expert_width="intermediate_size",
    ),
    "dots1": Rules(query_key_norm="head"),
    "phimoe": Rules(norm_width=2, head_bias="lm_head_bias", windows="all", expert_width="intermediate_size"),
    "granitemoe": Rules(expert_width="intermediate_size"),
    "arcee": Rules(mlp_bias="mlp_bias", gated_mlp=False),
    "apertus": Rules(gated_mlp=False, query_key_norm="head"),
    "helium": Rules(mlp_bias="mlp_bias"),
    "falcon": Rules(query_bias="bias", output_bias="bias", mlp_bias="bias", gated_mlp=False, norm_width=2, tied=True),
    "dbrx": Rules(query_bias=False, output_bias=False, expert_width="ffn_hidden_size"),
    "phi3small": Rules(query_bias=True, output_bias=True, mlp_bias=True, norm_width=2, tied=True),
    "baichuan": _BIASLESS,
    "internlm": Rules(query_bias="bias", output_bias="bias"),
    "internlm2": Rules(query_bias="bias", output_bias="bias"),
    "internlm3": Rules(query_bias="qkv_bias", output_bias="bias", mlp_bias="bias"),
    "qwen": Rules(query_bias=True, output_bias=False),
    "xverse": _BIASLESS,
    "minicpm": replace(_BIASLESS, tied=True),
    "exaone": _BIASLESS,
    "aquila": _BIASLESS,
    "orion": replace(_BIASLESS, norm_width=2),
    "deepseek": PLAIN,
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "deepseek_v32": _LATENT,
    "kimi_k2": _LATENT,
    "glm4_moe_lite": _LATENT,
    "glm_moe_dsa": _LATENT,
    "minicpm3": _LATENT,
    "youtu": _LATENT,
    "axk1": _LATENT,
    "qwen3_next": _QWEN_HYBRID,
    "qwen3_5_text": _QWEN_HYBRID,
    "qwen3_5_moe_text": _QWEN_HYBRID,
    "olmo_hybrid": Rules(query_key_norm="full", mixer="delta"),
    "kimi_linear": Rules(latent=True, mixer="kimi-delta"),
    "bamba": Rules(mixer="mamba2", mlp_bias="mlp_bias"),
    "granitemoehybrid": Rules(mixer="mamba2", expert_width="intermediate_size"),
    "granitemoeshared": Rules(expert_width="intermediate_size"),
    "falcon_h1": Rules(mixer="mamba2", beside=True, mlp_bias="mlp_bias"),
    "jamba": Rules(query_bias=False, output_bias=False, mixer="mamba1", expert_width="intermediate_size"),
    "minimax": Rules(query_bias=False, output_bias=False, mixer="lightning", expert_width="intermediate_size"),
    "minimax_text_01": Rules(query_bias=False, output_bias=False, mixer="lightning", expert_width="intermediate_size"),
    "lfm2": Rules(query_bias=False, output_bias=False, query_key_norm="head", mixer="convolution"),
    "lfm2_moe": Rules(query_bias=False, output_bias=False, query_key_norm="head", mixer="convolution"),
    "exaone_moe": Rules(query_bias=False, output_bias=False, query_key_norm="head", windows="types"),
    "flex_olmo": Rules(query_key_norm="full", expert_width="intermediate_size"),
    "opt": replace(_GPT, query_bias="enable_bias", output_bias="enable_bias", mlp_bias="enable_bias", positions=2),
    "bloom": replace(_GPT, positions=None, embedding_norms=2),
    "persimmon": replace(_GPT, positions=None, query_key_norm="head", query_key_norm_width=2),
    "gpt_neo": replace(_GPT, query_bias=False),
    "codegen": Rules(
        query_bias=False, output_bias=False, mlp_bias=True, gated_mlp=False, norms=1, norm_width=2, head_bias=True
    ),
    "llama4_text": Rules(expert_width="intermediate_size", windows="chunks"),
    "hy_v3": Rules(query_key_norm="head"),
    "mimo_v2_flash": PLAIN,
    "bitnet": Rules(norms=3),
    "cwm": _BIASLESS,
    "ministral3": _BIASLESS,
    "mistral4": _LATENT,
    "phi4_multimodal": _BIASLESS,
    "solar_open": PLAIN,
    "glm4v_text": Rules(query_bias=True, output_bias=False, norms=4),
    "glm4v_moe_text": Rules(output_bias=False, query_key_norm="head", query_key_norm_key="use_qk_norm"),
    "cohere2_moe": Rules(norms=1, windows="every", period=4, expert_width="intermediate_size"),
    "chatglm": Rules(query_bias="add_qkv_bias", output_bias="add_bias_linear", mlp_bias="add_bias_linear"),
    "qwen2_vl": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen3_vl": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "qwen3_vl_moe": _QWEN3,
    "qwen3_vl_moe_text": _QWEN3,
    "qwen2_5_omni_text": _QWEN2,
    "qwen3_omni_moe_text": _QWEN3,
    "mpt": Rules(query_bias=False, output_bias=False, gated_mlp=False),
}


def rules_of(facts: Facts) -> Rules | None:
    """The rules of a model type; None where none are written. Keys of the configuration change some."""
    rules = RULES.get(facts.model_type)
    if rules is None:
        return None
    match facts.model_type:
        case "falcon":
            return replace(rules, norms=_falcon_norms(facts))
        case "stablelm":
            parallel = facts.flag("use_parallel_residual")
            norm = "full" if facts.flag("qk_layernorm") else "none"
            return replace(rules, norms=1 if parallel else 2, query_key_norm=norm)
        case _:
            return rules


def _falcon_norms(facts: Facts) -> int:
    """The newer decoders norm attention and MLP apart, unless they say otherwise; parallel ones share one norm."""
    if facts.flag("new_decoder_architecture"):
        return facts.number("num_ln_in_parallel_attn") or 2
    return 1 if facts.flag("parallel_attn", default=True) else 2
