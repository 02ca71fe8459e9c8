"""The evaluation record: its header, its lines, and the file. `policies.gates` reads it.

Called by `llmops_runtime.evaluate`. Promises: one line per item, draw and metric, sorted in that order; equal replies
make equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmops_runtime.evaluation.ask import Answered, Failed, Reply
from llmops_runtime.evaluation.items import Item, planned
from llmops_runtime.metrics.builtin import BUILT_IN
from llmops_runtime.metrics.metric import Case, Metric, NotScorable, Score
from llmops_spec.base import SpecModel
from llmops_spec.catalogue.metrics import METRICS
from llmops_spec.digests import digest, digest_bytes
from llmops_spec.payloads.evaluation import EvaluatePayload, RecordedMetric, RecordHeader, RecordLine, RecordSubject


@dataclass(frozen=True, kw_only=True)
class NamedMetric:
    name: str
    metric: Metric


def chosen_metrics(payload: EvaluatePayload) -> list[NamedMetric]:
    """The metrics in the order of their names; one that is named twice is taken once."""
    uses = {use.name: use for use in payload.metrics}
    return [NamedMetric(name=name, metric=BUILT_IN[name](uses[name])) for name in sorted(uses)]


def seed_of(payload: EvaluatePayload, draw: int) -> int:
    """Draws differ by their seeds; the same draw of two systems has the same one."""
    return (payload.sampling.seed + draw) % 2**31


def header(payload: EvaluatePayload, items: Iterable[Item], metrics: Iterable[NamedMetric]) -> RecordHeader:
    return RecordHeader(
        evaluation=payload.evaluation,
        planned_items=planned(items),
        draws=payload.draws,
        metrics=[
            RecordedMetric(name=one.name, version=METRICS[one.name].version, parameters=one.metric.parameters())
            for one in metrics
        ],
        sampling=payload.sampling,
        item_column=payload.item_column,
        cluster_column=payload.cluster_column,
        subject=subject(payload),
    )


def subject(payload: EvaluatePayload) -> RecordSubject:
    """What was measured, each part by its digest."""
    facts: dict[str, str] = {}
    if payload.constant is not None:
        facts["constant"] = f"majority-class {digest(_json(payload.constant))}"
    if payload.engine is not None:
        facts["model"] = f"{payload.engine.model_name} {digest(_json(payload.engine.weights))}"
        engine = {"transformers": _json(payload.engine.transformers), "versions": payload.engine.versions}
        facts["engine"] = f"transformers {digest(engine)}"
    if payload.gateway is not None:
        facts["prompt"] = digest(_json(payload.gateway.prompt))
        facts["guardrails"] = digest([_json(one) for one in payload.gateway.guardrails])
    return RecordSubject(facts=facts, digest=digest(facts))


def lines(
    payload: EvaluatePayload,
    items: Iterable[Item],
    metrics: Iterable[NamedMetric],
    replies: Mapping[tuple[str, int], Reply],
    labels: frozenset[str],
) -> Iterator[RecordLine]:
    """Every line of the record, in order. `items` are sorted by id."""
    ordered = list(metrics)
    for item in items:
        for draw in range(payload.draws):
            reply = replies[item.id, draw]
            for one in ordered:
                yield _line(item, draw, seed_of(payload, draw), one, reply, labels)


def _line(item: Item, draw: int, seed: int, one: NamedMetric, reply: Reply, labels: frozenset[str]) -> RecordLine:
    answered = reply if isinstance(reply, Answered) else None
    score, status, reason = _scored(item, one, reply, labels)
    return RecordLine(
        item=item.id,
        item_digest=item.digest,
        cluster=item.cluster,
        slices=sorted(item.slices),
        draw=draw,
        seed=seed,
        metric=one.name,
        status=status,
        score=score,
        reason=reason,
        output_digest=digest_bytes(answered.text.encode(errors="surrogatepass")) if answered else None,
        latency_seconds=answered.latency_seconds if answered else None,
        tokens_in=answered.tokens_in if answered else None,
        tokens_out=answered.tokens_out if answered else None,
    )


_Scored: TypeAlias = tuple[float | None, Literal["scored", "unscorable", "errored"], str | None]


def _scored(item: Item, one: NamedMetric, reply: Reply, labels: frozenset[str]) -> _Scored:
    if isinstance(reply, Failed):
        return None, "errored", reply.reason
    case = Case(reference=item.reference, answer=reply.text, labels=labels, latency_seconds=reply.latency_seconds)
    match one.metric.score(case):
        case NotScorable(reason):
            return None, "unscorable", reason
        case Score(value) if _in_range(one.name, value):
            return value, "scored", None
        case Score(value):
            return None, "errored", f"the score {value} is outside of the metric's range"


def _in_range(name: str, value: float) -> bool:
    facts = METRICS[name]
    return math.isfinite(value) and facts.low <= value and (facts.high is None or value <= facts.high)


def write(path: Path, head: RecordHeader, body: Iterable[RecordLine]) -> None:
    """Write the record as JSON Lines, header first."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(_text(head))
        for line in body:
            stream.write(_text(line))


def _text(part: SpecModel) -> str:
    return json.dumps(_json(part, leave_out_none=True), sort_keys=True, ensure_ascii=False) + "\n"


def _json(part: SpecModel, *, leave_out_none: bool = False) -> dict[str, Any]:
    return part.model_dump(by_alias=True, mode="json", exclude_none=leave_out_none)
