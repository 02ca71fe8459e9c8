"""The `Evaluation` kind: what is measured, on which rows, through which processes."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import DatasetRef, GuardrailRef, ModelRef, PromptRef, Resource, ResourceName, SpecModel
from llmops_spec.engine import Engine
from llmops_spec.limits import RequestLimits


class Subject(SpecModel):
    """The system under test: what a service would serve."""

    model: ModelRef
    prompt: PromptRef
    guardrails: list[GuardrailRef] = Field(default_factory=list)
    engine: Engine = Field(default_factory=Engine.default)
    requests: RequestLimits = Field(default_factory=RequestLimits)


class MetricUse(SpecModel):
    name: Literal["exact-match", "rouge-l", "label-accuracy", "latency-seconds"]
    ignore_case: bool = False
    """`exact-match` only: compare after Unicode case folding."""

    @model_validator(mode="after")
    def _own_options(self) -> Self:
        if self.ignore_case and self.name != "exact-match":
            raise ValueError("`ignoreCase` belongs to `exact-match`")
        return self


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

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.metrics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"metric `{twice}` is listed twice")
        return self


class Evaluation(Resource):
    KIND: ClassVar[str] = "Evaluation"
    kind: Literal["Evaluation"] = "Evaluation"
    spec: EvaluationSpec
