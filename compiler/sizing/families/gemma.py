"""Gemma 3n and Gemma 4: embeddings for each layer, keys and values shared by the last layers, two sizes of heads.

Called by the family dispatcher.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.sizing.families.decoder import (
    Attention,
    attention_cache,
    attention_matrices,
    finish_decoder,
    read_attention,
)
from compiler.sizing.families.experts import expert_matrices, mlp, read_experts
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.rules import Rules
from compiler.sizing.families.structure import Structure, norms, vector, whole
from compiler.sizing.families.windows import window_of
from compiler.sizing.layers import Layer, Matrix, Part, Split

_GEMMA_3N = Rules(norms=4, windows="every", period=5, tied=True)
_GEMMA_4 = Rules(norms=4, windows="every", period=6, tied=True)


def read_gemma3n(facts: Facts) -> Structure:
    """Gemma 3n: alternating updates, LAuReL and per-layer embeddings beside each layer."""
    structure = Structure()
    attention = read_attention(facts, _GEMMA_3N)
    widths = facts.numbers("intermediate_size")
    layers = facts.layers()
    owners = layers - facts.number("num_kv_shared_layers")
    for index in range(layers):
        width = widths[index] if index < len(widths) else facts.number("intermediate_size")
        window = window_of(facts, _GEMMA_3N, index)
        key = (width, window, index < owners)
        if structure.known(key):
            continue
        matrices = (
            *_attention(attention, shared=index >= owners, same=False),
            *mlp(attention.hidden, width),
            *_beside_3n(facts, attention.hidden),
        )
        caches = (attention_cache(attention, window),) if index < owners else ()
        structure.add(key, Layer(matrices=matrices, caches=caches))
    finish_decoder(structure, facts, _GEMMA_3N, attention, None)
    structure.intermediate_size = max(widths, default=facts.number("intermediate_size"))
    extra = 2 * (facts.number("altup_num_inputs") - 1)
    structure.outside.extend(_tables(facts, attention.hidden, layers))
    structure.outside.extend(
        whole("altup_projections", Part.MLP, attention.hidden, attention.hidden) for _ in range(extra)
    )
    return structure


def read_gemma4(facts: Facts) -> Structure:
    """Gemma 4: wider heads in full-attention layers, keys that serve as values, experts beside the MLP."""
    structure = Structure()
    attention = read_attention(facts, _GEMMA_4)
    layers = facts.layers()
    owners = layers - facts.number("num_kv_shared_layers")
    for index in range(layers):
        window = window_of(facts, _GEMMA_4, index) if index < layers - 1 else None
        key = (window, index < owners)
        if structure.known(key):
            continue
        shape = attention if window else _global(facts, attention, index)
        same = facts.flag("attention_k_eq_v") and window is None
        matrices = (
            *_attention(shape, shared=index >= owners, same=same),
            *_feeds(facts, attention.hidden, shared=index >= owners),
            *norms("norms", 4 * attention.hidden),
            *_per_layer(facts, attention.hidden),
        )
        structure.add(key, Layer(matrices=matrices, caches=(attention_cache(shape, window),) if index < owners else ()))
    finish_decoder(structure, facts, _GEMMA_4, attention, read_experts(facts, _GEMMA_4) if _moe(facts) else None)
    structure.outside.extend(_tables(facts, attention.hidden, layers))
    return structure


def _global(facts: Facts, attention: Attention, index: int) -> Attention:
    """Attention of a layer that sees everything."""
    own = facts.under("per_layer_config") or {}
    level = own.get(f"{index:02d}", own.get(str(index)))
    override = Facts(level if isinstance(level, dict) else {}, "", facts.missing)
    dim = override.number("head_dim") or facts.number("global_head_dim") or 512
    heads = override.number("num_key_value_heads")
    if not heads and facts.flag("attention_k_eq_v"):
        heads = facts.number("num_global_key_value_heads")
    return replace(attention, key_dim=dim, value_dim=dim, key_value_heads=heads or attention.key_value_heads)


def _attention(shape: Attention, *, shared: bool, same: bool) -> tuple[Matrix, ...]:
    """Projections with norms of queries and keys; layers that read others' keys have queries alone."""
    made = [*attention_matrices(shape)]
    if shared:
        made = [matrix for matrix in made if matrix.split is not Split.KEY_VALUE]
    elif same:
        made = [matrix for matrix in made if not matrix.name.endswith("v_proj")]
    return (*made, *norms("self_attn.norms", shape.key_dim * (1 if shared else 2)))


def _moe(facts: Facts) -> bool:
    return facts.flag("enable_moe_block")


def _feeds(facts: Facts, hidden: int, *, shared: bool) -> tuple[Matrix, ...]:
    width = facts.needed("intermediate_size") * (2 if shared and facts.flag("use_double_wide_mlp") else 1)
    dense = mlp(hidden, width)
    experts = read_experts(facts, _GEMMA_4) if _moe(facts) else None
    if experts is None:
        return dense
    return (
        *dense,
        vector("router", Part.ROUTER, hidden * experts.count + hidden + experts.count),
        *expert_matrices(hidden, experts, gated=True, bias=False, name="experts"),
        *norms("moe_norms", 3 * hidden),
    )


def _per_layer(facts: Facts, hidden: int) -> tuple[Matrix, ...]:
    width = facts.number("hidden_size_per_layer_input")
    if not width:
        return ()
    return (
        whole("per_layer_input_gate", Part.MLP, hidden, width),
        whole("per_layer_projection", Part.MLP, width, hidden),
        *norms("post_per_layer_input_norm", hidden),
    )


def _beside_3n(facts: Facts, hidden: int) -> tuple[Matrix, ...]:
    inputs, rank = facts.number("altup_num_inputs"), facts.number("laurel_rank")
    return (
        *norms("norms", 4 * hidden),
        vector("altup", Part.NORMS, 2 * hidden + inputs**2 + inputs**3 + inputs * hidden),
        whole("laurel.linear_left", Part.MLP, hidden, rank),
        whole("laurel.linear_right", Part.MLP, rank, hidden),
        *norms("laurel.post_laurel_norm", hidden),
        *_per_layer(facts, hidden),
    )


def _tables(facts: Facts, hidden: int, layers: int) -> tuple[Matrix, ...]:
    """Embeddings of each token for each layer, their projection and its norm."""
    width = facts.number("hidden_size_per_layer_input")
    if not width:
        return ()
    rows = facts.needed("vocab_size_per_layer_input")
    return (
        Matrix(
            name="embed_tokens_per_layer",
            part=Part.EMBEDDINGS,
            inputs=layers * width,
            outputs=rows,
            split=Split.VOCABULARY,
            linear=False,
        ),
        whole("per_layer_model_projection", Part.EMBEDDINGS, hidden, layers * width),
        *norms("per_layer_projection_norm", width),
    )
