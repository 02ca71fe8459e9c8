"""The `transform` task: rewrite the rows of every split before anything reads them.

Called by the runner. Outputs: `<split>.jsonl`, rows in the order of the input. `redact` replaces e-mail addresses and
phone numbers in the named columns.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from llmops_runtime.context import TaskContext
from llmops_runtime.data.rows import NumberedRow, Row, RowProblem, load_bytes, parse_rows
from llmops_runtime.discovery import Notes
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads.data import Rows, TransformPayload
from llmops_spec.personal_data import redact


def run_transform(payload: TransformPayload, context: TaskContext) -> Notes:
    """Transform every split. Raises: TaskFailed."""
    columns = {column for one in payload.redact for column in one.columns}
    changed = 0
    for done, (name, rows) in enumerate(payload.splits.items()):
        context.progress("redacting", done, len(payload.splits), "splits", name)
        with (context.outputs / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
            for row in _read(name, rows, payload, context):
                after = redacted(row.values, columns)
                changed += after != row.values
                stream.write(json.dumps(after, ensure_ascii=False) + "\n")
    context.progress("redacting", len(payload.splits), len(payload.splits), "splits")
    return {"changedRows": changed}


def redacted(row: Row, columns: Collection[str]) -> dict[str, str | int | float | bool | None]:
    return {name: redact(value) if name in columns and isinstance(value, str) else value for name, value in row.items()}


def _read(name: str, rows: Rows, payload: TransformPayload, context: TaskContext) -> list[NumberedRow]:
    data = load_bytes(context.store(), rows, context.work)
    found = list(parse_rows(data, file_format=rows.format, columns=payload.columns))
    for one in found:
        if isinstance(one, RowProblem):
            raise TaskFailed("bad-data", f"{name}, line {one.line}: {one.message}")
    return [one for one in found if isinstance(one, NumberedRow)]
