"""What the compiler may say before anything runs: it is checked against what the gate then decides."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from llmops_spec.catalogue.metrics import METRICS
from policies.gates.power import Design, prospect
from policies.gates.rules import Bar, Better, CriterionRule, GateRules, NeverFail, NonInferior, Threshold
from policies.gates.verdicts import decide

EXACT, ROUGE, LATENCY = METRICS["exact-match"], METRICS["rouge-l"], METRICS["latency-seconds"]


def asks(bar: Bar, metric: str = "exact-match") -> CriterionRule:
    return CriterionRule(metric=metric, bar=bar)


def independent(items: int) -> Design:
    return Design(items=items, units=items)


AT_LEAST_95 = asks(Threshold(side="at-least", value=0.95))


def test_five_perfect_items_never_show_ninety_five_percent() -> None:
    found = prospect(AT_LEAST_95, EXACT, independent(5), 0.05)
    assert not found.can_pass
    assert found.best_low == pytest.approx(0.05 ** (1 / 5))
    assert found.units_to_pass == 59
    assert prospect(AT_LEAST_95, EXACT, independent(59), 0.05).can_pass


def test_a_quantile_needs_its_items() -> None:
    rule = asks(Threshold(side="at-most", value=2.0, quantile=0.95), "latency-seconds")
    assert not prospect(rule, LATENCY, independent(58), 0.05).can_pass
    assert prospect(rule, LATENCY, independent(59), 0.05).can_pass


def test_clusters_and_not_items_are_what_counts() -> None:
    assert not prospect(AT_LEAST_95, EXACT, Design(items=500, units=40), 0.05).can_pass
    assert prospect(AT_LEAST_95, EXACT, Design(items=500, units=100), 0.05).can_pass


def test_a_mean_without_limits_can_be_bounded_from_fifty_units_on() -> None:
    rule = asks(Threshold(side="at-most", value=2.0), "latency-seconds")
    assert not prospect(rule, LATENCY, independent(49), 0.05).can_pass
    assert prospect(rule, LATENCY, independent(50), 0.05).can_pass


def test_a_bar_at_or_above_the_top_can_never_be_passed_or_never_missed() -> None:
    top = prospect(asks(Threshold(side="at-least", value=1.0)), EXACT, independent(10), 0.05)
    assert (top.can_pass, top.units_to_pass) == (False, None)
    assert not prospect(asks(Threshold(side="at-least", value=0.0)), EXACT, independent(10_000), 0.05).can_fail
    assert not prospect(asks(Threshold(side="at-least", value=0.5)), EXACT, independent(3), 0.05).can_fail
    assert prospect(asks(Threshold(side="at-least", value=0.5)), EXACT, independent(50), 0.05).can_fail


def test_a_margin_as_wide_as_the_metric_can_never_be_missed() -> None:
    assert not prospect(asks(NonInferior(baseline="b", margin=1.0), "rouge-l"), ROUGE, independent(500), 0.05).can_fail
    assert prospect(asks(NonInferior(baseline="b", margin=0.1), "rouge-l"), ROUGE, independent(500), 0.05).can_fail


def test_a_list_that_must_never_fail_can_do_both() -> None:
    found = prospect(asks(NeverFail(items=("q",))), EXACT, independent(1), 0.05)
    assert (found.can_pass, found.can_fail) == (True, True)


@pytest.mark.parametrize("units", [2, 5, 8, 20, 45, 49, 70])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("value", [0.4, 0.75, 0.9, 0.932])  # 45 units: the cap is 0.936, betting reaches 0.930
@pytest.mark.parametrize("side", ["at-least", "at-most"])
def test_the_prospect_is_what_the_gate_decides_for_perfect_and_for_hopeless_scores(
    written: Any, units: int, size: int, value: float, side: Any
) -> None:
    rule = asks(Threshold(side=side, value=value), "rouge-l")
    found = prospect(rule, ROUGE, Design(items=units * size, units=units), 0.05)
    good = 1.0 if side == "at-least" else 0.0
    verdicts = {
        score: decide(GateRules(criteria=(rule,)), same_scores(written, units, size, score), {}, METRICS).verdict
        for score in (good, 1.0 - good)
    }
    if units < 50:  # from there on the prospect is a limit that t might reach, and no forecast
        assert (verdicts[good] == "pass") == found.can_pass
        assert (verdicts[1.0 - good] == "fail") == found.can_fail
    assert found.can_pass or verdicts[good] != "pass"
    assert found.can_fail or verdicts[1.0 - good] != "fail"


def same_scores(written: Any, units: int, size: int, score: float) -> Any:
    names = [(f"i{unit}-{n}", f"c{unit}") for unit in range(units) for n in range(size)]
    return written(scores={name: [score] for name, _ in names}, clusters=dict(names), metric="rouge-l").record()


def test_the_power_module_needs_no_numpy() -> None:
    """The compiler imports it; a child process shows what it brings along."""
    code = "import sys, policies.gates.power as p; sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_better_than_a_baseline_can_be_shown_by_few_units() -> None:
    found = prospect(asks(Better(baseline="b")), EXACT, independent(3), 0.05)
    assert not found.can_pass
    assert found.units_to_pass is not None
    assert 4 <= found.units_to_pass <= 8
