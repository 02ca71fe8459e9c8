"""A record that contradicts itself or its format is refused, with the number of the line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.gates.records import RecordInvalid, planned_digest, read_record

SCORES = {"q-1": [1.0], "q-2": [0.0], "q-3": [None]}


def edited(lines: list[str], number: int, **changes: Any) -> list[str]:
    """Return the lines with keys of one changed; a key that becomes `...` is taken out."""
    value = {**json.loads(lines[number - 1]), **changes}
    kept = {key: found for key, found in value.items() if found is not ...}
    return [*lines[: number - 1], json.dumps(kept), *lines[number:]]


def test_a_record_is_read_from_text_and_from_bytes(written: Any) -> None:
    lines = written(scores=SCORES).lines()
    record = read_record(lines)
    assert list(record.items) == ["q-1", "q-2", "q-3"]
    assert record.items["q-1"].answers["exact-match", 0].score == 1.0
    assert record.unseen_items == 0
    assert read_record([line.encode() + b"\n" for line in lines]) == record


def test_the_digest_of_planned_items_is_that_of_the_canonical_sorted_pairs() -> None:
    """Written out by hand, so that another program can make the same."""
    import hashlib

    text = '[["a","1"],["b\\n\u00e9","2"]]'
    assert planned_digest([("b\n\u00e9", "2"), ("a", "1")]) == hashlib.sha256(text.encode()).hexdigest()


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(RecordInvalid, match="line 1: the record is empty"):
        read_record([])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"item": "a", "item": "b"}', "line 3: not valid JSON: key `item` appears twice"),
        ('{"score": NaN}', "line 3: not valid JSON: `NaN` is not a number"),
        ('{"score": -Infinity}', "line 3: not valid JSON: `-Infinity` is not a number"),
        ("", "line 3: not valid JSON"),
        ("[1]", "line 3: not a JSON object"),
        (b"\xff{}", "line 3: not UTF-8"),
        ("[" * 100_000, "line 3: nested too deeply"),
        ('{"item": "\\ud800"}', "line 3: not UTF-8"),
        ('{"item": "\ud800"}', "line 3: not UTF-8"),
        ('{"item": "\\ud83d\\ude00"}', "line 3: `itemDigest`"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused(written: Any, line: bytes | str, message: str) -> None:
    lines = written(scores=SCORES).lines()
    with pytest.raises(RecordInvalid) as refused:
        read_record([*lines[:2], line, *lines[2:]])
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("number", "changes", "message"),
    [
        (
            1,
            {"formatVersion": 2},
            "line 1: the record was written by a newer llmops (format 2; this one reads up to 1): use",
        ),
        (1, {"formatVersion": 0}, "line 1: `formatVersion` must be 1"),
        (1, {"formatVersion": True}, "line 1: `formatVersion` must be 1"),
        (1, {"draws": 0}, "line 1: `draws` must be at least 1"),
        (1, {"metrics": []}, "line 1: `metrics` must name at least one"),
        (1, {"colour": "red"}, "line 1: `colour`"),
        (1, {"clusterColumn": "question_id"}, "line 2: item `q-1` has no cluster"),
        (1, {"plannedItems": {"count": 2, "digest": "0" * 64}}, "line 1: 2 items are planned, 3 have lines"),
        (1, {"plannedItems": {"count": 3, "digest": "0" * 64}}, "line 1: the items with lines are not those planned"),
        (2, {"status": "passed"}, "line 2: `status`"),
        (2, {"score": "1.0"}, "line 2: `score`"),
        (2, {"score": True}, "line 2: `score`"),
        (2, {"score": ...}, "line 2: a line has a `score` exactly when"),
        (4, {"score": 1.0}, "line 4: a line has a `score` exactly when"),
        (2, {"item": 7}, "line 2: `item`"),
        (2, {"draw": 1}, "line 2: draw 1 is not planned"),
        (2, {"draw": -1}, "line 2: draw -1 is not planned"),
        (2, {"metric": "rouge-l"}, "line 2: metric `rouge-l` is not in the header"),
        (3, {"item": "q-1"}, "line 3: item `q-1` has another digest"),
        (2, {"item_digest": "x"}, "line 2: `item_digest`"),
        (2, {"itemDigest": ..., "item_digest": "0" * 64}, "line 2: `itemDigest`"),
    ],
)
def test_a_line_against_the_format_is_refused(written: Any, number: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordInvalid) as refused:
        read_record(edited(written(scores=SCORES).lines(), number, **changes))
    assert str(refused.value).startswith(message)


def test_a_repeated_item_draw_and_metric_is_refused(written: Any) -> None:
    lines = written(scores=SCORES).lines()
    with pytest.raises(RecordInvalid, match="line 5: item `q-1`, draw 0, metric `exact-match` was recorded before"):
        read_record([*lines, lines[1]])


@pytest.mark.parametrize("key", ["cluster", "slices", "itemDigest"])
def test_an_item_may_not_change_between_its_draws(written: Any, key: str) -> None:
    other = {"cluster": "c", "slices": ["s"], "itemDigest": "1" * 64}[key]
    with pytest.raises(RecordInvalid, match="line 3: item `q` has another digest, cluster or slices"):
        read_record(edited(written(scores={"q": [1.0, 1.0]}).lines(), 3, **{key: other}))


@pytest.mark.parametrize("score", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_score_that_no_float_can_hold_is_errored(written: Any, score: str) -> None:
    lines = written(scores=SCORES).lines()
    lines[1] = lines[1].replace('"score": 1.0', f'"score": {score}')
    assert read_record(lines).items["q-1"].answers["exact-match", 0].status == "errored"


def test_a_trimmed_record_is_read_and_counts_what_is_absent(written: Any) -> None:
    record = read_record(written(scores=SCORES).lines()[:-1])
    assert record.unseen_items == 1
