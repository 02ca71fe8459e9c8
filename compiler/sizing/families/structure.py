"""What a family reader gives back, and the small makers of matrices that all of them use.

Called by the family readers; `read_architecture` turns a `Structure` into an `Architecture`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from compiler.sizing.layers import Layer, Matrix, Part, Split, Task


@dataclass(kw_only=True)
class Structure:
    """The parts of one model while they are being read."""

    layers: list[Layer] = field(default_factory=list[Layer])
    pattern: list[int] = field(default_factory=list[int])
    outside: list[Matrix] = field(default_factory=list[Matrix])
    vision: list[Matrix] = field(default_factory=list[Matrix])
    draft: list[Matrix] = field(default_factory=list[Matrix])
    hidden_size: int = 0
    vocabulary_size: int = 0
    heads: int = 0
    key_value_heads: int = 0
    head_dim: int = 0
    intermediate_size: int = 0
    tied: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate_size: int = 0
    task: Task = "causal"
    multimodal: bool = False
    assumed: list[str] = field(default_factory=list[str])
    _kinds: dict[Hashable, int] = field(default_factory=dict[Hashable, int])

    def known(self, key: Hashable) -> bool:
        """Whether a kind of layer was added under this key; if so, one more layer of it is counted."""
        index = self._kinds.get(key)
        if index is None:
            return False
        self.pattern.append(index)
        return True

    def add(self, key: Hashable, layer: Layer) -> None:
        """Add a layer of a new kind."""
        self._kinds[key] = len(self.layers)
        self.pattern.append(len(self.layers))
        self.layers.append(layer)


def column(name: str, part: Part, inputs: int, outputs: int, *, bias: bool = False) -> Matrix:
    """A linear whose outputs are divided by the ranks."""
    return Matrix(name=name, part=part, inputs=inputs, outputs=outputs, split=Split.COLUMN, bias=bias)


def row(name: str, part: Part, inputs: int, outputs: int, *, bias: bool = False) -> Matrix:
    """A linear whose inputs are divided by the ranks."""
    return Matrix(name=name, part=part, inputs=inputs, outputs=outputs, split=Split.ROW, bias=bias)


def whole(name: str, part: Part, inputs: int, outputs: int, *, bias: bool = False) -> Matrix:
    """A linear that every rank holds whole."""
    return Matrix(name=name, part=part, inputs=inputs, outputs=outputs, bias=bias)


def vector(name: str, part: Part, parameters: int, *, split: Split = Split.NONE) -> Matrix:
    """Weights that no format quantizes: norms, scales, convolutions, tables of positions."""
    return Matrix(name=name, part=part, inputs=1, outputs=parameters, split=split, linear=False)


def norms(name: str, parameters: int) -> tuple[Matrix, ...]:
    """The norms of one layer together; none where they have no parameters."""
    return (vector(name, Part.NORMS, parameters),) if parameters else ()


def total(matrices: Iterable[Matrix]) -> int:
    """Parameters of some matrices."""
    return sum(matrix.parameters for matrix in matrices)
