"""What a training keeps of the forward pass for the backward pass, in bytes per token.

Called by `compiler.sizing.training`. The formula is that of "Reducing Activation Recomputation in Large Transformer
Models" carried over to fused attention, gated MLPs and grouped queries; a test counts saved tensors of small models.
"""

from __future__ import annotations

from typing import Final

from compiler.sizing.architecture import Architecture
from compiler.sizing.layers import Layer, Matrix, Part, Split

_FEEDS: Final = {Part.MLP, Part.EXPERTS}
_MIXES: Final = {Part.ATTENTION, Part.STATE}


def layer_bytes(layer: Layer, hidden_size: int, *, element_bytes: int = 2) -> int:
    """Bytes per token that one layer keeps without checkpointing.

    Two norms keep their inputs and outputs (4h elements); every projection of the mixer its output and the last one
    its input; an MLP its up-projections twice, before and after activation and product. Experts count where they work.
    """
    elements = 4 * hidden_size
    for matrix in layer.matrices:
        if not matrix.linear:
            continue
        if matrix.part in _MIXES:
            elements += _mixer_elements(matrix)
        elif matrix.part in _FEEDS:
            elements += _feed_elements(matrix, hidden_size)
    return elements * element_bytes


def _mixer_elements(matrix: Matrix) -> int:
    """What goes into the last projection, and what comes out of the others. The last one's output is the residual
    stream, which the next norm keeps."""
    return matrix.inputs if matrix.split is Split.ROW else matrix.outputs


def _feed_elements(matrix: Matrix, hidden_size: int) -> int:
    """Up-projections give 2 elements for each output; routed experts gather and scatter their tokens besides."""
    working = matrix.copies if matrix.active is None else matrix.active
    if matrix.split is Split.ROW:
        return working * 2 * hidden_size if matrix.part is Part.EXPERTS else 0
    return working * 2 * matrix.outputs


def score_bytes(architecture: Architecture, sequence_length: int) -> int:
    """Bytes per token and layer of attention that writes its scores out: 5 for each head and key."""
    return 5 * architecture.heads * sequence_length


def largest_layer_bytes(architecture: Architecture, *, element_bytes: int = 2) -> int:
    """Bytes per token of the layer that keeps most: what is alive while one checkpointed layer is computed again."""
    sizes = [layer_bytes(one, architecture.hidden_size, element_bytes=element_bytes) for one in architecture.layers]
    return max(sizes, default=0)


def all_layers_bytes(architecture: Architecture, *, element_bytes: int = 2) -> int:
    """Bytes per token that all layers keep without checkpointing."""
    hidden = architecture.hidden_size
    return sum(layer_bytes(one, hidden, element_bytes=element_bytes) * count for one, count in architecture.stage())


def checkpoint_bytes(architecture: Architecture, *, element_bytes: int = 2) -> int:
    """Bytes per token that remain with full checkpointing: the input of every layer."""
    return architecture.hidden_size * element_bytes * architecture.layer_count
