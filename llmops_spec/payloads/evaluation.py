"""Payload of the `evaluate` task, and the evaluation record that it writes."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import SpecModel
from llmops_spec.evaluation import MetricUse, Sampling
from llmops_spec.formats import MachineWritten
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.data import Rows
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.store import StepKey


class ConstantSubject(SpecModel):
    """Every item is answered with the commonest target of these rows."""

    training_rows: Rows


class EvaluatePayload(Payload):
    """Outputs: `record.jsonl`. Asks the gateway whose address is in `LLMOPS_GATEWAY_URL`, 16 or more in flight."""

    task: Literal["evaluate"] = "evaluate"
    evaluation: str
    splits: dict[str, Rows]
    """Slice name to rows."""
    item_column: str | None = None
    cluster_column: str | None = None
    target_column: str
    input_variables: list[str]
    """The prompt's variables: the columns that are sent."""
    metrics: list[MetricUse]
    sampling: Sampling
    draws: int = 1
    engine: EnginePayload | None = None
    gateway: GatewayPayload | None = None
    """The candidate pair. In the payload for its key and for the record's subject; the task does not start it."""
    constant: ConstantSubject | None = None
    """In place of the pair: a baseline that needs no model."""
    code: dict[str, StepKey]
    """Digests of our own modules that take part: prompt language, rails, metrics."""


class RecordedMetric(SpecModel):
    name: str
    version: str
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class PlannedItems(SpecModel):
    count: int
    digest: StepKey
    """Over the sorted pairs of item id and row digest."""


class RecordSubject(SpecModel):
    facts: dict[str, str]
    """What was measured: model, prompt, guardrails, engine, each with its digest."""
    digest: StepKey


class RecordHeader(MachineWritten):
    """First line of a record."""

    DOCUMENT: ClassVar[str] = "the record"

    evaluation: str
    planned_items: PlannedItems
    draws: int
    metrics: list[RecordedMetric]
    sampling: Sampling
    item_column: str | None = None
    cluster_column: str | None = None
    subject: RecordSubject


class RecordLine(SpecModel):
    """One item, draw and metric."""

    item: str
    item_digest: StepKey
    cluster: str | None = None
    slices: list[str] = Field(default_factory=list)
    draw: int
    seed: int
    metric: str
    status: Literal["scored", "unscorable", "errored", "skipped"]
    score: float | None = None
    reason: str | None = None
    output_digest: StepKey | None = None
    latency_seconds: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
