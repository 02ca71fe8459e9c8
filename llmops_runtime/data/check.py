"""The `check-data` task: hold the rows of a dataset to its contract, and profile them.

Called by the runner. Output: `profile.json`. Every problem of every split is told in one message.
"""

from __future__ import annotations

import json

from llmops_runtime.context import TaskContext
from llmops_runtime.data.contract import findings
from llmops_runtime.data.findings import Finding, refuse
from llmops_runtime.data.profile import profile
from llmops_runtime.data.rows import NumberedRow, RowProblem, load_bytes, parse_rows
from llmops_runtime.discovery import Notes
from llmops_spec.payloads.data import CheckDataPayload, DataProfile


def run_check_data(payload: CheckDataPayload, context: TaskContext) -> Notes:
    """Check and profile. Raises: TaskFailed."""
    splits, unreadable = _read_splits(payload, context)
    context.progress("checking the contract", 0, 1, "datasets")
    refuse([*unreadable, *findings(payload, splits, incomplete={one.split for one in unreadable})])
    made = profile(payload, splits)
    text = json.dumps(made.model_dump(by_alias=True, mode="json"), indent=1, sort_keys=True)
    (context.outputs / "profile.json").write_text(text + "\n", encoding="utf-8")
    context.progress("checking the contract", 1, 1, "datasets")
    return {"rows": sum(len(rows) for rows in splits.values()), **_telling(made)}


def _telling(made: DataProfile) -> Notes:
    """What a bag of words gets right on the held-out rows, beside what the commonest target gets right."""
    words = made.bag_of_words
    if words is None:
        return {}
    return {
        f"bagOfWords {split}": f"{words.accuracy[split]:.2f} (commonest {words.majority[split]:.2f})"
        for split in sorted(words.accuracy)
    }


def _read_splits(payload: CheckDataPayload, context: TaskContext) -> tuple[dict[str, list[NumberedRow]], list[Finding]]:
    store = context.store()
    splits: dict[str, list[NumberedRow]] = {}
    problems: list[Finding] = []
    for done, (name, split) in enumerate(payload.splits.items()):
        context.progress("reading rows", done, len(payload.splits), "splits", name)
        data = load_bytes(store, split.rows, context.work)
        splits[name] = []
        for found in parse_rows(data, file_format=split.rows.format, columns=payload.columns):
            if isinstance(found, RowProblem):
                problems.append(Finding(split=name, line=found.line, message=found.message))
            else:
                splits[name].append(found)
    return splits, problems
