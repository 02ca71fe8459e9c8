"""Models whose layers are single blocks (Mamba, Nemotron-H) or differ one by one (Nemotron-NAS).

Called by the family dispatcher.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.sizing.families.decoder import (
    attention_cache,
    attention_matrices,
    embedding,
    finish_decoder,
    head,
    read_attention,
)
from compiler.sizing.families.experts import Experts, expert_matrices, mlp, read_experts, router
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.kinds import kind_list
from compiler.sizing.families.rules import PLAIN, Rules
from compiler.sizing.families.states import Mixer, mamba1, mamba2
from compiler.sizing.families.structure import Structure, norms, whole
from compiler.sizing.json_values import Json
from compiler.sizing.layers import Layer, Matrix, Part

_BLOCKS = Rules(gated_mlp=False, norms=1)


def read_mamba(facts: Facts) -> Structure:
    """Mamba, Mamba-2 and Falcon-Mamba: one mixer and one norm in every layer, no MLP."""
    mixer: Mixer = mamba2(facts) if facts.model_type == "mamba2" else mamba1(facts)
    hidden, vocabulary = facts.needed("hidden_size"), facts.needed("vocab_size")
    structure = Structure(hidden_size=hidden, vocabulary_size=vocabulary)
    matrices, cache = mixer
    layer = Layer(matrices=(*matrices, *norms("norm", hidden)), caches=(cache,))
    for _ in range(facts.layers()):
        if not structure.known("block"):
            structure.add("block", layer)
    structure.tied = facts.flag("tie_word_embeddings", default=True)
    structure.intermediate_size = facts.number("intermediate_size") or 2 * hidden
    structure.outside.extend((embedding(vocabulary, hidden), *norms("norm_f", hidden)))
    if not structure.tied:
        structure.outside.append(head(vocabulary, hidden))
    return structure


def read_nemotron_h(facts: Facts) -> Structure:
    """Nemotron-H: every layer is a mixer, an attention, an MLP or a mixture of experts, behind one norm."""
    kinds = kind_list(facts)
    if not kinds:
        facts.lack("hybrid_override_pattern")
    structure = Structure()
    attention, experts = read_attention(facts, _BLOCKS), read_experts(facts, _BLOCKS)
    for kind in kinds:
        if structure.known(kind):
            continue
        structure.add(kind, _block(facts, kind, attention.hidden, experts))
    finish_decoder(structure, facts, _BLOCKS, attention, experts)
    return structure


def _block(facts: Facts, kind: str, hidden: int, experts: Experts | None) -> Layer:
    norm = norms("norm", hidden)
    if kind in {"mamba", "linear_attention"}:
        matrices, cache = mamba2(facts)
        return Layer(matrices=(*matrices, *norm), caches=(cache,))
    if kind in {"attention", "full_attention"}:
        attention = read_attention(facts, _BLOCKS)
        return Layer(matrices=(*attention_matrices(attention), *norm), caches=(attention_cache(attention, None),))
    if kind == "moe" and experts is not None:
        return Layer(matrices=(*_mixture(facts, hidden, experts), *norm))
    bias = facts.flag("mlp_bias")
    return Layer(matrices=(*mlp(hidden, facts.needed("intermediate_size"), gated=False, bias=bias), *norm))


def _mixture(facts: Facts, hidden: int, experts: Experts) -> tuple[Matrix, ...]:
    """Experts without gates, at a latent width where `moe_latent_size` is given, and a shared one beside them."""
    latent = facts.number("moe_latent_size")
    shared = facts.number("moe_shared_expert_intermediate_size") * max(1, facts.number("n_shared_experts"))
    projections: tuple[Matrix, ...] = ()
    if latent:
        projections = (
            whole("mixer.fc1_latent_proj", Part.MLP, hidden, latent),
            whole("mixer.fc2_latent_proj", Part.MLP, latent, hidden),
        )
    return (
        *router(hidden, experts.count, bias=False),
        *expert_matrices(latent or hidden, experts, gated=False, bias=False),
        *(mlp(hidden, shared, gated=False, name="mixer.shared_experts") if shared else ()),
        *projections,
    )


def read_nemotron_nas(facts: Facts) -> Structure:
    """Nemotron-NAS (DeciLM): Llama layers of which each may lack attention or have an MLP of its own width."""
    structure = Structure()
    attention = read_attention(facts, PLAIN)
    blocks = facts.value("block_configs")
    found = blocks if isinstance(blocks, (list, tuple)) else ()
    if not found:
        facts.lack("block_configs")
    for block in found:
        inner = Facts(block if isinstance(block, Mapping) else {}, "", facts.missing)
        group, width = _group(inner), _width(inner, attention.hidden)
        if not structure.known((group, width)):
            structure.add((group, width), _nas_layer(facts, group, width, attention.hidden))
    finish_decoder(structure, facts, PLAIN, attention, None)
    structure.intermediate_size = max(
        (_width(Facts(b, "", facts.missing), attention.hidden) for b in found if isinstance(b, Mapping)), default=0
    )
    return structure


def _nas_layer(facts: Facts, group: int, width: int, hidden: int) -> Layer:
    config: dict[str, Json] = dict(facts.config)
    matrices: tuple[Matrix, ...] = ()
    caches = ()
    if group:
        config["num_key_value_heads"] = facts.needed("num_attention_heads") // group
        attention = read_attention(Facts(config, facts.model_type, facts.missing), PLAIN)
        matrices, caches = attention_matrices(attention), (attention_cache(attention, None),)
    feed = mlp(hidden, width) if width else ()
    norm = norms("norms", hidden * (bool(group) + bool(width)))
    return Layer(matrices=(*matrices, *feed, *norm), caches=caches)


def _group(block: Facts) -> int:
    attention = Facts(block.under("attention") or {}, "", block.missing)
    return 0 if attention.flag("no_op") else attention.number("n_heads_in_group")


def _width(block: Facts, hidden: int) -> int:
    feed = Facts(block.under("ffn") or {}, "", block.missing)
    if feed.flag("no_op"):
        return 0
    exact = int(2 * feed.share("ffn_mult") * hidden / 3)
    return (exact + 255) // 256 * 256
