"""From lines to items: draws averaged, the worse status wins, pairs take the worse side."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_spec.catalogue.metrics import METRICS
from policies.gates.items import Outcome, outcomes_of, paired
from policies.gates.records import read_record

EXACT, ROUGE, LATENCY = METRICS["exact-match"], METRICS["rouge-l"], METRICS["latency-seconds"]


def test_draws_of_one_item_are_averaged_first(written: Any) -> None:
    found = outcomes_of(written(scores={"a": [1.0, 0.0, 1.0, 1.0], "b": [0.0] * 4}).record(), EXACT, None)
    assert found.scores() == [("item a", 0.75), ("item b", 0.0)]


def test_one_unscorable_draw_makes_the_item_unscorable_and_an_errored_one_errored(written: Any) -> None:
    record = written(scores={"a": [1.0, None], "b": [None, 0.5], "c": [1.0, 1.0]}).record()
    found = outcomes_of(record, EXACT, None)  # 0.5 is no value of a two-valued metric
    assert [found.by_item[item].status for item in "abc"] == ["unscorable", "errored", "scored"]
    assert (found.planned, found.count("scored"), found.count("unscorable"), found.count("errored")) == (3, 1, 1, 1)


@pytest.mark.parametrize("score", [-0.001, 1.001])
def test_a_score_out_of_range_is_errored(written: Any, score: float) -> None:
    record = written(scores={"a": [score]}, metric="rouge-l").record()
    assert outcomes_of(record, ROUGE, None).by_item["a"].status == "errored"


def test_a_metric_without_upper_limit_takes_any_finite_score_above_the_lower(written: Any) -> None:
    record = written(scores={"a": [1e9], "b": [-1.0]}, metric="latency-seconds").record()
    found = outcomes_of(record, LATENCY, None)
    assert [found.by_item[item].status for item in "ab"] == ["scored", "errored"]


def test_absent_lines_are_errored_whether_one_draw_or_the_whole_item(written: Any) -> None:
    lines = written(scores={"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [1.0, 1.0]}).lines()
    found = outcomes_of(read_record(lines[:-3]), EXACT, None)
    assert found.by_item["b"].status == "errored"
    assert (found.planned, found.count("errored"), found.absent, found.count("scored")) == (3, 2, 2, 1)


def test_a_slice_takes_its_items_and_every_unseen_one(written: Any) -> None:
    lines = written(
        scores={"a": [1.0], "b": [0.0], "c": [1.0]}, slices={"a": ["strict", "all"], "b": ["all"], "c": ["strict"]}
    ).lines()
    assert outcomes_of(read_record(lines), EXACT, "strict").planned == 2
    assert outcomes_of(read_record(lines[:-1]), EXACT, "strict").planned == 2
    assert outcomes_of(read_record(lines[:-1]), EXACT, "strict").unseen == 1


def test_a_pair_takes_the_worse_of_its_two_sides(written: Any) -> None:
    ours = outcomes_of(written(scores={"a": [1.0], "b": [1.0], "c": [None], "d": [1.0]}).record(), EXACT, None)
    theirs = outcomes_of(written(scores={"a": [0.0], "b": [None], "c": [0.5], "d": [1.0]}).record(), EXACT, None)
    pairs = paired(ours, theirs)
    assert pairs.by_item == {
        "a": Outcome(status="scored", score=1.0),
        "b": Outcome(status="unscorable"),
        "c": Outcome(status="errored"),
        "d": Outcome(status="scored", score=0.0),
    }


def test_an_item_that_the_baseline_lacks_is_errored_and_absent(written: Any) -> None:
    ours = outcomes_of(written(scores={"a": [1.0], "b": [1.0]}).record(), EXACT, None)
    theirs = outcomes_of(read_record(written(scores={"a": [0.0], "b": [0.0]}).lines()[:-1]), EXACT, None)
    pairs = paired(ours, theirs)
    assert (pairs.count("errored"), pairs.absent, pairs.planned) == (1, 1, 2)
