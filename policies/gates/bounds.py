"""One-sided confidence bounds of a mean over items, and the level at which a bar is just passed.

Called by `verdicts` and `combine`. Three methods, chosen by `choose_method` (docs/decisions/0003-mean-bounds.md):

- `EXACT`: Clopper-Pearson, for independent two-valued scores. Guaranteed.
- `BETTING`: a bound that is guaranteed for independent units with scores in a known range, whatever their
  laws and sizes. The estimand is the mean over items: a unit weighs as many items as it has.
- `CLUSTERED_T`: Student's t over unit sums, where simulation shows that it holds.

Pure and deterministic. Numpy is imported by the betting bound alone.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from statistics import NormalDist

from policies.gates.distributions import beta_quantile, binomial_tail, student_quantile, student_tail
from policies.gates.samples import Sample

LEAST_UNITS_FOR_T = 50
"""Fewer units never use t, however well their scores behave (simulated: decision 0003)."""

ERROR_EXCESS = 0.1
"""Share of alpha by which skewness may raise the error of t before it gives way: 0.055 in place of 0.05."""

_ROUNDING = 1e-12
"""Spread, relative to the scores, that sums of floats leave where nothing varies."""

_BETS = 7
"""Sizes of bet that the betting bound mixes, each half as cautious as the one before; the last stakes all."""


class Method(enum.Enum):
    """How a mean was bounded; the value is said in the verdict."""

    EXACT = "exact binomial bound (Clopper-Pearson)"
    BETTING = "guaranteed bound for bounded scores (betting)"
    CLUSTERED_T = "Student's t over units, with clustered errors"
    ONE_UNIT = "no bound: all items are one cluster"
    TOO_FEW_UNITS = "no bound: too few units for a metric without limits"

    @property
    def bounds(self) -> bool:
        return self not in (Method.ONE_UNIT, Method.TOO_FEW_UNITS)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Two one-sided bounds around the mean; None where nothing can be said on that side."""

    low: float | None
    high: float | None


def choose_method(sample: Sample, alpha: float) -> Method:
    """Return the method for bounds at level `alpha`."""
    if sample.two_valued and sample.independent_items:
        return Method.EXACT
    if sample.units == 1:
        return Method.ONE_UNIT
    if sample.effective_units >= units_needed_for_t(sample, alpha):
        return Method.CLUSTERED_T
    if sample.low is None or sample.high is None:
        return Method.TOO_FEW_UNITS
    return Method.BETTING


def units_needed_for_t(sample: Sample, alpha: float) -> float:
    """Return the number of units from which t holds at `alpha` for scores as skewed as these."""
    return max(float(LEAST_UNITS_FOR_T), (skewness_factor(alpha) * _cautious_skewness(sample)) ** 2)


def skewness_factor(alpha: float) -> float:
    """Return how many root units a skewness of one costs.

    The first-order error of a one-sided t bound is (2z²+1)·φ(z)·skewness / (6·√units).
    """
    normal = NormalDist()
    z = normal.inv_cdf(1.0 - alpha)
    return (2.0 * z * z + 1.0) * normal.pdf(z) / (6.0 * ERROR_EXCESS * alpha)


def interval(sample: Sample, alpha: float, method: Method) -> Interval:
    """Return both one-sided 1-alpha bounds of the mean by `method`."""
    if not method.bounds:
        return Interval(low=None, high=None)
    upper = lower_bound(sample.mirrored(), alpha, method)
    return Interval(low=lower_bound(sample, alpha, method), high=-upper)


def lower_bound(sample: Sample, alpha: float, method: Method) -> float:
    """Return the one-sided lower bound, never above the mean nor what `_support_cap` allows."""
    match method:
        case Method.EXACT:
            bound = _exact_lower(sample, alpha)
        case Method.BETTING:
            bound = _betting_lower(sample, alpha)
        case Method.CLUSTERED_T:
            bound = sample.mean - student_quantile(1.0 - alpha, sample.units - 1) * standard_error(sample)
        case Method.ONE_UNIT | Method.TOO_FEW_UNITS:
            raise ValueError(f"{method.name} gives no bound")
    if sample.low is not None:
        bound = max(min(bound, _support_cap(sample, sample.low, alpha)), sample.low)
    return min(bound, sample.mean)


