"""`transform` redacts the named columns and leaves everything else, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmops_runtime.context import TaskContext
from llmops_runtime.data.transform import run_transform
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads.data import Rows, TransformPayload


def payload_of(rows: Rows) -> TransformPayload:
    return TransformPayload.model_validate(
        {
            "splits": {"train": rows.model_dump()},
            "columns": {"q": {}, "a": {}, "n": {"type": "integer"}},
            "redact": [{"columns": ["q"]}, {"columns": ["n"]}],
            "recipe": 1,
        }
    )


def test_named_columns_are_redacted_and_others_kept(bench: Any, run_in_process: Callable[..., TaskContext]) -> None:
    rows = [
        {"q": "ask jane@example.com or +49 30 901820", "a": "bob@example.com", "n": 1},
        {"q": "ünchanged ☂", "a": "x", "n": 2},
    ]
    context = run_in_process(run_transform, payload_of(bench.put_rows(rows)))
    lines = (context.outputs / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [rows[0] | {"q": "ask [email] or [phone]"}, rows[1]]
    assert "ü" in lines[1]


def test_csv_becomes_json_lines_with_types(bench: Any, run_in_process: Callable[..., TaskContext]) -> None:
    rows = bench.put(b"q,a,n\ncall 5550101234,b,3\n", file_format="csv")
    context = run_in_process(run_transform, payload_of(rows))
    assert json.loads((context.outputs / "train.jsonl").read_text()) == {"q": "call [phone]", "a": "b", "n": 3}


def test_an_unreadable_row_is_named(bench: Any) -> None:
    payload = payload_of(bench.put(b'{"q": "x", "a": "y", "n": 1}\n{"q"\n'))
    with pytest.raises(TaskFailed, match="train, line 2: is not JSON"):
        run_transform(payload, bench.context(payload))
