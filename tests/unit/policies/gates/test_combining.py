"""How criteria become a gate: which error is controlled, and what blocks."""

from __future__ import annotations

import pytest
from statsmodels.stats.multitest import multipletests

from policies.gates.combining import combine, holm_rejects
from policies.gates.results import CriterionVerdict, GateVerdict, VerdictWord
from policies.gates.rules import CriterionRule, GateRules, NeverFail, Threshold

MEAN = CriterionRule(metric="exact-match", bar=Threshold(side="at-least", value=0.7))
LISTED = CriterionRule(metric="exact-match", bar=NeverFail(items=("q",)))


def verdict_of(
    *found: tuple[VerdictWord, float | None], rules: tuple[CriterionRule, ...] = (), always: bool = False, **gate: str
) -> GateVerdict:
    criteria = tuple(rules) or (MEAN,) * len(found)
    verdicts = [
        CriterionVerdict(
            criterion=f"c{place}",
            metric="exact-match",
            verdict=word,
            reason="",
            p_value_worse=level,
            blocks_always=always and word == "inconclusive",
        )
        for place, (word, level) in enumerate(found)
    ]
    return combine(GateRules(criteria=criteria, **gate), verdicts)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "levels",
    [[0.04], [0.06], [0.01, 0.04, 0.03, 0.005], [0.016, 0.02, 0.9], [0.017, 0.02, 0.01], [0.0, 1.0, 0.5], [0.02] * 3],
)
def test_holm_is_that_of_statsmodels(levels: list[float]) -> None:
    for alpha in (0.01, 0.05, 0.2):
        assert holm_rejects(levels, alpha) == list(multipletests(levels, alpha=alpha, method="holm")[0])


@pytest.mark.parametrize(
    ("words", "verdict", "blocks"),
    [
        (("pass", "pass"), "pass", False),
        (("pass", "inconclusive"), "inconclusive", True),
        (("inconclusive", "fail"), "fail", True),
        (("pass", "fail"), "fail", True),
    ],
)
def test_all_shown_good_wants_every_criterion_shown(
    words: tuple[VerdictWord, ...], verdict: VerdictWord, blocks: bool
) -> None:
    found = verdict_of(*((word, None) for word in words))
    assert (found.verdict, found.blocks) == (verdict, blocks)


def test_warn_lets_an_inconclusive_gate_ship_unless_its_reason_has_no_excuse() -> None:
    assert not verdict_of(("inconclusive", None), on_inconclusive="warn").blocks
    assert verdict_of(("inconclusive", None), on_inconclusive="warn", always=True).blocks
    assert verdict_of(("fail", None), on_inconclusive="warn").blocks


def test_shown_worse_blocks_at_holms_level_only() -> None:
    """Of three criteria the smallest level must be below a third of alpha."""
    by_holm = {"combine": "block-if-any-shown-worse"}
    assert verdict_of(("fail", 0.03), ("pass", 1.0), ("pass", 1.0), **by_holm).verdict == "pass"
    assert verdict_of(("fail", 0.016), ("pass", 1.0), ("pass", 1.0), **by_holm).verdict == "fail"
    assert verdict_of(("fail", 0.03), **by_holm).verdict == "fail"


def test_shown_worse_ships_weak_data_and_says_so() -> None:
    found = verdict_of(("inconclusive", 0.4), ("pass", 1.0), combine="block-if-any-shown-worse")
    assert (found.verdict, found.blocks) == ("pass", False)
    assert "1 of 2 are not shown to hold" in found.reason
    assert found.false_ship_at_most is None


def test_shown_worse_still_blocks_on_what_cannot_be_judged() -> None:
    found = verdict_of(("inconclusive", None), combine="block-if-any-shown-worse", always=True, on_inconclusive="warn")
    assert (found.verdict, found.blocks) == ("inconclusive", True)


@pytest.mark.parametrize("how", ["all-shown-good", "block-if-any-shown-worse"])
def test_a_listed_failure_fails_under_either_rule_and_takes_no_part_in_holm(how: str) -> None:
    assert verdict_of(("pass", 1.0), ("fail", None), rules=(MEAN, LISTED), combine=how).verdict == "fail"
    alone = verdict_of(("fail", 0.04), ("pass", None), rules=(MEAN, LISTED), combine="block-if-any-shown-worse")
    assert alone.verdict == "fail"


def test_the_errors_that_are_controlled_are_stated() -> None:
    good = verdict_of(("pass", None), ("pass", None), ("pass", None), rules=(MEAN, MEAN, LISTED))
    assert (good.false_ship_at_most, good.false_block_at_most) == (0.05, 0.1)
    worse = verdict_of(("pass", 1.0), ("pass", 1.0), combine="block-if-any-shown-worse")
    assert (worse.false_ship_at_most, worse.false_block_at_most) == (None, 0.05)
    assert verdict_of(("pass", None), on_inconclusive="warn").false_ship_at_most is None
