"""Verdicts as values, and their JSON form.

Made by `verdicts`; printed, drawn, signed and stored by others. Numbers are in the metric's own units.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llmops_spec.digests import Json
from llmops_spec.formats import refuse_newer

FORMAT_VERSION = 1

VerdictWord: TypeAlias = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """planned = scored + unscorable + errored + skipped."""

    planned: int = 0
    scored: int = 0
    unscorable: int = 0
    errored: int = 0
    skipped: int = 0
    absent: int = 0
    """Items, among the errored, of which a planned line is absent."""
    units: int = 0
    """Independent units among the scored: clusters, or items where nothing is shared."""


@dataclass(frozen=True, kw_only=True)
class CriterionVerdict:
    criterion: str
    metric: str
    verdict: VerdictWord
    reason: str
    """One sentence: why this verdict."""
    slice: str | None = None
    baseline: str | None = None
    estimate: float | None = None
    low: float | None = None
    """One-sided lower bound; None where there is none."""
    high: float | None = None
    bar: float | None = None
    direction: Literal["at-least", "at-most", "never-fails"] = "at-least"
    """On which side of the bar the good values are."""
    method: str = "none"
    """How the bounds were found, in words."""
    counts: Counts = field(default_factory=Counts)
    advice: str = ""
    """What would help; empty where nothing is needed."""
    blocks_always: bool = False
    """Inconclusive for a reason that `onInconclusive` cannot excuse."""
    p_value_worse: float | None = None
    """Least level at which it is shown worse than its bar; given where Holm's method combines."""

    def to_json(self) -> dict[str, Json]:
        counts = self.counts
        return {
            "criterion": self.criterion,
            "metric": self.metric,
            "slice": self.slice,
            "baseline": self.baseline,
            "verdict": self.verdict,
            "reason": self.reason,
            "advice": self.advice,
            "estimate": _finite(self.estimate),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "bar": _finite(self.bar),
            "direction": self.direction,
            "method": self.method,
            "planned": counts.planned,
            "scored": counts.scored,
            "unscorable": counts.unscorable,
            "errored": counts.errored,
            "skipped": counts.skipped,
            "absent": counts.absent,
            "units": counts.units,
            "blocksAlways": self.blocks_always,
            "pValueWorse": _finite(self.p_value_worse),
        }


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    verdict: VerdictWord
    blocks: bool
    """Whether a release must stop here."""
    reason: str
    alpha: float
    combine: str
    on_inconclusive: str
    false_ship_at_most: float | None
    """Chance to pass although some criterion does not hold; None where weak data ship."""
    false_block_at_most: float
    """Chance to fail although every criterion holds."""
    criteria: tuple[CriterionVerdict, ...]

    def to_json(self) -> dict[str, Json]:
        return {
            "formatVersion": FORMAT_VERSION,
            "verdict": self.verdict,
            "blocks": self.blocks,
            "reason": self.reason,
            "alpha": self.alpha,
            "combine": self.combine,
            "onInconclusive": self.on_inconclusive,
            "falseShipAtMost": self.false_ship_at_most,
            "falseBlockAtMost": self.false_block_at_most,
            "criteria": [criterion.to_json() for criterion in self.criteria],
        }


def refuse_newer_verdict(stored: bytes, gate: str) -> None:
    """Refuse a stored verdict of a newer format; whether it is one at all is for its reader to say.

    Raises:
        NewerFormat: a newer llmops wrote it.
    """
    try:
        value: object = json.loads(stored)
    except ValueError:
        return
    if isinstance(value, dict):
        refuse_newer(value.get("formatVersion"), FORMAT_VERSION, f"the verdict of gate `{gate}`")


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
