"""Decoders of the usual shape: attention over keys and values, then an MLP or a mixture of experts.

Called by the family dispatcher. Families differ by the rows of `rules`; what has other mixers (latent attention,
state spaces) has readers of its own that reuse the parts here.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.sizing.families.experts import Experts, feed_forward, is_sparse, read_experts
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.kinds import attends
from compiler.sizing.families.latent import latent_cache, latent_matrices
from compiler.sizing.families.rules import PLAIN, Bias, Rules, rules_of
from compiler.sizing.families.states import MIXERS
from compiler.sizing.families.structure import Structure, column, norms, row, vector, whole
from compiler.sizing.families.windows import window_of
from compiler.sizing.layers import AttentionCache, Cache, Layer, Matrix, Part, Split


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Sizes of one attention layer."""

    hidden: int
    heads: int
    key_value_heads: int
    key_dim: int
    value_dim: int
    query_bias: bool = False
    output_bias: bool = False
    norm: int = 0
    """Parameters of the norms of queries and keys."""
    sinks: bool = False
    gate: bool = False
    """Queries carry a gate of their own size."""


def read_decoder(facts: Facts) -> Structure:
    """A decoder of the usual shape."""
    rules = rules_of(facts)
    structure = Structure()
    if rules is None:
        rules = PLAIN
        structure.assumed.append(f"family `{facts.model_type or 'unnamed'}` read as a plain decoder")
    attention = read_attention(facts, rules)
    experts = read_experts(facts, rules)
    add_layers(structure, facts, rules, attention, experts)
    finish_decoder(structure, facts, rules, attention, experts)
    return structure


