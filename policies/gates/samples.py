"""The scores of one criterion, summed over the units that are independent of each other.

Made by `items`, read by `bounds`. Always oriented so that more is better; `mirrored` turns a lower bound
into an upper one, so both sides are one computation. Units are sorted: the order of records changes no bit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At least one unit; each is a cluster of items, or one item alone."""

    totals: tuple[float, ...]
    """Sum of the item scores of each unit."""
    sizes: tuple[int, ...]
    """Scored items of each unit."""
    low: float | None
    """Least possible item score; None where there is none."""
    high: float | None
    """Greatest possible item score; None where there is none."""
    two_valued: bool
    """An item scores `low` or `high` and nothing between."""

    @property
    def units(self) -> int:
        return len(self.sizes)

    @property
    def items(self) -> int:
        return sum(self.sizes)

    @property
    def mean(self) -> float:
        return math.fsum(self.totals) / self.items

    @property
    def independent_items(self) -> bool:
        return self.units == self.items

    @property
    def unit_means(self) -> tuple[float, ...]:
        return tuple(total / size for total, size in zip(self.totals, self.sizes, strict=True))

    @property
    def effective_units(self) -> float:
        """Units of equal size that carry as much as these (Kish): a few huge clusters count as a few."""
        return self.items**2 / math.fsum(size * size for size in self.sizes)

    def mirrored(self) -> Sample:
        """Return the sample of the negated scores."""
        ordered = sorted(zip((-total for total in self.totals), self.sizes, strict=True))
        return Sample(
            totals=tuple(total for total, _ in ordered),
            sizes=tuple(size for _, size in ordered),
            low=None if self.high is None else -self.high,
            high=None if self.low is None else -self.low,
            two_valued=self.two_valued,
        )


def sample_of(
    scores: Iterable[tuple[str, float]], *, low: float | None, high: float | None, two_valued: bool
) -> Sample:
    """Sum (unit, score) pairs by unit."""
    grouped: defaultdict[str, list[float]] = defaultdict(list)
    for unit, score in scores:
        grouped[unit].append(score)
    ordered = sorted((math.fsum(values), len(values)) for values in grouped.values())
    return Sample(
        totals=tuple(total for total, _ in ordered),
        sizes=tuple(size for _, size in ordered),
        low=low,
        high=high,
        two_valued=two_valued,
    )
