"""Parameter counts by part. Called by `llmops size model --format json`."""

from __future__ import annotations

from compiler.sizing.architecture import Architecture
from compiler.sizing.layers import Part


def parameters_by_part(architecture: Architecture) -> dict[Part, int]:
    """Parameters of each part that occurs, tied weights once; the values sum to `Architecture.parameters`."""
    parts: dict[Part, int] = {}
    for matrix, count in architecture.matrices():
        parts[matrix.part] = parts.get(matrix.part, 0) + matrix.parameters * count
    return parts
