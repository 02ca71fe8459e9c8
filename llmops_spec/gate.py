"""The `Gate` kind: what is good enough."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import EvaluationRef, ModelRef, ProjectPath, Resource, ResourceName, SpecModel, exactly_one


class Baseline(SpecModel):
    """Exactly one of the alternatives."""

    model: ModelRef | None = None
    """The same prompt, rails and engine around another model."""
    record: ProjectPath | None = None
    """An evaluation record that is kept in the repository."""
    constant: Literal["majority-class"] | None = None
    """Every item is answered with the commonest training target."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        if self.model == "majority-class":
            raise ValueError("`majority-class` names the constant; give that model another name")
        return self

    @property
    def label(self) -> str:
        """How steps and verdicts name it: the model, the constant, or the record's path."""
        return self.model or self.constant or f"record {self.record}"


class Criterion(SpecModel):
    """A metric and one bar: `atLeast`, `atMost`, `nonInferiorTo` with `margin`, `betterThan` or `neverFail`."""

    metric: str = Field(min_length=1)
    slice: ResourceName | None = None
    """Only the items of this split; all items without it."""
    at_least: float | None = None
    at_most: float | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1)
    """The bar is for this quantile of the metric and not for its mean."""
    non_inferior_to: Baseline | None = None
    margin: float | None = Field(default=None, ge=0)
    """How much worse than the baseline is still good enough, in the metric's units."""
    better_than: Baseline | None = None
    never_fail: list[str] | None = Field(default=None, min_length=1)
    """Items of which every answer must have the top score."""

    @model_validator(mode="after")
    def _one_bar(self) -> Self:
        given = [name for name in BARS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of atLeast, atMost, nonInferiorTo, betterThan, neverFail")
        if (self.margin is None) == (self.non_inferior_to is not None):
            raise ValueError("`margin` belongs to `nonInferiorTo`, which needs it")
        if self.quantile is not None and self.at_least is None and self.at_most is None:
            raise ValueError("`quantile` belongs to `atLeast` or `atMost`")
        return self

    @property
    def baseline(self) -> Baseline | None:
        return self.non_inferior_to or self.better_than


BARS = ("at_least", "at_most", "non_inferior_to", "better_than", "never_fail")


class Limits(SpecModel):
    """Shares of the planned items, 0 to 1, above which the gate is inconclusive and blocks."""

    unscorable: float = Field(default=0.01, ge=0, le=1)
    errored: float = Field(default=0.01, ge=0, le=1)


class GateSpec(SpecModel):
    evaluation: EvaluationRef
    criteria: list[Criterion] = Field(min_length=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """One-sided error of each bound."""
    combine: Literal["all-shown-good", "block-if-any-shown-worse"] = "all-shown-good"
    on_inconclusive: Literal["block", "warn"] = "block"
    limits: Limits = Field(default_factory=Limits)


class Gate(Resource):
    KIND: ClassVar[str] = "Gate"
    kind: Literal["Gate"] = "Gate"
    spec: GateSpec
