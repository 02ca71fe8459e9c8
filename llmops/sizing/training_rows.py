"""Rows of task `training`: from cells to a request, from an estimate back to cells.

Called by `llmops.sizing.predictions` and by `llmops size model --train`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from compiler.sizing.budget import GIB, Verdict
from compiler.sizing.formats import named_format
from compiler.sizing.layers import Quantization
from compiler.sizing.training import QUANTIZED_BYTES, TrainingEstimate, TrainingRequest, size_training
from compiler.sizing.training_words import (
    SINGLE,
    Method,
    Precision,
    Sharding,
    read_checkpointing,
    read_method,
    read_optimizer,
    read_precision,
    read_sharding,
)
from llmops.sizing.cells import UnreadableCellError, gibibytes, whole
from llmops.sizing.subjects import Subject, find_card

Cells = Mapping[str, str]
_Read = TypeVar("_Read")

ASSUMED_LENGTH: Final = 2048
"""What LLaMA-Factory, axolotl and unsloth cut sequences to by default."""
ASSUMED_RANK: Final = 16


@dataclass(frozen=True, kw_only=True)
class TrainingQuestion:
    """A training to size, with the facts that were taken for granted because the row does not have them."""

    request: TrainingRequest
    memory_bytes: int | None
    """Of one GPU; None where no GPU is named."""
    missing: tuple[str, ...]


def training_question(cells: Cells, subject: Subject) -> TrainingQuestion:
    """The question of a row.

    Raises:
        UnreadableCellError: a cell holds no value of its column.
        UnknownSubjectError: the GPU is not known.
    """
    architecture = subject.architecture
    method = _read(cells, "method", read_method)
    if method is None:
        raise UnreadableCellError("method is not given")
    missing = list(architecture.missing)
    gpus = whole(cells, "n_gpus", at_most=100_000) or 1
    sharding = _read(cells, "sharding", read_sharding) or (SINGLE if gpus == 1 else Sharding(shards="ddp"))
    optimizer = _read(cells, "optimizer", read_optimizer) or read_optimizer("adamw")
    assert optimizer is not None
    length, batch = whole(cells, "seq_len", at_most=10**8), whole(cells, "micro_batch", at_most=10**6)
    missing += [name for name, value in (("seq_len", length), ("micro_batch", batch)) if value is None]
    quantization = _quantization(cells, subject, method)
    request = TrainingRequest(
        architecture=architecture,
        method=method,
        sequence_length=length or min(ASSUMED_LENGTH, architecture.max_positions or ASSUMED_LENGTH),
        micro_batch=batch or 1,
        optimizer=optimizer,
        checkpointing=_read(cells, "grad_ckpt", read_checkpointing) or "full",
        precision=_precision(cells, method, sharding),
        sharding=sharding,
        gpus=gpus,
        lora_rank=_rank(cells, method, quantization),
        quantization=quantization,
    )
    return TrainingQuestion(request=request, memory_bytes=_memory(cells), missing=tuple(missing))


def predict_training(cells: Cells, subject: Subject) -> dict[str, str]:
    """The output cells of a training row."""
    question = training_question(cells, subject)
    if subject.architecture.missing:
        return {"verdict": "unknown", "missing": "; ".join(question.missing)}
    estimate = size_training(question.request)
    gpu = () if question.memory_bytes else ("gpu",)
    return {
        "verdict": training_verdict(estimate, question),
        "peak_gib_low": _gib(estimate.low_bytes),
        "peak_gib": _gib(estimate.peak_bytes),
        "peak_gib_high": _gib(estimate.high_bytes),
        "dominant_term": estimate.dominant,
        "missing": "; ".join((*question.missing, *gpu)),
    }


def training_verdict(estimate: TrainingEstimate, question: TrainingQuestion) -> Verdict:
    """Fits if the whole range does, marginal if a part of it does; unknown where sizes were taken for granted."""
    memory = question.memory_bytes
    if memory is None or question.missing:
        return "unknown"
    if estimate.high_bytes <= memory:
        return "fits"
    return "marginal" if estimate.low_bytes <= memory else "does-not-fit"


def base_format(quantization: Quantization | None, name: str | None) -> str | None:
    """The format of a frozen base as training knows it; None for 16 bits.

    Raises:
        UnreadableCellError: the name is no format.
    """
    if name is not None:
        found = named_format(name)
        if found is None:
            raise UnreadableCellError(f"quant: `{name[:40]}` is not a format")
        return _base_format(found.name, found.bits)
    if quantization is None:
        return None
    bits = quantization.bits or (8 if "fp8" in quantization.method else 4)
    return _base_format(quantization.method, bits)


def _base_format(name: str, bits: float) -> str | None:
    if bits >= 16:
        return None
    if bits > 6:
        return "fp8" if "fp8" in name else "int8"
    return "nf4" if "nf4" in name or "bitsandbytes" in name else "int4"


def _quantization(cells: Cells, subject: Subject, method: Method) -> str | None:
    if method in ("full", "pretrain"):
        return None
    text = cells.get("quant", "") or subject.quantization
    found = base_format(subject.architecture.quantization, text or None)
    assert found is None or found in QUANTIZED_BYTES
    return "nf4" if found is None and method == "qlora" else found


def _rank(cells: Cells, method: Method, quantization: str | None) -> int | None:
    rank = whole(cells, "lora_r", at_most=65_536)
    if method in ("lora", "qlora"):
        return rank or ASSUMED_RANK
    if method == "dpo":
        return rank or (ASSUMED_RANK if quantization else None)
    return None


def _precision(cells: Cells, method: Method, sharding: Sharding) -> Precision:
    """As the cell says. DeepSpeed and FSDP keep 32-bit copies of 16-bit weights, and so does pre-training."""
    given = _read(cells, "dtype", read_precision) if cells.get("dtype", "").casefold() != "auto" else None
    if given in ("fp32", "mixed"):
        return given
    sharded = sharding.shards not in ("none", "ddp")
    return "mixed" if sharded or method == "pretrain" else "bf16"


def _memory(cells: Cells) -> int | None:
    memory = gibibytes(cells, "gpu_mem_gib")
    name = cells.get("gpu", "")
    if not name and memory is None:
        return None
    return find_card(name, memory)[1]


def _read(cells: Cells, column: str, reader: Callable[[str], _Read | None]) -> _Read | None:
    text = cells.get(column, "")
    if not text:
        return None
    found = reader(text)
    if found is None:
        raise UnreadableCellError(f"{column}: `{text[:40]}` is not known")
    return found


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"
