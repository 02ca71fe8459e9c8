"""The `Evaluation` kind: what is measured, on which rows, through which processes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import DatasetRef, GuardrailRef, ModelRef, PromptRef, Resource, ResourceName, SpecModel
from llmops_spec.engine import Engine


class Subject(SpecModel):
    """The system under test: what a service would serve."""

    model: ModelRef
    prompt: PromptRef
    guardrails: list[GuardrailRef] = Field(default_factory=list)
    engine: Engine = Field(default_factory=Engine.default)


class MetricUse(SpecModel):
    name: Literal["exact-match", "rouge-l", "label-accuracy", "latency-seconds"]
    ignore_case: bool = False
    """`exact-match` only: compare after Unicode case folding."""


class Sampling(SpecModel):
    temperature: float = Field(default=0.0, ge=0, le=2)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class EvaluationSpec(SpecModel):
    subject: Subject
    dataset: DatasetRef
    splits: list[ResourceName] = Field(min_length=1)
    """Held-out splits. Each is a slice of the same name; together they are all the items."""
    metrics: list[MetricUse] = Field(min_length=1)
    sampling: Sampling = Field(default_factory=Sampling)
    draws: int = Field(default=1, ge=1, le=100)
    """Answers per item; the item's score is their mean."""


class Evaluation(Resource):
    KIND: ClassVar[str] = "Evaluation"
    kind: Literal["Evaluation"] = "Evaluation"
    spec: EvaluationSpec