def p_value_above(sample: Sample, bar: float, method: Method, *, tuned_for: float) -> float:
    """Return the least level at which the lower bound by `method` exceeds `bar`: small where it is shown above.

    `tuned_for` is the level that the bets of the betting bound are sized for; any value is valid.
    """
    if not method.bounds:
        return 1.0
    if sample.low is not None and bar < sample.low:
        return 0.0
    if sample.mean <= bar:
        return 1.0
    capped = 0.0 if sample.low is None else _support_cap_level(sample, sample.low, bar)
    match method:
        case Method.EXACT:
            return max(capped, _exact_level(sample, bar))
        case Method.BETTING:
            return max(capped, _betting_level(sample, bar, tuned_for))
        case _:
            return max(capped, _student_level(sample, bar))


def standard_error(sample: Sample) -> float:
    """Return the clustered standard error of the mean over items, with the factor C/(C-1)."""
    mean, units = sample.mean, sample.units
    squares = math.fsum(residual * residual for residual in _residuals(sample, mean))
    return math.sqrt(units / (units - 1) * squares) / sample.items


def _residuals(sample: Sample, mean: float) -> list[float]:
    return [total - size * mean for total, size in zip(sample.totals, sample.sizes, strict=True)]


def _cautious_skewness(sample: Sample) -> float:
    """Return the largest absolute skewness of the unit sums: as they are, and with one unseen unit at either end.

    The unseen unit stands for rare failures that a sample of near-constant scores has not met yet;
    without it t would trust their tiny spread.
    """
    mean = sample.mean
    residuals = _residuals(sample, mean)
    largest = max(sample.sizes)
    ends = [largest * (end - mean) for end in (sample.low, sample.high) if end is not None]
    squares = math.fsum(residual**2 for residual in residuals)
    if math.sqrt(squares) <= _ROUNDING * max(abs(total) for total in sample.totals):
        return math.inf  # the scores do not vary: what is left is rounding, and says nothing of their law
    cubes = math.fsum(residual**3 for residual in residuals)
    worst = _skewness(squares, cubes, sample.units)
    for end in ends:
        worst = max(worst, _skewness(squares + end**2, cubes + end**3, sample.units + 1))
    return worst


def _skewness(squares: float, cubes: float, units: int) -> float:
    spread = math.sqrt(squares / units)
    return math.inf if spread == 0.0 else abs(cubes / units / spread / spread / spread)  # a cube could underflow


def _support_cap(sample: Sample, low: float, alpha: float) -> float:
    """Return the greatest lower bound that this many units can carry, were all as good as the best."""
    return low + (max(sample.unit_means) - low) * alpha ** (1.0 / sample.units)


def _support_cap_level(sample: Sample, low: float, bar: float) -> float:
    best = max(sample.unit_means)
    return 1.0 if best <= bar else ((bar - low) / (best - low)) ** sample.units


def _successes(sample: Sample, low: float, high: float) -> int:
    return round((math.fsum(sample.totals) - low * sample.items) / (high - low))


def _limits(sample: Sample) -> tuple[float, float]:
    if sample.low is None or sample.high is None:
        raise ValueError("this bound needs scores with a known range")
    return sample.low, sample.high


def _exact_lower(sample: Sample, alpha: float) -> float:
    low, high = _limits(sample)
    return low + (high - low) * proportion_lower(_successes(sample, low, high), sample.items, alpha)


