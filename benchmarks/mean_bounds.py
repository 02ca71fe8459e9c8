"""Measure how often the bounds of gates miss the truth, over laws that are hard for them.

    python benchmarks/mean_bounds.py [--samples 20000] [--alpha 0.05]

Prints one Markdown table: for every law and number of units, how often Student's t alone (capped as every
method is) misses on its worse side, how often `choose_method` takes t, and how often the chosen bound misses.
Nominal is alpha. The tables in docs/decisions/0003-mean-bounds.md are from here. Seeded; minutes on one core.

The bounds are computed here for thousands of samples at once; `agrees_with_the_gate` compares a few of them
with `policies.gates.bounds`, so that what is measured is what decides.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from policies.gates import bounds
from policies.gates.bounds import Method, bets_and_weights
from policies.gates.distributions import student_quantile
from policies.gates.samples import sample_of

Array = np.ndarray
Draw = Callable[[np.random.Generator, int, int], tuple[Array, Array]]
"""Given samples and units, returns totals and sizes of units, each of shape (samples, units)."""

UNITS = (10, 20, 30, 50, 100, 200, 500, 1000, 2000)
CHUNK_NUMBERS = 1_000_000
BETTING_ROWS = 200
"""Samples of each chunk that betting is measured on: it is guaranteed, and slow for thousands at once."""


@dataclass(frozen=True, kw_only=True)
class Law:
    name: str
    draw: Draw
    mean: float
    low: float | None = 0.0
    high: float | None = 1.0


def single(values: Callable[[np.random.Generator, tuple[int, int]], Array]) -> Draw:
    """Return a law of units that are one item each."""

    def draw(rng: np.random.Generator, samples: int, units: int) -> tuple[Array, Array]:
        scores = values(rng, (samples, units))
        return scores, np.ones_like(scores)

    return draw


def clustered(chance: float, agreement: float, sizes: Callable[[np.random.Generator, tuple[int, int]], Array]) -> Draw:
    """Return two-valued items in clusters; `agreement` is the correlation within one."""

    def draw(rng: np.random.Generator, samples: int, units: int) -> tuple[Array, Array]:
        shape = (samples, units)
        strength = 1.0 / agreement - 1.0
        chances = rng.beta(chance * strength, (1.0 - chance) * strength, shape)
        counts = sizes(rng, shape)
        return rng.binomial(counts, chances).astype(float), counts.astype(float)

    return draw


def dropping(rate: float) -> Draw:
    """Return scores close to 0.9 of which a share is 0: rare failures that a sample may never meet."""
    return single(lambda rng, shape: np.where(rng.random(shape) < rate, 0.0, rng.uniform(0.88, 0.92, shape)))


def signs(better: float, worse: float) -> Draw:
    """Return paired differences of two-valued scores."""

    def values(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        uniform = rng.random(shape)
        return np.where(uniform < better, 1.0, np.where(uniform > 1.0 - worse, -1.0, 0.0))

    return single(values)


def two_valued(chance: float) -> Draw:
    """Return scores 0 and 1 as the mean of bounds sees them when it may not use the exact method."""
    return single(lambda rng, shape: (rng.random(shape) < chance).astype(float))


LAWS = (
    Law(name="two-valued 0.5", draw=two_valued(0.5), mean=0.5),
    Law(name="two-valued 0.8", draw=two_valued(0.8), mean=0.8),
    Law(name="two-valued 0.95", draw=two_valued(0.95), mean=0.95),
    Law(name="two-valued 0.99", draw=two_valued(0.99), mean=0.99),
    Law(name="two-valued 0.997", draw=two_valued(0.997), mean=0.997),
    Law(name="uniform", draw=single(lambda rng, shape: rng.random(shape)), mean=0.5),
    Law(name="beta(8, 2)", draw=single(lambda rng, shape: rng.beta(8, 2, shape)), mean=0.8),
    Law(name="beta(0.3, 0.1), U-shaped", draw=single(lambda rng, shape: rng.beta(0.3, 0.1, shape)), mean=0.75),
    Law(name="beta(1, 30), skewed", draw=single(lambda rng, shape: rng.beta(1, 30, shape)), mean=1 / 31),
    Law(name="near-constant 0.9 ± 0.02", draw=dropping(0.0), mean=0.9),
    Law(name="near-constant, 1 % are 0", draw=dropping(0.01), mean=0.9 * 0.99),
    Law(name="near-constant, 0.2 % are 0", draw=dropping(0.002), mean=0.9 * 0.998),
    Law(name="differences +8 % -8 %", draw=signs(0.08, 0.08), mean=0.0, low=-1.0),
    Law(name="differences +1 % -4 %", draw=signs(0.01, 0.04), mean=-0.03, low=-1.0),
    Law(
        name="clusters of 1 to 5, two-valued 0.8",
        draw=clustered(0.8, 0.3, lambda rng, shape: rng.integers(1, 6, shape)),
        mean=0.8,
    ),
    Law(
        name="clusters of 5, two-valued 0.95, alike",
        draw=clustered(0.95, 0.7, lambda _, shape: np.full(shape, 5)),
        mean=0.95,
    ),
    Law(
        name="clusters of very unequal sizes, two-valued 0.8",
        draw=clustered(0.8, 0.3, lambda rng, shape: rng.geometric(0.1, shape)),
        mean=0.8,
    ),
    Law(name="exponential, no limit", draw=single(lambda rng, shape: rng.exponential(1.0, shape)), mean=1.0, high=None),
    Law(
        name="log-normal 0.5, no limit",
        draw=single(lambda rng, shape: rng.lognormal(0.0, 0.5, shape)),
        mean=math.exp(0.125),
        high=None,
    ),
    Law(
        name="log-normal 1, no limit",
        draw=single(lambda rng, shape: rng.lognormal(0.0, 1.0, shape)),
        mean=math.exp(0.5),
        high=None,
    ),
    Law(
        name="normal, no limit", draw=single(lambda rng, shape: rng.normal(0, 1, shape)), mean=0.0, low=None, high=None
    ),
)


@dataclass(frozen=True, kw_only=True)
class Missed:
    """Booleans by sample; pairs are the lower and the upper side."""

    by_t: tuple[Array, Array]
    chosen_t: Array
    by_betting: tuple[Array, Array]
    """For the first samples alone that do not choose t, `BETTING_ROWS` at most."""


def judge(law: Law, totals: Array, sizes: Array, alpha: float) -> Missed:
    """Return which bounds miss the law's mean, for every sample at once."""
    mirrored_low = None if law.high is None else -law.high
    by_t = (
        t_lower(totals, sizes, alpha, law.low) > law.mean,
        t_lower(-totals, sizes, alpha, mirrored_low) > -law.mean,
    )
    chosen = effective_units(sizes) >= needed_units(law, totals, sizes, alpha)
    rows = np.flatnonzero(~chosen)[:BETTING_ROWS]
    if law.low is None or law.high is None or len(rows) == 0:
        never = np.zeros(len(rows), dtype=bool)
        return Missed(by_t=by_t, chosen_t=chosen, by_betting=(never, never))
    reach = law.high - law.low
    scores, mean = (totals[rows] / sizes[rows] - law.low) / reach, (law.mean - law.low) / reach
    below = betting_misses(scores, sizes[rows], mean, alpha)
    above = betting_misses(1 - scores, sizes[rows], 1 - mean, alpha)
    return Missed(by_t=by_t, chosen_t=chosen, by_betting=(below, above))


