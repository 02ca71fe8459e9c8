"""`check-data`: every breach of the contract in one message, and a profile where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from llmops_runtime.context import TaskContext
from llmops_runtime.data.check import run_check_data
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads.data import CheckDataPayload, DataProfile, Rows

Row = dict[str, Any]
WORDS = {"lamp": "switch it on", "pump": "fill it with water", "door": "turn the key"}


def row(number: int, split: str, **changes: Any) -> Row:
    word = list(WORDS)[number % 3]
    item = {
        "id": f"{split}-{number}",
        "group": f"{split}-{number // 3}",
        "q": f"{split} asks how the {word} works, take {number}",
        "a": WORDS[word],
    }
    return item | changes


def split(name: str, count: int = 9, **changes: Any) -> list[Row]:
    return [row(number, name, **changes) for number in range(count)]


def payload_of(bench: Any, splits: dict[str, Sequence[Row] | Rows], /, **changes: Any) -> CheckDataPayload:
    columns = {name: {} for name in ("id", "group", "q", "a")} | changes.pop("columns", {})
    stored = {name: rows if isinstance(rows, Rows) else bench.put_rows(rows) for name, rows in splits.items()}
    data = {
        "columns": columns,
        "splits": {
            name: {"rows": rows.model_dump(), "declaredRows": 1, "declaredClusters": 1} for name, rows in stored.items()
        },
        "itemColumn": "id",
        "clusterColumn": "group",
        "inputColumns": ["q"],
        "targetColumn": "a",
        "recipe": 1,
    }
    return CheckDataPayload.model_validate(data | changes)


def failure(bench: Any, splits: dict[str, Sequence[Row] | Rows], /, **changes: Any) -> list[str]:
    payload = payload_of(bench, splits, **changes)
    with pytest.raises(TaskFailed) as caught:
        run_check_data(payload, bench.context(payload))
    assert caught.value.failure.code == "bad-data"
    return [line.strip() for line in caught.value.failure.message.splitlines()]


def profile(context: TaskContext) -> DataProfile:
    return DataProfile.model_validate_json((context.outputs / "profile.json").read_bytes())


Run = Callable[..., TaskContext]


def test_sound_data_get_a_profile(bench: Any, run_in_process: Run) -> None:
    payload = payload_of(bench, {"train": split("train", 31), "test": split("test", 10)})
    made = profile(run_in_process(run_check_data, payload))
    assert made.splits["train"].model_dump() | {"longest_input_characters": 0} == {
        "rows": 31,
        "clusters": 11,
        "distinct_targets": 3,
        "duplicate_rows": 0,
        "leaked_rows": 0,
        "shared_clusters": 0,
        "longest_input_characters": 0,
        "longest_target_characters": 18,
    }
    assert made.bag_of_words is not None
    assert made.bag_of_words.accuracy == {"test": 1.0}
    assert made.bag_of_words.majority == {"test": 0.4}
    assert made.bag_of_words.classes == 3


def test_the_same_rows_give_the_same_profile(bench: Any, run_in_process: Run) -> None:
    payload = payload_of(bench, {"train": split("train", 30), "test": split("test")})
    first, second = (run_in_process(run_check_data, payload).outputs / "profile.json" for _ in range(2))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"targetColumn": None}, "declares no"),
        ({"inputColumns": []}, "declares no"),
        ({"targetColumn": "group"}, ""),
        ({"splits": ("train",)}, "no split beside"),
        ({"splits": ("test", "other")}, "no split is called"),
    ],
)
def test_where_there_is_no_bag_of_words_the_profile_says_why(
    bench: Any, run_in_process: Run, changes: dict[str, Any], reason: str
) -> None:
    names = changes.pop("splits", ("train", "test"))
    payload = payload_of(bench, {name: split(name) for name in names}, **changes)
    made = profile(run_in_process(run_check_data, payload))
    assert reason in made.bag_of_words_reason
    assert (made.bag_of_words is None) == bool(reason)


def test_one_target_alone_is_no_task_for_a_classifier(bench: Any, run_in_process: Run) -> None:
    payload = payload_of(bench, {"train": split("train", a="yes"), "test": split("test", a="yes")})
    assert "1 different targets" in profile(run_in_process(run_check_data, payload)).bag_of_words_reason


def test_unreadable_rows_of_all_splits_are_told_at_once(bench: Any) -> None:
    broken = bench.put(b'{"id": "x"\n' + json.dumps(row(1, "train")).encode() + b"\n")
    wrong = [row(1, "test") | {"a": 5}, row(2, "test") | {"extra": 1}, {"id": "t", "group": "g", "q": "why"}]
    lines = failure(bench, {"train": broken, "test": wrong})
    assert lines[0] == "the data break their contract: 4 problems found"
    assert lines[1:] == [
        "test, line 1: column `a` is not a string",
        "test, line 2: column `extra` is not declared",
        "test, line 3: column `a` is missing",
        "train, line 1: is not JSON: Expecting ',' delimiter at character 11",
    ]


def test_one_mistake_in_every_row_is_one_problem(bench: Any) -> None:
    rows = [{name: value for name, value in one.items() if name != "a"} for one in split("train")]
    assert failure(bench, {"train": rows})[1:] == ["train, line 1: column `a` is missing (and 8 more rows)"]


def test_many_problems_are_counted_and_the_first_ones_shown(bench: Any) -> None:
    lines = failure(bench, {"train": bench.put(b"".join(b"{" + b" " * n + b"x\n" for n in range(50)))})
    assert lines[0].endswith("50 problems found")
    assert len(lines) == 22
    assert lines[-1] == "and 30 more"


def test_too_few_rows_and_clusters(bench: Any) -> None:
    stored = {name: bench.put_rows(split(name)).model_dump() for name in ("train", "test")}
    splits = {
        "train": {"rows": stored["train"], "declaredRows": 10, "declaredClusters": 3},
        "test": {"rows": stored["test"], "declaredRows": 9, "declaredClusters": 4},
        "none": {"rows": bench.put(b"\n").model_dump(), "declaredRows": 1},
    }
    assert failure(bench, {}, splits=splits)[1:] == [
        "none: has no rows",
        "test: has 3 clusters; at least 4 are declared",
        "train: has 9 rows; at least 10 are declared",
    ]


def test_an_item_id_stands_once_in_all_splits(bench: Any) -> None:
    rows = {"train": split("train"), "test": split("test")}
    rows["test"][4]["id"] = "train-2"
    assert failure(bench, rows)[1:] == ["train, line 3: item `train-2` also stands in test, line 5"]


def test_repeated_rows_count_without_their_id(bench: Any, run_in_process: Run) -> None:
    rows = split("train")
    rows[5] = rows[2] | {"id": "again"}
    assert failure(bench, {"train": rows})[1:] == ["train, line 6: 1 of 9 rows repeat another row"]
    payload = payload_of(bench, {"train": rows}, limits={"duplicates": 0.12})
    assert profile(run_in_process(run_check_data, payload)).splits["train"].duplicate_rows == 1


def test_inputs_of_training_in_another_split_are_leakage(bench: Any, run_in_process: Run) -> None:
    rows = {"train": split("train"), "test": split("test")}
    rows["test"][3]["q"] = "  " + rows["train"][1]["q"].upper().replace(" ", "  ")
    lines = failure(bench, rows)
    assert lines[1:] == ["test, line 4: 1 of 9 rows have the `q` of a row in train"]
    payload = payload_of(bench, rows, limits={"leakage": 0.2})
    made = profile(run_in_process(run_check_data, payload))
    assert (made.splits["test"].leaked_rows, made.splits["train"].leaked_rows) == (1, 0)


def test_a_cluster_in_two_splits_always_fails(bench: Any) -> None:
    rows = {"train": split("train"), "test": split("test")}
    rows["test"][7]["group"] = "train-0"
    limits = {"leakage": 1.0, "duplicates": 1.0}
    found = failure(bench, rows, limits=limits)
    assert found[1:] == ["train, line 1: cluster `train-0` also stands in test, line 8"]


def test_a_row_without_cluster_fails_where_the_column_is_optional(bench: Any) -> None:
    rows = split("train", group=None)
    found = failure(bench, {"train": rows}, columns={"group": {"required": False}})
    assert found[1:] == ["train, line 1: the cluster column `group` is empty (and 8 more rows)"]


def test_unmarked_personal_data_fail_and_marked_are_reported(bench: Any, run_in_process: Run) -> None:
    rows = {"train": split("train"), "test": split("test")}
    rows["train"][2]["q"] = "write to jane@example.com"
    rows["train"][4]["q"] = "or call +49 30 901820"
    found = failure(bench, rows)
    assert found[1:] == [
        (
            "train, line 3: column `q` holds e-mail addresses and phone numbers and is not marked `personalData` "
            "(and 1 more row)"
        )
    ]
    payload = payload_of(bench, rows, columns={"q": {"personalData": True}})
    (told,) = profile(run_in_process(run_check_data, payload)).personal_data
    assert told.model_dump() == {
        "column": "q",
        "split": "train",
        "rows": 2,
        "first_line": 3,
        "kinds": ["email", "phone"],
    }


def test_a_message_holds_no_personal_data(bench: Any) -> None:
    rows = split("train", q="write to jane@example.com")
    for number, one in enumerate(rows):
        one["q"] += f" {number}"
    assert "jane" not in "\n".join(failure(bench, {"train": rows}))
