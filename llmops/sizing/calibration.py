"""Measured against predicted: what a start-up log says beside what the arithmetic says, line item by line item.

Called by `llmops size calibrate`. A residual is predicted less measured; where it leaves the margin, the estimate does
not hold for this engine, model and machine, and its verdicts should not be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from compiler.sizing.budget import GIB, ServingBudget
from compiler.sizing.json_values import Json
from compiler.sizing.serving import size_serving
from llmops.sizing.logs import StartUp
from llmops.sizing.serving_rows import serving_request
from llmops.sizing.subjects import Subject, find_subject

Unit = Literal["GiB", "tokens", "requests"]

_ITEMS: Final = (
    ("weights", ("weight", "draft")),
    ("activations", ("activation",)),
    ("other", ("non-torch", "other")),
    ("graphs", ("graph",)),
)
"""Measured figure, and the beginnings or parts of names of the line items that predict it."""


@dataclass(frozen=True, kw_only=True)
class Residual:
    """One figure, measured and predicted."""

    name: str
    unit: Unit
    measured: float
    predicted: float
    share: float
    """Predicted less measured: of the budget for memory, of the measured figure for the rest."""
    within: bool
    """Whether the difference, in memory, is no larger than the margin of the verdict."""

    @property
    def difference(self) -> float:
        return self.predicted - self.measured


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """One log."""

    log: str
    subject: Subject
    start_up: StartUp
    budget: ServingBudget
    gpu: str
    residuals: tuple[Residual, ...]

    @property
    def beyond(self) -> tuple[str, ...]:
        """The figures whose residual leaves the margin: with any, the estimate does not hold here."""
        return tuple(one.name for one in self.residuals if not one.within)

    @property
    def within_margin(self) -> bool | None:
        """Whether every figure is within the margin; None where there is none to compare."""
        return not self.beyond if self.residuals else None

    @property
    def agrees(self) -> bool | None:
        """Whether the verdict foresaw how the start-up ended; None where the log does not tell or it was marginal.

        The verdict may be right by luck: see `within_margin`.
        """
        if self.start_up.failure is not None:
            return None if self.budget.verdict == "marginal" else self.budget.verdict != "fits"
        if "pool" not in self.start_up.gib and "tokens" not in self.start_up.counts:
            return None
        return None if self.budget.verdict == "marginal" else self.budget.verdict == "fits"


def calibrate(log: Path, start_up: StartUp, given: Mapping[str, str]) -> Calibration:
    """Size what the log tells of; `given` cells go before the log's.

    Raises:
        UnknownSubjectError: neither the log nor `given` names model or GPU, or one of them is not known.
        UnreadableCellError: a setting is out of its range.
    """
    cells = {**cells_of(start_up), **given}
    subject = find_subject(cells.get("model", ""), beside=log.parent)
    request = serving_request(cells, subject)
    budget = size_serving(request)
    residuals = tuple(_residuals(start_up, budget)) if budget.verdict != "unknown" else ()
    return Calibration(
        log=str(log), subject=subject, start_up=start_up, budget=budget, gpu=request.gpu.name, residuals=residuals
    )


def cells_of(start_up: StartUp) -> dict[str, str]:
    """What the log tells of its settings, as the cells of a row."""
    texts, counts = start_up.texts, start_up.counts
    cells = {
        "engine": start_up.engine,
        "engine_version": texts.get("version"),
        "model": texts.get("model"),
        "dtype": texts.get("dtype"),
        "quant": texts.get("quantization"),
        "kv_cache_dtype": texts.get("cache"),
        "gpu": texts.get("gpu"),
        "gpu_mem_gib": start_up.gib.get("card") if start_up.engine != "sglang" else None,
        "tp": counts.get("tensor"),
        "pp": counts.get("pipeline"),
        "max_model_len": counts.get("length"),
        "max_num_seqs": counts.get("sequences"),
        "gpu_mem_util": start_up.numbers.get("share"),
    }
    return {name: str(value) for name, value in cells.items() if value}


def _residuals(start_up: StartUp, budget: ServingBudget) -> list[Residual]:
    found: list[Residual] = []
    for name, words in _ITEMS:
        measured = start_up.gib.get(name)
        items = [one.bytes for one in budget.items if any(word in one.name.casefold() for word in words)]
        if measured is not None and items:
            found.append(_memory(name, measured, sum(items), budget))
    pool = start_up.gib.get("pool")
    if pool is not None:
        found.append(_memory("KV pool", pool, budget.pool_bytes, budget))
    tokens = _tokens(start_up)
    if tokens:
        found.append(_held("KV tokens", "tokens", tokens, budget.kv_tokens, budget))
    concurrency = start_up.numbers.get("concurrency")
    if concurrency:
        found.append(_held("concurrency", "requests", concurrency, budget.concurrency, budget))
    return found


def _tokens(start_up: StartUp) -> int | None:
    """As the log has them, or of its blocks, whose size follows from the requests that they hold."""
    blocks, length = start_up.counts.get("blocks"), start_up.counts.get("length")
    concurrency = start_up.numbers.get("concurrency")
    if "tokens" not in start_up.counts and blocks and length and concurrency:
        return blocks * round(concurrency * length / blocks)
    return start_up.counts.get("tokens")


def _memory(name: str, measured: float, predicted_bytes: int, budget: ServingBudget) -> Residual:
    predicted = predicted_bytes / GIB
    return Residual(
        name=name,
        unit="GiB",
        measured=measured,
        predicted=predicted,
        share=(predicted - measured) * GIB / budget.budget_bytes,
        within=abs(predicted - measured) * GIB <= budget.margin_bytes,
    )


def _held(name: str, unit: Unit, measured: float, predicted: float, budget: ServingBudget) -> Residual:
    """What a pool holds; a predicted pool that holds nothing is beyond every margin."""
    bytes_each = budget.pool_bytes / predicted if predicted > 0 and budget.pool_bytes > 0 else float("inf")
    predicted = max(0, predicted)
    return Residual(
        name=name,
        unit=unit,
        measured=measured,
        predicted=predicted,
        share=(predicted - measured) / measured,
        within=abs(predicted - measured) * bytes_each <= budget.margin_bytes,
    )


def calibration_json(found: Calibration) -> Mapping[str, Json]:
    """One log for machines."""
    return {
        "log": found.log,
        "engine": found.budget.engine,
        "engineVersion": found.budget.engine_version,
        "model": found.subject.shown,
        "gpu": found.gpu,
        "gpus": found.budget.gpus,
        "verdict": found.budget.verdict,
        "failure": found.start_up.failure,
        "agrees": found.agrees,
        "withinMargin": found.within_margin,
        "marginGib": round(found.budget.margin_bytes / GIB, 4),
        "starts": found.start_up.starts,
        "missing": list(found.budget.missing),
        "residuals": [
            {
                "name": one.name,
                "unit": one.unit,
                "measured": one.measured,
                "predicted": round(one.predicted, 4),
                "difference": round(one.difference, 4),
                "share": round(one.share, 5),
                "withinMargin": one.within,
            }
            for one in found.residuals
        ],
    }
