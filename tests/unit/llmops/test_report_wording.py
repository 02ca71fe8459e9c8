"""Numbers, times and verdicts in the words of a report."""

from __future__ import annotations

import pytest

from llmops.errors import Exit
from llmops.report import wording
from llmops.report.data import ReportedCriterion, ReportedVerdict


def criterion(**changes: object) -> ReportedCriterion:
    facts = {"criterion": "c", "metric": "m", "verdict": "pass", "reason": "r"}
    return ReportedCriterion.model_validate(facts | changes)


def verdict(**changes: object) -> ReportedVerdict:
    facts = {
        "verdict": "pass",
        "blocks": False,
        "reason": "",
        "alpha": 0.05,
        "combine": "all-shown-good",
        "onInconclusive": "block",
        "falseShipAtMost": 0.05,
        "falseBlockAtMost": 0.35,
        "criteria": [],
    }
    return ReportedVerdict.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (-0.02, "−0.02"), (0.87654, "0.8765"), (12345.0, "12,345"), (1e9, "1e+09")],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0 s"), (0.02, "< 0.1 s"), (1.44, "1.4 s"), (31.2, "31 s"), (185.0, "3 min 05 s"), (7320.0, "2 h 02 min")],
)
def test_seconds_are_as_exact_as_they_matter(value: float, text: str) -> None:
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2026-08-14T09:41:27+00:00", "2026-08-14 09:41:27 UTC"),
        ("2026-08-14T09:41:27.5+02:00", "2026-08-14 09:41:27 UTC+02:00"),
        ("2026-08-14T09:41:27", "2026-08-14 09:41:27"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments_are_read(iso: str, text: str) -> None:
    assert wording.moment(iso) == text


@pytest.mark.parametrize("code", list(Exit))
def test_every_exit_code_has_words(code: Exit) -> None:
    assert wording.EXIT_WORDS[code][1]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"planned": 12, "scored": 12, "units": 12}, "12 of 12 items scored; each item counts by itself"),
        ({"planned": 12, "scored": 12, "units": 1}, "12 of 12 items scored; 1 independent cluster"),
        (
            {"planned": 1645, "scored": 1640, "unscorable": 2, "errored": 3, "absent": 1, "units": 216},
            "1,640 of 1,645 items scored, 2 unscorable, 3 errored (1 with absent lines); 216 independent clusters",
        ),
        ({"planned": 3, "scored": 3, "direction": "never-fails"}, "3 of 3 listed items scored"),
        ({}, "no item was planned"),
    ],
)
def test_units_are_counted(facts: dict[str, object], text: str) -> None:
    assert wording.units_words(criterion(**facts)) == text


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"bar": 0.75}, "at least 0.75"),
        ({"bar": 5.0, "direction": "at-most"}, "at most 5"),
        ({"bar": 0.0, "baseline": "b"}, "difference above 0"),
        ({"bar": 0.0, "baseline": "b", "direction": "at-most"}, "difference below 0"),
        ({"bar": -0.02, "baseline": "b"}, "difference at least −0.02"),
        ({"bar": 1.0, "direction": "never-fails"}, "every listed item at the top score"),
        ({}, ""),
    ],
)
def test_bars_are_wishes(facts: dict[str, object], text: str) -> None:
    assert wording.bar_words(criterion(**facts)) == text


def test_bounds_name_the_absent_one() -> None:
    assert wording.bounds_words(criterion(low=0.5, high=0.9)) == "0.5 to 0.9"
    assert wording.bounds_words(criterion(low=0.5)) == "0.5 to none"
    assert wording.bounds_words(criterion()) == "none"
    assert wording.bounds_words(criterion(low=-0.1, high=0.2, baseline="b")) == "−0.1 to +0.2"


def test_gate_states_its_errors() -> None:
    said = " ".join(wording.gate_words(verdict()))
    assert "beyond it in at most 5 % of cases (α = 0.05)" in said
    assert "inconclusive blocks" in said
    assert "passes in at most 5 %" in said
    assert "failed in at most 35 %" in said


def test_gate_that_lets_weak_data_pass_says_so() -> None:
    said = " ".join(wording.gate_words(verdict(falseShipAtMost=None, onInconclusive="warn")))
    assert "weak data are let through" in said
    assert "inconclusive only warns" in said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (True, "true"),
        (None, "null"),
        (256000, "256,000"),
        (0.25, "0.25"),
        ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'),
    ],
)
def test_facts_are_shown_short_and_in_one_order(value: wording.JsonValue, text: str) -> None:
    assert wording.json_text(value) == text
