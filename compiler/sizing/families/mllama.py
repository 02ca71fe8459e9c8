"""The language model of Llama 3.2 Vision: cross-attention layers among Llama layers. Called by the dispatcher."""

from __future__ import annotations

from dataclasses import replace

from compiler.sizing.families.decoder import attention_cache, attention_matrices, finish_decoder, read_attention
from compiler.sizing.families.experts import feed_forward
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.rules import PLAIN
from compiler.sizing.families.structure import Structure, norms
from compiler.sizing.layers import Layer, Part, Split

_EXTRA_ROWS = 8
"""Rows of the embedding table beyond the vocabulary, for tokens that stand for pictures."""


def read_mllama(facts: Facts) -> Structure:
    """Layers named in `cross_attention_layers` attend to the picture and norm queries and keys; two gates each."""
    crossing = facts.numbers("cross_attention_layers") or (3, 8, 13, 18, 23, 28, 33, 38)
    structure = Structure()
    attention = read_attention(facts, PLAIN)
    for index in range(facts.layers()):
        cross = index in crossing
        if structure.known(cross):
            continue
        shape = replace(attention, norm=2 * attention.key_dim) if cross else attention
        matrices = (
            *attention_matrices(shape, "cross_attn" if cross else "self_attn"),
            *feed_forward(facts, PLAIN, None),
            *norms("norms", 2 * attention.hidden + (2 if cross else 0)),
        )
        structure.add(cross, Layer(matrices=matrices, caches=(replace(attention_cache(shape, None), cross=cross),)))
    finish_decoder(structure, facts, PLAIN, attention, None)
    structure.outside = [
        replace(matrix, outputs=matrix.outputs + _EXTRA_ROWS)
        if matrix.part is Part.EMBEDDINGS and matrix.split is Split.VOCABULARY
        else matrix
        for matrix in structure.outside
    ]
    return structure
