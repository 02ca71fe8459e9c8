"""Whatever rows come: a sentence that refuses them, or a project that validates and whose rows hold their contract."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmops.errors import OperationFailed
from llmops.starting.columns import Wishes
from llmops.starting.start import Request, start

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["yes", "null", "1.0", "x: y # z", "{{ x }}", "<|end|>", "\u202e"]
)
values = (
    texts | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
)
names = st.text(min_size=1, max_size=12) | st.sampled_from(["text", "a b", "self", "input", "target", "input_group"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, list[dict[str, object]]]:
    columns = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    labels = draw(st.lists(texts, min_size=2, max_size=4, unique=True))
    inputs = draw(st.lists(texts, min_size=8, max_size=40))
    others = [draw(st.lists(values, min_size=1, max_size=4)) for _ in columns[2:]]
    rows: list[dict[str, object]] = [
        {
            columns[0]: text,
            columns[1]: labels[n % len(labels)],
            **{name: some[n % len(some)] for name, some in zip(columns[2:], others, strict=True)},
        }
        for n, text in enumerate(inputs)
    ]
    return columns[0], columns[1], rows


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(), task=st.sampled_from(["label", "answer"]), cluster=st.booleans())
def test_any_rows_are_refused_or_work(table, task, cluster, contract_problems):
    text, target, rows = table
    others = [name for name in rows[0] if name not in {text, target}]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        wishes = Wishes(task=task, input=text, target=target, cluster=others[0] if cluster and others else None)
        try:
            start(Request(folder=Path(folder) / "made", data=path, wishes=wishes))
        except OperationFailed:
            assert [one.name for one in Path(folder).iterdir()] == ["rows.jsonl"]
        else:
            assert contract_problems(Path(folder) / "made") == []


@pytest.mark.parametrize(
    "columns", [{"a": "x y z", "A": "x y z"}, {"é": "x y", "e": "x y"}, {"input": "a b c", "入": "q"}]
)
def test_names_never_meet(columns, begin):
    rows = [{**{name: f"{value} {n}" for name, value in columns.items()}, "label": "ab"[n % 2]} for n in range(40)]
    made = begin("r.jsonl", "".join(json.dumps(row) + "\n" for row in rows), input=next(iter(columns)), target="label")
    assert len(set(made.kept.names.values())) == len(columns) + 1
