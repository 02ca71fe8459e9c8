"""Encoder-decoders: T5, BART and Whisper with their kin. Decoder layers cache their own and the encoder's tokens.

Called by the family dispatcher.
"""

from __future__ import annotations

from compiler.sizing.families.decoder import embedding, head
from compiler.sizing.families.experts import mlp
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.structure import Structure, column, norms, row, vector
from compiler.sizing.layers import AttentionCache, Layer, Matrix, Part

T5_FAMILY = frozenset(("t5", "mt5", "umt5", "longt5"))
BART_FAMILY = frozenset(("bart", "mbart", "pegasus", "blenderbot", "marian", "m2m_100", "plbart", "whisper"))


def read_t5(facts: Facts) -> Structure:
    """T5: RMS norms, relative positions in the first layer of each half, heads of `d_kv`."""
    hidden, width = facts.needed("d_model"), facts.needed("d_ff")
    heads, head_dim = facts.needed("num_heads"), facts.needed("d_kv")
    layers = facts.layers("num_layers")
    gated = "gated" in (facts.text("feed_forward_proj") or "") or facts.flag("is_gated_act")
    structure = _structure(facts, hidden, width, heads, head_dim)
    attention = _attention("attention", hidden, heads * head_dim, bias=())
    feed = mlp(hidden, width, gated=gated)
    encoder = Layer(matrices=(*attention, *feed, *norms("norms", 2 * hidden)))
    decoder = Layer(
        matrices=(*attention, *attention, *feed, *norms("norms", 3 * hidden)), caches=_caches(heads, head_dim)
    )
    _stack(structure, encoder, layers, decoder, facts.layers("num_decoder_layers", layers))
    buckets = 2 * (facts.number("relative_attention_num_buckets") or 32) * heads
    every = layers + (facts.layers("num_decoder_layers", layers)) if facts.model_type == "umt5" else 2
    structure.outside.append(vector("relative_attention_bias", Part.ATTENTION, buckets // 2 * every))
    structure.outside.extend(norms("final_norms", 2 * hidden))
    return structure


def read_bart(facts: Facts) -> Structure:
    """BART, mBART, Pegasus and Whisper: layer norms with biases, learned positions."""
    hidden, width = facts.needed("d_model"), facts.needed("decoder_ffn_dim")
    heads = facts.needed("decoder_attention_heads")
    structure = _structure(facts, hidden, width, heads, hidden // heads if heads else 0)
    whisper = facts.model_type == "whisper"
    bias = ("q", "v", "o") if whisper else ("q", "k", "v", "o")
    attention = _attention("attention", hidden, hidden, bias=bias)
    encoder_feed = mlp(hidden, facts.needed("encoder_ffn_dim"), gated=False, bias=True)
    encoder = Layer(matrices=(*attention, *encoder_feed, *norms("norms", 4 * hidden)))
    decoder_feed = mlp(hidden, width, gated=False, bias=True)
    decoder = Layer(
        matrices=(*attention, *attention, *decoder_feed, *norms("norms", 6 * hidden)),
        caches=_caches(heads, structure.head_dim),
    )
    _stack(structure, encoder, facts.layers("encoder_layers"), decoder, facts.layers("decoder_layers"))
    structure.outside.extend(_ends(facts, hidden))
    return structure


def _ends(facts: Facts, hidden: int) -> list[Matrix]:
    """Positions, norms and Whisper's convolutions beside the layers."""
    if facts.model_type == "whisper":
        mels = facts.needed("num_mel_bins")
        positions = facts.needed("max_source_positions") + facts.needed("max_target_positions")
        convolutions = 3 * hidden * (mels + hidden) + 2 * hidden
        return [vector("conv", Part.VISION, convolutions), vector("positions", Part.EMBEDDINGS, positions * hidden),
                *norms("final_norms", 4 * hidden)]  # fmt: skip
    rows = facts.needed("max_position_embeddings") + (2 if facts.model_type in {"bart", "mbart", "plbart"} else 0)
    halves = 4 if facts.model_type in {"mbart", "plbart"} else 2  # a final norm of each half beside the first ones
    made = [vector("positions", Part.EMBEDDINGS, 2 * rows * hidden)]
    return [*made, *norms("norms", 2 * halves * hidden)]


def _structure(facts: Facts, hidden: int, width: int, heads: int, head_dim: int) -> Structure:
    vocabulary = facts.needed("vocab_size")
    structure = Structure(task="encoder-decoder", hidden_size=hidden, vocabulary_size=vocabulary, heads=heads)
    structure.key_value_heads, structure.head_dim, structure.intermediate_size = heads, head_dim, width
    structure.tied = facts.flag("tie_word_embeddings", default=True)
    structure.multimodal = facts.model_type == "whisper"
    structure.outside.append(embedding(vocabulary, hidden, "shared"))
    if not structure.tied:
        structure.outside.append(head(vocabulary, hidden))
    return structure


def _stack(structure: Structure, encoder: Layer, encoders: int, decoder: Layer, decoders: int) -> None:
    for key, layer, count in (("encoder", encoder, encoders), ("decoder", decoder, decoders)):
        for _ in range(count):
            if not structure.known(key):
                structure.add(key, layer)


def _attention(name: str, hidden: int, inner: int, *, bias: tuple[str, ...]) -> tuple[Matrix, ...]:
    return (
        *(column(f"{name}.{part}", Part.ATTENTION, hidden, inner, bias=part in bias) for part in "qkv"),
        row(f"{name}.o", Part.ATTENTION, inner, hidden, bias="o" in bias),
    )


def _caches(heads: int, head_dim: int) -> tuple[AttentionCache, AttentionCache]:
    own = AttentionCache(key_value_heads=heads, key_dim=head_dim, value_dim=head_dim)
    return own, AttentionCache(key_value_heads=heads, key_dim=head_dim, value_dim=head_dim, cross=True)
