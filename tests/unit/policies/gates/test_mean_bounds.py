"""Bounds of means: against oracles, by enumeration, and what must hold for all of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from policies.gates.bounds import (
    Method,
    choose_method,
    interval,
    lower_bound,
    p_value_above,
    proportion_lower,
    standard_error,
    units_needed_for_t,
)
from policies.gates.samples import Sample, sample_of

BOUNDING = [method for method in Method if method.bounds]


def items(*scores: float, low: float | None = 0.0, high: float | None = 1.0, two_valued: bool = False) -> Sample:
    pairs = [(str(place), score) for place, score in enumerate(scores)]
    return sample_of(pairs, low=low, high=high, two_valued=two_valued)


def clustered_scores(clusters: int) -> list[tuple[str, float]]:
    rng = np.random.default_rng(clusters)
    return [
        (str(cluster), float(rng.random() < chance))
        for cluster in range(clusters)
        for chance in [rng.beta(4, 2)]
        for _ in range(rng.integers(1, 6))
    ]


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (1, 20), (17, 20), (20, 20), (880, 1000), (59, 59)])
def test_a_proportion_has_the_clopper_pearson_bounds_of_statsmodels(successes: int, trials: int) -> None:
    sample = items(*[1.0] * successes, *[0.0] * (trials - successes), two_valued=True)
    assert choose_method(sample, 0.05) is Method.EXACT
    found = interval(sample, 0.05, Method.EXACT)
    low, high = proportion_confint(successes, trials, alpha=0.10, method="beta")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-10)


def test_fifty_nine_items_without_failure_show_ninety_five_percent_and_fifty_eight_do_not() -> None:
    assert proportion_lower(59, 59, 0.05) >= 0.95
    assert proportion_lower(58, 58, 0.05) < 0.95


@pytest.mark.parametrize("clusters", [3, 40, 400])
def test_the_clustered_error_is_that_of_statsmodels(clusters: int) -> None:
    scores = clustered_scores(clusters)
    values, groups = [score for _, score in scores], [int(unit) for unit, _ in scores]
    fitted = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    sample = sample_of(scores, low=0.0, high=1.0, two_valued=True)
    assert standard_error(sample) == pytest.approx(fitted.bse[0], rel=1e-10)


def test_many_clusters_are_bounded_by_t_with_one_degree_less_than_clusters() -> None:
    sample = sample_of(clustered_scores(500), low=0.0, high=1.0, two_valued=True)
    assert choose_method(sample, 0.05) is Method.CLUSTERED_T
    found = interval(sample, 0.05, Method.CLUSTERED_T)
    reach = stats.t.ppf(0.95, 499) * standard_error(sample)
    assert (found.low, found.high) == pytest.approx((sample.mean - reach, sample.mean + reach), abs=1e-10)


def test_clusters_of_two_valued_items_never_take_the_binomial_bound() -> None:
    alike = sample_of([(str(n // 5), float(n >= 20)) for n in range(100)], low=0.0, high=1.0, two_valued=True)
    assert choose_method(alike, 0.05) is Method.BETTING


def test_one_cluster_has_no_bound() -> None:
    alike = sample_of([("only", n / 100) for n in range(100)], low=0.0, high=1.0, two_valued=False)
    assert choose_method(alike, 0.05) is Method.ONE_UNIT
    assert interval(alike, 0.05, Method.ONE_UNIT).low is None


def test_few_items_without_limits_have_no_bound_and_many_have() -> None:
    rng = np.random.default_rng(3)
    few, many = (items(*rng.normal(5, 1, size), low=0.0, high=None) for size in (30, 300))
    assert choose_method(few, 0.05) is Method.TOO_FEW_UNITS
    assert choose_method(many, 0.05) is Method.CLUSTERED_T


def test_near_constant_scores_do_not_take_t_since_they_may_hide_rare_failures() -> None:
    steady = items(*(0.9 + 0.0001 * (n % 7) for n in range(1000)))
    assert choose_method(steady, 0.05) is Method.BETTING


def test_scores_that_do_not_vary_never_take_t_even_where_sums_leave_rounding() -> None:
    steady = items(*[0.1] * 99, 0.1 + 1e-17, low=0.0, high=None)
    assert choose_method(steady, 0.05) is Method.TOO_FEW_UNITS
    assert choose_method(items(0.0, 9e-112), 0.05) is Method.BETTING


def test_a_few_large_clusters_among_many_count_as_few() -> None:
    scores = [(str(unit), unit % 2 * 1.0) for unit in range(80) for _ in range(10 if unit < 10 else 1)]
    uneven = sample_of(scores, low=0.0, high=1.0, two_valued=True)
    assert uneven.units == 80
    assert uneven.effective_units == pytest.approx(170**2 / 1070)
    assert units_needed_for_t(uneven, 0.05) <= 80
    assert choose_method(uneven, 0.05) is Method.BETTING


@pytest.mark.parametrize("chance", [0.05, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("trials", [2, 5, 12, 60])
def test_betting_misses_a_two_valued_mean_in_at_most_alpha_of_all_outcomes(chance: float, trials: int) -> None:
    missed = sum(
        stats.binom.pmf(successes, trials, chance)
        for successes in range(trials + 1)
        if lower_bound(items(*[1.0] * successes, *[0.0] * (trials - successes)), 0.05, Method.BETTING) > chance
    )
    assert missed <= 0.05


@pytest.mark.parametrize("chances", [(0.9,) * 5, (0.2, 0.95, 0.6, 0.99, 0.5), (0.99, 0.01, 0.99, 0.01, 0.99)])
def test_betting_holds_for_clusters_of_unlike_sizes_and_unlike_laws(chances: tuple[float, ...]) -> None:
    """The estimand is the mean over items: a cluster weighs as many items as it has."""
    sizes = (7, 1, 2, 1, 4)
    truth = sum(size * chance for size, chance in zip(sizes, chances, strict=True)) / sum(sizes)
    missed = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=5):
        weight = math.prod(c if score else 1 - c for score, c in zip(outcome, chances, strict=True))
        scores = [(str(unit), score) for unit, score in enumerate(outcome) for _ in range(sizes[unit])]
        sample = sample_of(scores, low=0.0, high=1.0, two_valued=False)
        missed += weight * (lower_bound(sample, 0.2, Method.BETTING) > truth)
    assert missed <= 0.2


def test_betting_weighs_a_unit_by_its_items() -> None:
    """Twenty good single items do not make up for one bad cluster of twenty."""
    scores = [(str(unit), 1.0) for unit in range(20)] + [("large", 0.0)] * 20
    assert lower_bound(sample_of(scores, low=0.0, high=1.0, two_valued=False), 0.05, Method.BETTING) < 0.3


def test_betting_is_not_much_wider_than_the_exact_bound() -> None:
    sample = items(*[1.0] * 180, *[0.0] * 20)
    assert 0.82 < lower_bound(sample, 0.05, Method.BETTING) < proportion_lower(180, 200, 0.05)


SCORES = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 1, allow_subnormal=False)), min_size=2, max_size=30
)
TWO_VALUED = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)


@given(scores=SCORES, method=st.sampled_from([Method.BETTING, Method.CLUSTERED_T]), alpha=st.floats(0.001, 0.3))
def test_bounds_enclose_the_mean_and_stay_in_range_and_below_the_cap(
    scores: list[tuple[str, float]], method: Method, alpha: float
) -> None:
    sample = sample_of(scores, low=0.0, high=1.0, two_valued=False)
    assume(sample.units > 1)
    found = interval(sample, alpha, method)
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= sample.mean <= found.high <= 1.0
    means = sample.unit_means
    assert found.low <= max(means) * alpha ** (1 / sample.units) + 1e-12
    assert found.high >= 1.0 - (1.0 - min(means)) * alpha ** (1 / sample.units) - 1e-12


@given(scores=SCORES, alpha=st.floats(0.001, 0.3))
def test_less_is_better_is_the_mirror_of_more_is_better(scores: list[tuple[str, float]], alpha: float) -> None:
    sample = sample_of(scores, low=0.0, high=1.0, two_valued=False)
    mirror = sample_of([(unit, -score) for unit, score in scores], low=-1.0, high=0.0, two_valued=False)
    assert sample.mirrored() == mirror
    method = choose_method(sample, alpha)
    assert choose_method(mirror, alpha) is method
    if method.bounds:
        assert interval(mirror, alpha, method).low == -interval(sample, alpha, method).high  # pyright: ignore[reportOptionalOperand]


@given(scores=SCORES, place=st.integers(0, 29), gain=st.floats(0, 1))
def test_a_better_score_never_lowers_the_betting_bound(
    scores: list[tuple[str, float]], place: int, gain: float
) -> None:
    place %= len(scores)
    unit, score = scores[place]
    better = [*scores[:place], (unit, score + gain * (1.0 - score)), *scores[place + 1 :]]
    before, after = (sample_of(s, low=0.0, high=1.0, two_valued=False) for s in (scores, better))
    bound = lower_bound(before, 0.05, Method.BETTING)
    assert lower_bound(after, 0.05, Method.BETTING) >= bound - 1e-8


@given(scores=SCORES, order=st.randoms())
def test_order_changes_no_bit(scores: list[tuple[str, float]], order: object) -> None:
    shuffled = list(scores)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    samples = [sample_of(s, low=0.0, high=1.0, two_valued=False) for s in (scores, shuffled)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("method", BOUNDING)
@pytest.mark.parametrize("bar", [0.3, 0.55, 0.6])
def test_the_p_value_is_the_level_at_which_the_bound_reaches_the_bar(method: Method, bar: float) -> None:
    sample = items(*[1.0] * 26, *[0.0] * 14, two_valued=True)
    level = p_value_above(sample, bar, method, tuned_for=0.05)
    if method is not Method.BETTING:
        assert lower_bound(sample, level, method) == pytest.approx(bar, abs=1e-9)
    for alpha in (0.01, 0.05, 0.2):
        agreed = p_value_above(sample, bar, method, tuned_for=alpha) <= alpha
        assert agreed == (lower_bound(sample, alpha, method) >= bar)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_wealth_of_the_bets_at_the_bound_is_one_over_alpha(alpha: float) -> None:
    sample = items(*(n % 10 / 10 for n in range(40)))
    bound = lower_bound(sample, alpha, Method.BETTING)
    assert p_value_above(sample, bound, Method.BETTING, tuned_for=alpha) == pytest.approx(alpha, rel=1e-5)


def test_the_p_value_respects_the_cap_of_the_support() -> None:
    """Forty equal scores say nothing beyond what forty units can: the spread of zero is not believed."""
    sample = items(*[1.0] * 40)
    level = p_value_above(sample, 0.95, Method.CLUSTERED_T, tuned_for=0.05)
    assert level == pytest.approx(0.95**40)
    assert lower_bound(sample, level, Method.CLUSTERED_T) == pytest.approx(0.95)


def test_a_bar_that_cannot_be_missed_has_level_zero_and_one_above_the_mean_has_level_one() -> None:
    sample = items(0.2, 0.4, 0.6)
    assert p_value_above(sample, -0.1, Method.BETTING, tuned_for=0.05) == 0.0
    assert p_value_above(sample, 0.5, Method.BETTING, tuned_for=0.05) == 1.0