def read_attention(facts: Facts, rules: Rules) -> Attention:
    """Heads and sizes of attention; a `head_dim` that is not given is the hidden size over the heads."""
    hidden = facts.needed("hidden_size")
    heads = facts.needed("num_attention_heads")
    key_value_heads = key_value_heads_of(facts, heads)
    head_dim = facts.number("head_dim") or (hidden // heads if heads else 0)
    if hidden and heads and not head_dim:
        facts.lack("head_dim")
    return Attention(
        hidden=hidden,
        heads=heads,
        key_value_heads=key_value_heads,
        key_dim=head_dim,
        value_dim=facts.number("v_head_dim") or head_dim,
        query_bias=bias_of(facts, rules.query_bias),
        output_bias=bias_of(facts, rules.output_bias),
        norm=_query_key_norm(facts, rules, heads, key_value_heads, head_dim),
        sinks=rules.sinks,
        gate=rules.output_gate and facts.flag("attn_output_gate", default=True),
    )


def key_value_heads_of(facts: Facts, heads: int) -> int:
    """Key-value heads: as given, one for multi-query models, else one for each head."""
    if facts.flag("multi_query") and not facts.flag("new_decoder_architecture"):
        return 1
    return facts.number("num_key_value_heads") or heads


def bias_of(facts: Facts, bias: Bias) -> bool:
    """Whether a linear has a bias, by rule or by the configuration's key."""
    return facts.flag(bias) if isinstance(bias, str) else bias


def attention_matrices(shape: Attention, name: str = "self_attn") -> tuple[Matrix, ...]:
    """Query, key, value and output projections with the norms between them."""
    queries = shape.heads * shape.key_dim * (2 if shape.gate else 1)
    keys, values = shape.key_value_heads * shape.key_dim, shape.key_value_heads * shape.value_dim
    extra = shape.norm
    return (
        column(f"{name}.q_proj", Part.ATTENTION, shape.hidden, queries, bias=shape.query_bias),
        _key_value(f"{name}.k_proj", shape, keys),
        _key_value(f"{name}.v_proj", shape, values),
        row(f"{name}.o_proj", Part.ATTENTION, shape.heads * shape.value_dim, shape.hidden, bias=shape.output_bias),
        *norms(f"{name}.norms", extra),
        *((vector(f"{name}.sinks", Part.ATTENTION, shape.heads, split=Split.COLUMN),) if shape.sinks else ()),
    )


def attention_cache(shape: Attention, window: int | None) -> AttentionCache:
    """What attention keeps for a token."""
    return AttentionCache(
        key_value_heads=shape.key_value_heads, key_dim=shape.key_dim, value_dim=shape.value_dim, window=window
    )


def add_layers(structure: Structure, facts: Facts, rules: Rules, attention: Attention, experts: Experts | None) -> None:
    """Every layer in order, each kind built once."""
    for index in range(facts.layers()):
        sparse = experts is not None and is_sparse(facts, index)
        attending = not rules.mixer or rules.beside or attends(facts, index)
        window = window_of(facts, rules, index) if attending else None
        if structure.known((sparse, attending, window)):
            continue
        mixers, caches = _mixers(facts, rules, attention, attending=attending, window=window)
        matrices = (
            *mixers,
            *feed_forward(facts, rules, experts if sparse else None),
            *norms("norms", rules.norms * rules.norm_width * attention.hidden + _sub_norms(facts)),
        )
        structure.add((sparse, attending, window), Layer(matrices=matrices, caches=caches))


def _mixers(
    facts: Facts, rules: Rules, attention: Attention, *, attending: bool, window: int | None
) -> tuple[tuple[Matrix, ...], tuple[Cache, ...]]:
    """The matrices and caches of what mixes tokens in one layer."""
    matrices: tuple[Matrix, ...] = ()
    caches: tuple[Cache, ...] = ()
    if attending:
        if rules.latent:
            matrices, caches = latent_matrices(facts), (latent_cache(facts),)
        else:
            matrices, caches = attention_matrices(attention), (attention_cache(attention, window),)
    if rules.mixer and (rules.beside or not attending):
        state, cache = MIXERS[rules.mixer](facts)
        matrices, caches = (*matrices, *state), (*caches, cache)
    return matrices, caches


def _sub_norms(facts: Facts) -> int:
    """BitNet's norm before the down-projection is of the MLP's width."""
    return facts.number("intermediate_size") if facts.model_type == "bitnet" else 0


def finish_decoder(
    structure: Structure, facts: Facts, rules: Rules, attention: Attention, experts: Experts | None
) -> None:
    """Embeddings, head, final norm and the numbers that estimates ask for by name."""
    hidden, vocabulary = attention.hidden, facts.needed("vocab_size")
    structure.hidden_size, structure.vocabulary_size = hidden, vocabulary
    structure.heads, structure.key_value_heads = attention.heads, attention.key_value_heads
    structure.head_dim = attention.key_dim
    structure.tied = facts.flag("tie_word_embeddings", default=rules.tied)
    structure.intermediate_size = facts.number("intermediate_size")
    if experts is not None:
        structure.experts, structure.experts_per_token = experts.count, experts.active
        structure.expert_intermediate_size = experts.width
    structure.outside.extend(table_matrices(hidden, vocabulary, tied=structure.tied, facts=facts, rules=rules))


def table_matrices(hidden: int, vocabulary: int, *, tied: bool, facts: Facts, rules: Rules) -> list[Matrix]:
    """The embedding table (narrower where `word_embed_proj_dim` says so), positions, the final norm and the head."""
    width = facts.number("word_embed_proj_dim") or hidden
    made = [embedding(vocabulary, width)]
    if width != hidden:
        made.extend(
            (whole("project_in", Part.EMBEDDINGS, width, hidden), whole("project_out", Part.HEAD, hidden, width))
        )
    if rules.embedding_norms:
        made.extend(norms("embed_norm", rules.embedding_norms * hidden))
    if rules.positions is not None:
        rows = facts.needed("max_position_embeddings") + rules.positions
        made.append(vector("embed_positions", Part.EMBEDDINGS, rows * hidden))
    if rules.final_norm and facts.flag("do_layer_norm_before", default=True):
        made.extend(norms("norm", rules.norm_width * hidden))
    if _headless(facts):
        return made
    if not tied:
        made.append(head(vocabulary, hidden, bias=bias_of(facts, rules.head_bias)))
    elif bias_of(facts, rules.head_bias):
        made.append(vector("lm_head.bias", Part.HEAD, vocabulary))
    return made


def _headless(facts: Facts) -> bool:
    """Whether the class is a bare model, as those of embeddings are (ChatGLM calls a model with a head so)."""
    if facts.model_type == "chatglm":
        return False
    return any(name.endswith("Model") and not name.endswith("LMHeadModel") for name in facts.words("architectures")[:1])


def embedding(vocabulary: int, hidden: int, name: str = "embed_tokens") -> Matrix:
    """The table of token embeddings."""
    return Matrix(
        name=name, part=Part.EMBEDDINGS, inputs=hidden, outputs=vocabulary, split=Split.VOCABULARY, linear=False
    )


def head(vocabulary: int, hidden: int, *, bias: bool = False) -> Matrix:
    """The language-model head; formats leave it in 16 bits unless a checkpoint says otherwise."""
    return Matrix(
        name="lm_head",
        part=Part.HEAD,
        inputs=hidden,
        outputs=vocabulary,
        split=Split.VOCABULARY,
        bias=bias,
        linear=False,
    )


def _key_value(name: str, shape: Attention, outputs: int) -> Matrix:
    return Matrix(
        name=name,
        part=Part.ATTENTION,
        inputs=shape.hidden,
        outputs=outputs,
        split=Split.KEY_VALUE,
        heads=shape.key_value_heads,
        bias=shape.query_bias,
    )


def _query_key_norm(facts: Facts, rules: Rules, heads: int, key_value_heads: int, head_dim: int) -> int:
    if rules.query_key_norm_key is not None and not facts.flag(rules.query_key_norm_key):
        return 0
    features = {"none": 0, "head": 2 * head_dim, "full": (heads + key_value_heads) * head_dim}
    return features[rules.query_key_norm] * rules.query_key_norm_width
