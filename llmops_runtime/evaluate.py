"""The `evaluate` task: asks the candidate every held-out question and writes down what the answers are worth.

Called by the task runner. Promises: the record holds one line for every planned item, draw and metric; no model code
and no weights are loaded here, the candidate is asked through the gateway that will serve it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from llmops_runtime.context import TaskContext
from llmops_runtime.data.rows import read_rows
from llmops_runtime.discovery import Notes
from llmops_runtime.evaluation import record
from llmops_runtime.evaluation.ask import Answered, Question, Reply, ServiceAddress, ask_all
from llmops_runtime.evaluation.items import Item, plan_items
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads import process
from llmops_spec.payloads.evaluation import ConstantSubject, EvaluatePayload

_Replies = Mapping[tuple[str, int], Reply]


def run_evaluate(payload: EvaluatePayload, context: TaskContext) -> Notes:
    """Write `record.jsonl` to the outputs.

    Raises:
        TaskFailed: the rows do not fit the payload, or the gateway cannot be reached.
    """
    store = context.store()
    types = {name: one.type for name, one in payload.gateway.prompt.variables.items()} if payload.gateway else {}
    rows = {name: read_rows(store, one, context.work, cell_types=types) for name, one in payload.splits.items()}
    items = plan_items(payload, rows)
    metrics = record.chosen_metrics(payload)
    if payload.constant is not None:
        targets = _targets(payload, payload.constant, context)
        replies, labels = _constant(payload, items, targets), frozenset(targets)
    else:
        replies, labels = _asked(payload, items, context), frozenset[str]()
    lines = list(record.lines(payload, items, metrics, replies, _labels(payload, items) | labels))
    record.write(context.outputs / "record.jsonl", record.header(payload, items, metrics), lines)
    count = Counter(line.status for line in lines)
    return {"items": len(items), **{f"{status}_lines": number for status, number in sorted(count.items())}}


def _asked(payload: EvaluatePayload, items: list[Item], context: TaskContext) -> _Replies:
    gateway, url = payload.gateway, context.environment.get(process.GATEWAY_URL)
    if gateway is None or not url:
        raise TaskFailed("internal", f"evaluate needs a gateway: `{process.GATEWAY_URL}` or the payload names none")
    address = ServiceAddress(
        url=url,
        service=gateway.service,
        temperature=payload.sampling.temperature,
        # The gateway gives up first, with a reason; this is for a gateway that hangs.
        timeout_seconds=gateway.requests.timeout_seconds + 10.0,
    )
    questions = [
        Question(key=(item.id, draw), variables=dict(item.variables), seed=record.seed_of(payload, draw))
        for item in items
        for draw in range(payload.draws)
    ]

    def progressed(done: int) -> None:
        context.progress(f"asking {gateway.service}", done, len(questions), "requests")

    return asyncio.run(ask_all(address, questions, progressed))


def _constant(payload: EvaluatePayload, items: list[Item], targets: Counter[str]) -> _Replies:
    # Among equally common targets the first in order is taken, so that the record does not depend on row order.
    answer = min(targets, key=lambda target: (-targets[target], target))
    return {(item.id, draw): Answered(text=answer) for item in items for draw in range(payload.draws)}


def _targets(payload: EvaluatePayload, constant: ConstantSubject, context: TaskContext) -> Counter[str]:
    rows = read_rows(context.store(), constant.training_rows, context.work)
    cells = (row.values.get(payload.target_column) for row in rows)
    targets = Counter(str(cell) for cell in cells if cell is not None)
    if not targets:
        raise TaskFailed("bad-data", f"the training rows have no values in column `{payload.target_column}`")
    return targets


def _labels(payload: EvaluatePayload, items: list[Item]) -> frozenset[str]:
    """The labels that the prompt declares, or else those that occur as references."""
    declared = payload.gateway.prompt.output.labels if payload.gateway else []
    return frozenset(declared) or frozenset(item.reference for item in items)