def t_lower(totals: Array, sizes: Array, alpha: float, low: float | None) -> Array:
    units, items = totals.shape[1], sizes.sum(axis=1)
    mean = totals.sum(axis=1) / items
    residuals = totals - sizes * mean[:, None]
    error = np.sqrt(units / (units - 1) * (residuals**2).sum(axis=1)) / items
    bound = mean - student_quantile(1 - alpha, units - 1) * error
    if low is None:
        return bound
    return np.minimum(bound, low + ((totals / sizes).max(axis=1) - low) * alpha ** (1 / units))


def effective_units(sizes: Array) -> Array:
    return sizes.sum(axis=1) ** 2 / (sizes**2).sum(axis=1)


def needed_units(law: Law, totals: Array, sizes: Array, alpha: float) -> Array:
    mean = totals.sum(axis=1) / sizes.sum(axis=1)
    residuals = totals - sizes * mean[:, None]
    squares, cubes = (residuals**2).sum(axis=1), (residuals**3).sum(axis=1)
    units = totals.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.sqrt(units) * np.abs(cubes) / squares**1.5
        for end in (law.low, law.high):
            if end is not None:
                unseen = sizes.max(axis=1) * (end - mean)
                worst = np.maximum(worst, np.sqrt(units + 1) * np.abs(cubes + unseen**3) / (squares + unseen**2) ** 1.5)
    worst = np.where(squares == 0, np.inf, worst)
    return np.maximum(bounds.LEAST_UNITS_FOR_T, (bounds.skewness_factor(alpha) * worst) ** 2)


