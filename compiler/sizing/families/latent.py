"""Multi-head latent attention: DeepSeek-V2 and its kin. Called by the decoder reader.

Queries, keys and values go through low-rank projections; engines cache one compressed vector for each token.
"""

from __future__ import annotations

from compiler.sizing.families.facts import Facts
from compiler.sizing.families.structure import column, norms, row, vector, whole
from compiler.sizing.layers import AttentionCache, Cache, LatentCache, Matrix, Part

_UNCOMPRESSED = frozenset(("minicpm3",))
"""Families whose keys and values engines keep whole, one for each head, in spite of the latent projections."""


def latent_matrices(facts: Facts, name: str = "self_attn") -> tuple[Matrix, ...]:
    """Projections of queries (through `q_lora_rank`, where it is given), latent keys and values, and the output."""
    hidden, heads = facts.needed("hidden_size"), facts.needed("num_attention_heads")
    rank, rope = facts.needed("kv_lora_rank"), facts.number("qk_rope_head_dim")
    nope, value = facts.number("qk_nope_head_dim"), facts.number("v_head_dim")
    bias = facts.flag("attention_bias")
    return (
        *_queries(facts, name, hidden, heads * (nope + rope)),
        whole(f"{name}.kv_a_proj_with_mqa", Part.ATTENTION, hidden, rank + rope, bias=bias),
        *norms(f"{name}.kv_a_layernorm", rank),
        column(f"{name}.kv_b_proj", Part.ATTENTION, rank, heads * (nope + value)),
        row(f"{name}.o_proj", Part.ATTENTION, heads * value, hidden, bias=bias),
        *_indexer(facts, name, hidden),
    )


def latent_cache(facts: Facts) -> Cache:
    """What a token leaves: the latent vector and the shared rotary key, with the indexer's key where there is one."""
    rope, nope = facts.number("qk_rope_head_dim"), facts.number("qk_nope_head_dim")
    if facts.model_type in _UNCOMPRESSED:
        heads = facts.number("num_attention_heads")
        return AttentionCache(key_value_heads=heads, key_dim=nope + rope, value_dim=nope + rope)
    return LatentCache(dim=facts.number("kv_lora_rank") + rope, indexer_dim=facts.number("index_head_dim"))


def _queries(facts: Facts, name: str, hidden: int, outputs: int) -> tuple[Matrix, ...]:
    rank = facts.number("q_lora_rank")
    if not rank:
        return (column(f"{name}.q_proj", Part.ATTENTION, hidden, outputs),)
    return (
        whole(f"{name}.q_a_proj", Part.ATTENTION, hidden, rank, bias=facts.flag("attention_bias")),
        *norms(f"{name}.q_a_layernorm", rank),
        column(f"{name}.q_b_proj", Part.ATTENTION, rank, outputs),
    )


def _indexer(facts: Facts, name: str, hidden: int) -> tuple[Matrix, ...]:
    """The indexer of sparse attention (DeepSeek-V3.2), whole on every rank."""
    dim, heads = facts.number("index_head_dim"), facts.number("index_n_heads")
    if not dim:
        return ()
    return (
        whole(f"{name}.indexer.wq_b", Part.ATTENTION, facts.number("q_lora_rank"), heads * dim),
        whole(f"{name}.indexer.wk", Part.ATTENTION, hidden, dim),
        vector(f"{name}.indexer.k_norm", Part.NORMS, 2 * dim),
        vector(f"{name}.indexer.weights_proj", Part.ATTENTION, hidden * heads),
    )
