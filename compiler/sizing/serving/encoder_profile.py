"""What profiling the encoder of pictures takes at start, where anything is known of it. Called by vLLM's rule.

Public logs span 2 to 37 GiB. Two kinds of models have a rule; for the others nothing is charged, and the verdict of any
model that sees is lowered.
"""

from __future__ import annotations

from typing import Final

from compiler.sizing.architecture import Architecture
from compiler.sizing.budget import GIB
from compiler.sizing.layers import Matrix, Split

_PATCHES: Final = 4 * 16384
"""Patches of the largest picture of the Qwen-VL family: 16384 tokens of four patches each."""

_DYNAMIC: Final = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
_CROSSING_BYTES: Final = int(0.286 * GIB)
"""Llama 3.2 Vision, for each sequence: 36.63 GiB at 128 (vllm 12126)."""


def encoder_peak(architecture: Architecture, tensor: int, sequences: int) -> float:
    """Bytes of the encoder's dummy pass; 0 where nothing is known.

    One picture's patches through the widest layer: up-projections before and after activation, and ten features of the
    hidden size in 16 bits. Against two logs (1.9 and 2.5 GiB) the error is a quarter either way.
    """
    if architecture.model_type == "mllama":
        return float(_CROSSING_BYTES * sequences)
    if architecture.model_type not in _DYNAMIC:
        return 0.0
    up = _named(architecture, "mlp.up")
    if up is None:
        return 0.0
    factor = 6 if _named(architecture, "mlp.gate") is not None else 4
    return _PATCHES * (factor * up.outputs / tensor + 20 * up.inputs)


def _named(architecture: Architecture, name: str) -> Matrix | None:
    return next((one for one in architecture.vision if one.name == name and one.split is Split.COLUMN), None)
