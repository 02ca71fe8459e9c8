"""What a gate asks of an evaluation record: criteria, each with one bar, and how they combine.

Made from `llmops_spec.gate` by whoever runs a gate; read by `verdicts`. Plain data, so that deciding needs
no spec document and a test can write a rule in a line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, Union


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The metric's mean, or a quantile of it, against a number."""

    side: Literal["at-least", "at-most"]
    value: float
    quantile: float | None = None
    """In (0, 1): the bar is for this quantile and not for the mean."""


@dataclass(frozen=True, kw_only=True)
class NonInferior:
    """At most `margin` worse than the baseline on the same items."""

    baseline: str
    """Key of the baseline's record; also its name for people, such as "model support-base"."""
    margin: float


@dataclass(frozen=True, kw_only=True)
class Better:
    """Better than the baseline on the same items, by however little."""

    baseline: str


@dataclass(frozen=True, kw_only=True)
class NeverFail:
    """Every draw of every listed item has the top score."""

    items: tuple[str, ...]


Bar: TypeAlias = Union[Threshold, NonInferior, Better, NeverFail]


@dataclass(frozen=True, kw_only=True)
class CriterionRule:
    metric: str
    bar: Bar
    slice: str | None = None
    """Only items that name this slice."""

    def text(self) -> str:
        """Say the criterion in a few words."""
        where = "" if self.slice is None else f" on `{self.slice}`"
        match self.bar:
            case Threshold(side=side, value=value, quantile=None):
                return f"{self.metric}{where} {_SIGNS[side]} {value:g}"
            case Threshold(side=side, value=value, quantile=quantile):
                return f"{quantile:g} quantile of {self.metric}{where} {_SIGNS[side]} {value:g}"
            case NonInferior(baseline=baseline, margin=margin):
                return f"{self.metric}{where} at most {margin:g} worse than {baseline}"
            case Better(baseline=baseline):
                return f"{self.metric}{where} better than {baseline}"
            case NeverFail(items=items):
                return f"{self.metric}{where} never fails on {len(items)} listed item{'s' if len(items) != 1 else ''}"


_SIGNS = {"at-least": "≥", "at-most": "≤"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Shares of the planned items above which a criterion is inconclusive and blocks."""

    unscorable: float = 0.01
    errored: float = 0.01


@dataclass(frozen=True, kw_only=True)
class GateRules:
    criteria: tuple[CriterionRule, ...]
    alpha: float = 0.05
    """One-sided error of each bound, in (0, 0.5)."""
    combine: Literal["all-shown-good", "block-if-any-shown-worse"] = "all-shown-good"
    on_inconclusive: Literal["block", "warn"] = "block"
    limits: Limits = field(default_factory=Limits)
