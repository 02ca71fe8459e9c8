"""Our distributions against scipy's."""

from __future__ import annotations

import pytest
from scipy import stats

from policies.gates.distributions import beta_cdf, beta_quantile, binomial_tail, student_quantile, student_tail

SHAPES = [(1.0, 5.0), (95.0, 6.0), (0.5, 20.0), (3.0, 1.0), (9500.0, 501.0), (999_999.0, 2.0)]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.95])
def test_the_beta_quantile_is_scipys(a: float, b: float, probability: float) -> None:
    assert beta_quantile(probability, a, b) == pytest.approx(stats.beta.ppf(probability, a, b), rel=1e-9)


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("x", [0.0, 1e-6, 0.2, 0.5, 0.949, 0.9999, 1.0])
def test_the_beta_distribution_is_scipys(a: float, b: float, x: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 999, 50_000])
@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.6, 0.95, 0.999])
def test_students_quantile_is_scipys(degrees: int, probability: float) -> None:
    assert student_quantile(probability, degrees) == pytest.approx(
        stats.t.ppf(probability, degrees), rel=1e-8, abs=1e-12
    )


@pytest.mark.parametrize("degrees", [1, 5, 30, 50_000])
@pytest.mark.parametrize("value", [-40.0, -0.3, 0.0, 1.7, 12.0])
def test_students_tail_is_scipys(degrees: int, value: float) -> None:
    assert student_tail(value, degrees) == pytest.approx(stats.t.sf(value, degrees), rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("successes", [0, 1, 17, 20, 21])
def test_the_binomial_tail_is_scipys(successes: int) -> None:
    assert binomial_tail(successes, 20, 0.8) == pytest.approx(stats.binom.sf(successes - 1, 20, 0.8), abs=1e-12)
