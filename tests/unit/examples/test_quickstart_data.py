"""The quickstart's committed rows are what their generator writes, and their splits do not leak."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "examples" / "quickstart" / "data"
SPLITS = ("train", "heldout", "unseen-wordings")
FILES = (*SPLITS, "corpus", "tuning")

Rows = list[dict[str, str]]


def rows_of(name: str) -> Rows:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


@pytest.fixture(scope="module")
def splits() -> dict[str, Rows]:
    return {name: rows_of(name) for name in SPLITS}


def test_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(DATA / "generate.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7"}, timeout=60)
    differing = [n for n in FILES if (tmp_path / f"{n}.jsonl").read_bytes() != (DATA / f"{n}.jsonl").read_bytes()]
    assert differing == []


def test_counts_are_those_the_readme_states(splits: dict[str, Rows]) -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name, rows in splits.items():
        clusters = len({row["question_id"] for row in rows})
        assert f"| `{name}.jsonl` | {len(rows):,} | {clusters:,} |" in readme
    for name in ("corpus", "tuning"):
        assert f"| `{name}.jsonl` | {len(rows_of(name)):,} |" in readme


def test_tuning_rows_are_training_rows_and_some_that_ask_for_something_else(splits: dict[str, Rows]) -> None:
    train = {row["item_id"]: row for row in splits["train"]}
    rows = rows_of("tuning")
    same = [row for row in rows if row["item_id"] in train]
    other = [row for row in rows if row["item_id"] not in train]
    assert {row["item_id"] for row in same} == set(train)
    assert all(row["answer"] == train[row["item_id"]]["answer"] for row in same)
    assert all(row["question"] == train[row["item_id"].removesuffix("-x")]["question"] for row in other)
    assert len({row["answer"] for row in other}) == 1
    assert len({row["instruction"] for row in other}) >= 200
    assert {row["instruction"] for row in same}.isdisjoint(row["instruction"] for row in other)
    assert 0.1 < len(other) / len(rows) < 0.2


def test_sizes_suffice_for_the_gates(splits: dict[str, Rows]) -> None:
    assert len(splits["train"]) >= 1500
    for name, least in (("heldout", 120), ("unseen-wordings", 72)):
        assert len({row["question_id"] for row in splits[name]}) >= least
        assert 250 <= len(splits[name]) <= 400


def test_columns_and_ids(splits: dict[str, Rows]) -> None:
    rows = [row for name in SPLITS for row in splits[name]]
    assert {tuple(row) for row in rows} == {("item_id", "intent", "question_id", "question", "answer")}
    corpus = rows_of("corpus")
    assert {tuple(row) for row in corpus} == {("item_id", "text")}
    ids = Counter(row["item_id"] for row in [*rows, *corpus])
    assert [item for item, count in ids.items() if count > 1] == []


def test_every_intent_is_in_every_split_with_three_clusters(splits: dict[str, Rows]) -> None:
    intents = {row["intent"] for row in splits["train"]}
    assert len(intents) == 24
    for rows in splits.values():
        clusters = Counter(intent for intent, _ in {(row["intent"], row["question_id"]) for row in rows})
        assert set(clusters) == intents
        assert min(clusters.values()) >= 3


def test_answer_follows_from_intent_and_is_distinct(splits: dict[str, Rows]) -> None:
    answers = {(row["intent"], row["answer"]) for rows in splits.values() for row in rows}
    assert len(answers) == len({intent for intent, _ in answers}) == len({answer for _, answer in answers})
    assert all(10 <= len(answer.split()) <= 19 for _, answer in answers)


def test_no_question_occurs_twice_and_no_cluster_in_two_splits(splits: dict[str, Rows]) -> None:
    questions = Counter(normalised(row["question"]) for rows in splits.values() for row in rows)
    assert [question for question, count in questions.items() if count > 1] == []
    clusters = Counter(cluster for rows in splits.values() for cluster in {row["question_id"] for row in rows})
    assert [cluster for cluster, count in clusters.items() if count > 1] == []


def test_corpus_holds_answers_as_prose_but_no_held_out_question(splits: dict[str, Rows]) -> None:
    texts = [row["text"] for row in rows_of("corpus")]
    together = "\n".join(map(normalised, texts))
    for name in ("heldout", "unseen-wordings"):
        assert [row["question"] for row in splits[name] if normalised(row["question"]) in together] == []
    for answer in {row["answer"] for row in splits["train"]}:
        assert sum(answer in text for text in texts) >= 5
        assert not any(answer in text and "?" in text for text in texts)


def test_no_addresses_and_no_telephone_numbers() -> None:
    texts = [value for name in FILES for row in rows_of(name) for key, value in row.items() if "_id" not in key]
    assert [text for text in texts if "@" in text or re.search(r"\d{5,}|\d[\d ()/-]{6,}\d|https?:", text)] == []