def betting_misses(scores: Array, sizes: Array, mean: float, alpha: float) -> Array:
    shares = sizes / sizes.max(axis=1)[:, None]
    wealth = np.zeros(len(scores))
    # The bets depend on the sizes of a sample; laws of one size share them, the others take them row by row.
    squared = (shares**2).sum(axis=1)
    first = np.array([bets_and_weights(alpha, value)[0][0] for value in squared])
    for place, (bet, weight) in enumerate(bets_and_weights(alpha, 1.0)):
        limited = np.minimum(np.inf if math.isinf(bet) else first * 2.0**place, 1 / mean)
        gains = (
            np.maximum(limited[:, None] * shares * (scores - mean), -1.0)
            if not math.isinf(bet)
            else np.maximum(shares * (scores - mean) / mean, -1.0)
        )
        with np.errstate(divide="ignore"):
            wealth += weight * np.exp(np.log1p(gains).sum(axis=1))
    return wealth >= 1 / alpha


def measure(law: Law, units: int, samples: int, alpha: float) -> tuple[float, float, float]:
    """Return how often t misses on its worse side, how often it is chosen, how often the choice misses."""
    rng = np.random.default_rng([units, sum(law.name.encode())])
    rows = max(1, CHUNK_NUMBERS // units)
    parts: list[Missed] = []
    done = 0
    while done < samples:
        now = min(rows, samples - done)
        parts.append(judge(law, *law.draw(rng, now, units), alpha))
        done += now
    chosen = np.concatenate([part.chosen_t for part in parts])
    t_misses, rule_misses = [], []
    for side in (0, 1):
        by_t = np.concatenate([part.by_t[side] for part in parts])
        by_betting = np.concatenate([part.by_betting[side] for part in parts])
        t_misses.append(by_t.mean())
        betting_rate = by_betting.mean() if len(by_betting) else 0.0
        rule_misses.append((by_t & chosen).mean() + betting_rate * (~chosen).mean())
    return float(max(t_misses)), float(chosen.mean()), float(max(rule_misses))


def agrees_with_the_gate(law: Law, alpha: float) -> None:
    """Compare a few samples with what decides: the method, and whether its bounds hold the mean."""
    totals, sizes = law.draw(np.random.default_rng(7), 20, 60)
    missed = judge(law, totals, sizes, alpha)
    places = np.cumsum(~missed.chosen_t) - 1  # where a sample that does not choose t is among those of betting
    for row in range(len(totals)):
        scores = [
            (str(unit), total / size)
            for unit, (total, size) in enumerate(zip(totals[row], sizes[row], strict=True))
            for _ in range(int(size))
        ]
        sample = sample_of(scores, low=law.low, high=law.high, two_valued=False)
        chosen = bounds.choose_method(sample, alpha)
        assert (chosen is Method.CLUSTERED_T) == missed.chosen_t[row], law.name
        if chosen.bounds:
            found = bounds.interval(sample, alpha, chosen)
            by, at = (missed.by_t, row) if chosen is Method.CLUSTERED_T else (missed.by_betting, places[row])
            assert (found.low > law.mean) <= by[0][at], law.name  # the cap may hold where bets alone do not
            assert (found.high < law.mean) <= by[1][at], law.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--alpha", type=float, default=0.05)
    options = parser.parse_args()
    print(f"Cells: t alone misses / t is chosen / the chosen bound misses, in %. Nominal {options.alpha:.3g}.\n")
    print("| law | " + " | ".join(str(units) for units in UNITS) + " |")
    print("|---" * (len(UNITS) + 1) + "|")
    worst = 0.0
    for law in LAWS:
        agrees_with_the_gate(law, options.alpha)
        cells = [measure(law, units, options.samples, options.alpha) for units in UNITS]
        worst = max(worst, *(rule for _, _, rule in cells))
        print(f"| {law.name} | " + " | ".join(f"{t:.1%} / {c:.0%} / {r:.1%}" for t, c, r in cells) + " |", flush=True)
    print(f"\nThe chosen bound misses in at most {worst:.2%} of samples.")


if __name__ == "__main__":
    main()