def proportion_lower(successes: int, trials: int, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a proportion."""
    if successes == 0:
        return 0.0
    if successes == trials:
        return alpha ** (1.0 / trials)
    return beta_quantile(alpha, successes, trials - successes + 1)


def _exact_level(sample: Sample, bar: float) -> float:
    low, high = _limits(sample)
    return binomial_tail(_successes(sample, low, high), sample.items, (bar - low) / (high - low))


def _student_level(sample: Sample, bar: float) -> float:
    error = standard_error(sample)
    return 0.0 if error == 0.0 else student_tail((sample.mean - bar) / error, sample.units - 1)


def _betting_level(sample: Sample, bar: float, tuned_for: float) -> float:
    low, high = _limits(sample)
    return min(1.0, math.exp(-_Bettor(sample, tuned_for).log_wealth((bar - low) / (high - low))))


def _betting_lower(sample: Sample, alpha: float) -> float:
    """Return the least mean that the bets do not refute, by bisection: the wealth falls as the mean rises."""
    low, high = _limits(sample)
    bettor = _Bettor(sample, alpha)
    refuted, kept = 0.0, (sample.mean - low) / (high - low)
    while kept - refuted > 1e-9:
        middle = (refuted + kept) / 2.0
        if bettor.log_wealth(middle) >= -math.log(alpha):
            refuted = middle
        else:
            kept = middle
    return low + (high - low) * refuted


def bets_and_weights(alpha: float, squared_sizes: float) -> tuple[tuple[float, float], ...]:
    """Return (bet, weight) pairs that sum to weight 1; the last bet is unlimited.

    The best bet for scores of spread s is sqrt(2·ln(1/alpha) / (s²·Σr²)), r the size of a unit over the largest.
    The first is for the largest spread there is, one half; each next one for half of the one before.
    """
    first = 2.0 * math.sqrt(-2.0 * math.log(alpha) / squared_sizes)
    bets = [first * 2.0**step for step in range(_BETS)] + [math.inf]
    total = math.fsum(1.0 / (place + 1) for place in range(len(bets)))
    return tuple((bet, 1.0 / ((place + 1) * total)) for place, bet in enumerate(bets))


class _Bettor:
    """The wealth of bets against "the mean is at most m", from stake 1.

    Each bet is constant, so the product of 1 + bet·r·(x - m) over independent units has expectation at most
    (1 + bet·mean of r·(μ - m))^units <= 1 by the inequality of means, whatever the law and size of each unit.
    A mixture of such bets keeps that, hence P(wealth >= 1/alpha) <= alpha (Markov). Order does not matter.
    """

    def __init__(self, sample: Sample, tuned_for: float) -> None:
        import numpy as np

        low, high = _limits(sample)
        largest = max(sample.sizes)
        pairs = [
            ((total / size - low) / (high - low), size / largest)
            for total, size in zip(sample.totals, sample.sizes, strict=True)
        ]
        distinct, counts = np.unique(np.array(pairs, dtype=np.float64), axis=0, return_counts=True)
        self._scores, self._shares, self._counts = distinct[:, 0], distinct[:, 1], counts.astype(np.float64)
        squared_sizes = math.fsum(share * share for _, share in pairs)
        bets = bets_and_weights(tuned_for, squared_sizes)
        self._bets = np.array([bet for bet, _ in bets])
        self._log_weights = np.log(np.array([weight for _, weight in bets]))

    def log_wealth(self, mean: float) -> float:
        """Return the natural logarithm of the wealth at `mean`, which is in (0, 1)."""
        import numpy as np

        if mean <= 0.0:
            return math.inf
        bets = np.minimum(self._bets, 1.0 / mean)[:, None]  # shape (bets, 1); units are (distinct units,)
        gains = bets * (self._shares * (self._scores - mean))
        with np.errstate(divide="ignore"):  # a lost all-in bet is a wealth of zero
            logs = (np.log1p(np.maximum(gains, -1.0)) * self._counts).sum(axis=1) + self._log_weights
        return float(np.logaddexp.reduce(logs))
