"""The sample quantile and its bounds in the metric's own units.

Called by `verdicts` for display: the verdict itself is decided at the threshold, as a share of items.
The bounds are those shares turned around, so for independent items both always agree.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policies.gates.bounds import Interval, Method, lower_bound
from policies.gates.questions import share_sample
from policies.gates.samples import Sample


@dataclass(frozen=True, kw_only=True)
class BoundedEstimate:
    """A bound is None where no value seen is extreme enough to be one."""

    estimate: float
    low: float | None
    high: float | None

    def mirrored(self) -> BoundedEstimate:
        """Return the same for negated values."""
        return BoundedEstimate(
            estimate=-self.estimate + 0.0,  # never a negative zero
            low=None if self.high is None else -self.high + 0.0,
            high=None if self.low is None else -self.low + 0.0,
        )

    def agreeing_with(self, threshold: float, share_bounds: Interval, share: float) -> BoundedEstimate:
        """Return the same with bounds on the sides of `threshold` that the shares at it prove.

        With clusters the inverted bounds need not be monotone to the last value; the decision is what counts.
        """
        if share_bounds.low is None or share_bounds.high is None:
            return self
        low, high = self.low, self.high
        if share_bounds.low >= share:
            high = threshold if high is None else min(high, threshold)
        elif high is not None:
            high = max(high, threshold)
        if share_bounds.high < share:
            low = threshold if low is None else max(low, threshold)
        elif low is not None:
            low = min(low, threshold)
        return BoundedEstimate(estimate=self.estimate, low=low, high=high)


def quantile_below(scores: Sequence[tuple[str, float]], share: float, alpha: float, method: Method) -> BoundedEstimate:
    """Return the least value that `share` of the items do not exceed, with one-sided bounds by `method`."""
    values = sorted({score for _, score in scores})

    def first(holds: Callable[[Sample], bool]) -> int:
        return bisect.bisect_left(values, 1, key=lambda value: int(holds(share_sample(scores, value, at_most=True))))

    # The tolerance forgives the last bit of a mean: share 0.95 of 20 items is 19 of them.
    estimate = values[min(first(lambda sample: sample.mean >= share - 1e-12), len(values) - 1)]
    if not method.bounds:
        return BoundedEstimate(estimate=estimate, low=None, high=None)
    upper = first(lambda sample: lower_bound(sample, alpha, method) >= share)
    lower = first(lambda sample: -lower_bound(sample.mirrored(), alpha, method) >= share)
    nothing_below = share_sample(scores, -math.inf, at_most=True)
    unbounded_below = -lower_bound(nothing_below.mirrored(), alpha, method) >= share
    return BoundedEstimate(
        estimate=estimate,
        low=None if unbounded_below else values[min(lower, len(values) - 1)],
        high=values[upper] if upper < len(values) else None,
    )
