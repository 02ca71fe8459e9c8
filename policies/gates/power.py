"""Say before anything runs whether a criterion could pass, and whether it could fail.

Called by the compiler's checks, so it needs the standard library alone. `prospect` answers for the best and the
worst scores there could be: what it calls impossible is impossible whatever the subject does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from llmops_spec.catalogue.metrics import MetricFacts
from policies.gates.bounds import LEAST_UNITS_FOR_T, bets_and_weights, proportion_lower
from policies.gates.rules import Better, CriterionRule, NeverFail, NonInferior, Threshold

MOST_UNITS = 1_000_000
"""A criterion that needs more units than this is said to be impossible at any size."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is known of an evaluation before it runs."""

    items: int
    units: int
    """Clusters, or items where none are declared."""
    draws: int = 1


@dataclass(frozen=True, kw_only=True)
class Prospect:
    can_pass: bool
    can_fail: bool
    best_low: float | None
    """Lower bound of the best scores there could be, oriented so that more is better, in the metric's units
    or as a share for a quantile; None where no bound would be given."""
    units_to_pass: int | None
    """Fewest units with which the best scores would pass; None where no number would do."""


def prospect(rule: CriterionRule, facts: MetricFacts, design: Design, alpha: float) -> Prospect:
    """Return what a criterion could come to with this many items and units."""
    target = _target(rule, facts, design)
    if target is None or design.units < 1:
        ready = design.units >= 1
        return Prospect(can_pass=ready, can_fail=True, best_low=None, units_to_pass=1)
    best_low = target.best_low(design.units, alpha)
    worst_high = target.worst_high(design.units, alpha)
    return Prospect(
        can_pass=target.reached_by(best_low),
        can_fail=worst_high is not None and worst_high < target.bar,
        best_low=best_low,
        units_to_pass=_fewest_units(target, alpha),
    )


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A bar, oriented so that more is better."""

    bar: float
    low: float | None
    high: float | None
    strict: bool
    exact: bool

    def best_low(self, units: int, alpha: float) -> float | None:
        return _extreme_bound(self.low, self.high, units, alpha, exact=self.exact)

    def worst_high(self, units: int, alpha: float) -> float | None:
        low, high = (None if end is None else -end for end in (self.high, self.low))
        bound = _extreme_bound(low, high, units, alpha, exact=self.exact)
        return None if bound is None else -bound

    def reached_by(self, bound: float | None) -> bool:
        if bound is None:
            return False
        return bound > self.bar or (bound == self.bar and not self.strict)


def _target(rule: CriterionRule, facts: MetricFacts, design: Design) -> _Target | None:
    """Return the oriented bar; None for a criterion that no statistics decide."""
    independent = design.units >= design.items
    match rule.bar:
        case NeverFail():
            return None
        case Threshold(side=side, quantile=quantile) if quantile is not None:
            share = quantile if side == "at-most" else 1.0 - quantile
            return _Target(bar=share, low=0.0, high=1.0, strict=False, exact=independent)
        case Threshold(side=side, value=value):
            exact = independent and facts.kind == "binary" and design.draws == 1
            if side == "at-least":
                return _Target(bar=value, low=facts.low, high=facts.high, strict=False, exact=exact)
            low = None if facts.high is None else -facts.high
            return _Target(bar=-value, low=low, high=-facts.low, strict=False, exact=exact)
        case NonInferior() | Better():
            reach = None if facts.high is None else facts.high - facts.low
            margin = rule.bar.margin if isinstance(rule.bar, NonInferior) else 0.0
            low = None if reach is None else -reach
            return _Target(bar=-margin, low=low, high=reach, strict=isinstance(rule.bar, Better), exact=False)


def _extreme_bound(low: float | None, high: float | None, units: int, alpha: float, *, exact: bool) -> float | None:
    """Return a number that no lower bound of so many units exceeds; reached where the method is exact or betting."""
    if units == 1 and not exact:
        return None
    if low is None or high is None:
        # Only t bounds such scores, and what it may reach is limited by the known end at most.
        return None if units < LEAST_UNITS_FOR_T else (math.inf if high is None else high)
    if exact:
        return low + (high - low) * proportion_lower(units, units, alpha)
    share = alpha ** (1.0 / units) if units >= LEAST_UNITS_FOR_T else _perfect_bets(units, alpha)
    return low + (high - low) * share


@lru_cache(maxsize=256)
def _perfect_bets(units: int, alpha: float) -> float:
    """Return the betting bound of so many units of equal size that all score 1."""
    bets = bets_and_weights(alpha, float(units))
    refuted, kept = 0.0, 1.0
    while kept - refuted > 1e-9:
        mean = (refuted + kept) / 2.0
        wealth = math.fsum(weight * (1.0 + min(bet, 1.0 / mean) * (1.0 - mean)) ** units for bet, weight in bets)
        if wealth >= 1.0 / alpha:
            refuted = mean
        else:
            kept = mean
    return refuted


def _fewest_units(target: _Target, alpha: float) -> int | None:
    if target.reached_by(target.best_low(1, alpha)):
        return 1
    few, enough = 1, 2
    while not target.reached_by(target.best_low(enough, alpha)):
        few, enough = enough, enough * 2
        if enough > MOST_UNITS:
            return None
    while enough - few > 1:
        middle = (few + enough) // 2
        if target.reached_by(target.best_low(middle, alpha)):
            enough = middle
        else:
            few = middle
    return enough
