"""Bytes of the weights on each rank: tensor, pipeline and expert parallel, by format and by part.

Called by the serving estimates. Exact where the checkpoint's byte count is known and one rank holds all of it; split by
parts otherwise, with the difference between the count and the formula spread over what formats quantize.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from compiler.sizing.architecture import Architecture
from compiler.sizing.formats import PLAIN, WeightFormat, is_gguf, keeps
from compiler.sizing.layers import Matrix, Part, Split

PADDING = 64
"""Rows of vocabulary are padded to a multiple of this (vLLM, `DEFAULT_VOCAB_PADDING_SIZE`)."""


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """How one model is spread over GPUs."""

    tensor: int = 1
    pipeline: int = 1
    experts: bool = False
    """Experts are divided by whole experts instead of by their widths."""
    data_attention: bool = False
    """Attention weights are whole on every rank, sequences divided."""

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The layers [start, stop) of one pipeline stage."""

    start: int
    stop: int
    first: bool
    last: bool


def stages(architecture: Architecture, pipeline: int) -> tuple[Stage, ...]:
    """Layers of each stage as vLLM cuts them: even shares, the remainder to the stages before the last."""
    total = architecture.layer_count
    counts = [total // pipeline] * pipeline
    for index in range(total % pipeline):
        counts[(pipeline - 2 - index) % pipeline] += 1
    found: list[Stage] = []
    start = 0
    for index, count in enumerate(counts):
        found.append(Stage(start=start, stop=start + count, first=index == 0, last=index == pipeline - 1))
        start += count
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How the weights are held in memory."""

    dtype_bytes: int
    """Of what is not quantized."""
    format: WeightFormat = PLAIN
    kept: tuple[str, ...] = ()
    head: bool = False
    """The head is quantized too."""


def stage_bytes(architecture: Architecture, stage: Stage, parallel: Parallel, storage: Storage) -> float:
    """Bytes of one rank of a stage: its layers, embeddings on the first stage, head and norm on the last."""
    size = sum(matrix_bytes(m, parallel, storage) for m in _outside(architecture, stage))
    if stage.first:
        size += sum(matrix_bytes(m, parallel, storage) for m in architecture.vision)
    if any(_numbered(pattern) for pattern in storage.kept):
        return size + _by_layer(architecture, stage, parallel, storage)
    for layer, count in architecture.stage(stage.start, stage.stop):
        size += count * sum(matrix_bytes(m, parallel, storage) for m in layer.matrices)
    return size


def matrix_bytes(matrix: Matrix, parallel: Parallel, storage: Storage, path: str | None = None) -> float:
    """Bytes of one matrix, all copies, on one rank."""
    inputs, outputs, bias, copies = _shard(matrix, parallel)
    format_ = _format(matrix, storage, path or matrix.name)
    if format_ is None:
        return copies * (inputs * outputs + bias) * storage.dtype_bytes
    if matrix.part is Part.EXPERTS:
        inputs, outputs = _padded(matrix, format_, inputs, outputs)
    return copies * (format_.bytes_of(inputs, outputs) + bias * storage.dtype_bytes)


def _padded(matrix: Matrix, format_: WeightFormat, inputs: float, outputs: float) -> tuple[float, float]:
    """The sides of an expert's shard as the format's kernels pad them."""
    width, hidden = format_.padding
    if matrix.split is Split.ROW:
        width, hidden = hidden, width
    return ceil(inputs / hidden) * hidden, ceil(outputs / width) * width


def _outside(architecture: Architecture, stage: Stage) -> list[Matrix]:
    """Matrices beside the layers that this stage holds. A tied table stands on both ends of a pipeline."""
    found: list[Matrix] = []
    for matrix in architecture.outside:
        table = matrix.part is Part.EMBEDDINGS
        shared = table and architecture.tied_embeddings and matrix.split is Split.VOCABULARY
        if (table and stage.first) or (stage.last and (shared or not table)):
            found.append(matrix)
    return found


def _by_layer(architecture: Architecture, stage: Stage, parallel: Parallel, storage: Storage) -> float:
    """As `stage_bytes`, layer by layer, for lists that leave single layers in 16 bits."""
    size = 0.0
    for index in range(stage.start, stage.stop):
        for matrix in architecture.layers[architecture.pattern[index]].matrices:
            size += matrix_bytes(matrix, parallel, storage, f"model.layers.{index}.{matrix.name}")
    return size


def _numbered(pattern: str) -> bool:
    return any(character.isdigit() for character in pattern)


def _shard(matrix: Matrix, parallel: Parallel) -> tuple[float, float, float, float]:
    """(inputs, outputs, bias parameters, copies) of one rank."""
    ranks = parallel.tensor
    inputs, outputs, copies = float(matrix.inputs), float(matrix.outputs), float(matrix.copies)
    if matrix.part is Part.EXPERTS and parallel.experts:
        copies, ranks = ceil(copies / ranks), 1
    if matrix.part is Part.ATTENTION and parallel.data_attention:
        ranks = 1
    match matrix.split:
        case Split.COLUMN:
            outputs /= ranks
        case Split.ROW:
            return inputs / ranks, outputs, (outputs if matrix.bias else 0.0), copies
        case Split.KEY_VALUE:
            outputs = outputs * max(1.0, matrix.heads / ranks) / max(1, matrix.heads)
        case Split.VOCABULARY:
            outputs = ceil(outputs / PADDING) * PADDING / ranks
        case Split.NONE:
            pass
    return inputs, outputs, (outputs if matrix.bias else 0.0), copies


def _format(matrix: Matrix, storage: Storage, path: str) -> WeightFormat | None:
    """The format that the matrix is stored in; None for the plain dtype."""
    format_ = storage.format
    if format_ is PLAIN:
        return None
    if matrix.part is Part.EMBEDDINGS or matrix.part is Part.HEAD:
        table = matrix.split is Split.VOCABULARY
        return format_ if table and (is_gguf(format_) or (storage.head and matrix.part is Part.HEAD)) else None
    if not matrix.linear or (format_.experts_only and matrix.part is not Part.EXPERTS):
        return None
    if matrix.part is Part.VISION:
        return None
    return None if storage.kept and keeps(storage.kept, path) else format_
