"""Encoders: BERT and its kin, for embeddings, reranking and classification. They keep no key-value cache.

Called by the family dispatcher. What follows the encoder (pooler, classifier, masked-language head) is told by the
class name in `architectures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.sizing.families.decoder import embedding
from compiler.sizing.families.experts import mlp
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.structure import Structure, column, norms, row, vector, whole
from compiler.sizing.layers import Layer, Matrix, Part


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    """What differs between the families."""

    bias: bool = True
    gated: bool = False
    norm_width: int = 2
    positions: bool = True
    types: bool = True
    pooler: bool = True
    embedding_norm: bool = True
    final_norm: bool = False
    first_norm_missing: bool = False


_BERT = _Encoder()
_FAMILIES: Mapping[str, _Encoder] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "ernie": _BERT,
    "data2vec-text": _BERT,
    "distilbert": _Encoder(types=False, pooler=False),
    "mpnet": _Encoder(types=False),
    "deberta-v2": _Encoder(pooler=False),
    "electra": _Encoder(pooler=False),
    "modernbert": _Encoder(
        bias=False,
        gated=True,
        norm_width=1,
        positions=False,
        types=False,
        pooler=False,
        final_norm=True,
        first_norm_missing=True,
    ),
    "nomic_bert": _Encoder(bias=False, gated=True, positions=False, pooler=False),
    "new": _Encoder(gated=True, positions=False, pooler=False),
    "gte": _Encoder(gated=True, positions=False, pooler=False),
    "eurobert": _Encoder(
        bias=False,
        gated=True,
        norm_width=1,
        positions=False,
        types=False,
        pooler=False,
        embedding_norm=False,
        final_norm=True,
    ),
}

ENCODERS = frozenset(_FAMILIES)


def read_encoder(facts: Facts) -> Structure:
    """An encoder with what its class puts on top."""
    family = _FAMILIES[facts.model_type]
    hidden, vocabulary = facts.needed("hidden_size"), facts.needed("vocab_size")
    heads, width = facts.needed("num_attention_heads"), facts.needed("intermediate_size")
    structure = Structure(task="encoder", hidden_size=hidden, vocabulary_size=vocabulary, heads=heads, tied=True)
    structure.key_value_heads = facts.number("num_key_value_heads") or heads
    structure.head_dim = hidden // heads if heads else 0
    structure.intermediate_size = width
    for index in range(facts.layers()):
        single = family.first_norm_missing and index == 0
        if not structure.known(single):
            structure.add(single, Layer(matrices=_layer(family, structure, single=single)))
    structure.outside.extend(_tables(facts, family, hidden, vocabulary))
    structure.outside.extend(_top(facts, family, hidden, vocabulary))
    return structure


def _layer(family: _Encoder, structure: Structure, *, single: bool) -> tuple[Matrix, ...]:
    hidden, bias = structure.hidden_size, family.bias
    keys = structure.key_value_heads * structure.head_dim
    return (
        column("attention.query", Part.ATTENTION, hidden, hidden, bias=bias),
        column("attention.key", Part.ATTENTION, hidden, keys, bias=bias),
        column("attention.value", Part.ATTENTION, hidden, keys, bias=bias),
        row("attention.output.dense", Part.ATTENTION, hidden, hidden, bias=bias),
        *mlp(hidden, structure.intermediate_size, gated=family.gated, bias=bias),
        *norms("norms", (1 if single else 2) * family.norm_width * hidden),
    )


def _tables(facts: Facts, family: _Encoder, hidden: int, vocabulary: int) -> list[Matrix]:
    """Embeddings of words, positions and types, at `embedding_size` where that is narrower."""
    width = facts.number("embedding_size") or hidden
    made = [embedding(vocabulary, width, "word_embeddings")]
    if family.positions:
        made.append(vector("position_embeddings", Part.EMBEDDINGS, facts.needed("max_position_embeddings") * width))
    types = facts.number("type_vocab_size") if family.types else 0
    if types:
        made.append(vector("token_type_embeddings", Part.EMBEDDINGS, types * width))
    if family.embedding_norm:
        made.extend(norms("embeddings.norm", family.norm_width * width))
    if width != hidden:
        made.append(whole("embeddings_project", Part.EMBEDDINGS, width, hidden, bias=True))
    if family.final_norm:
        made.extend(norms("final_norm", family.norm_width * hidden))
    if facts.model_type == "mpnet":
        buckets = facts.number("relative_attention_num_buckets") or 32
        made.append(vector("relative_attention_bias", Part.ATTENTION, buckets * facts.number("num_attention_heads")))
    return made


def _top(facts: Facts, family: _Encoder, hidden: int, vocabulary: int) -> list[Matrix]:
    """A pooler under models, a classifier under classifiers, a transform with a bias under masked-language models."""
    name = next(iter(facts.words("architectures")), "Model")
    if name.endswith(("ForMaskedLM", "LMHeadModel", "ForCausalLM")):
        transform = whole("cls.transform", Part.HEAD, hidden, hidden, bias=family.bias)
        return [transform, *norms("cls.norm", family.norm_width * hidden), vector("cls.bias", Part.HEAD, vocabulary)]
    if name.endswith("ForSequenceClassification"):
        labels = max(1, len(facts.under("id2label") or {}) or facts.number("num_labels") or 2)
        dense = whole("classifier.dense", Part.HEAD, hidden, hidden, bias=True)
        return [dense, whole("classifier.out_proj", Part.HEAD, hidden, labels, bias=True)]
    return [whole("pooler.dense", Part.HEAD, hidden, hidden, bias=True)] if family.pooler else []
