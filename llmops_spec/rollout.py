"""How many replicas a service has, and how a new version takes over from the old one."""

from typing import Self

from pydantic import Field, model_validator

from llmops_spec.base import SpecModel, exactly_one

METRIC_NAME = r"^[a-z][a-z0-9-]*$|^[a-zA-Z_][a-zA-Z0-9_]*:[a-zA-Z0-9_:]+$"


class ScalingTarget(SpecModel):
    metric: str = Field(pattern=METRIC_NAME, max_length=100)
    """`queued-requests`, `running-requests`, `kv-cache-usage`, `gpu-utilization`, `cpu`, `requests-per-second` or
    `gateway-queued-requests`; or an engine's own metric by its full name, such as `vllm:num_requests_waiting`."""
    value: float = Field(gt=0)
    """Per replica: one more is started above it."""


class Scaling(SpecModel):
    min: int = Field(ge=0, le=1000)
    """Zero stops the service when nobody asks; the metric must then come from outside of its pods."""
    max: int = Field(ge=1, le=1000)
    target: ScalingTarget

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"`min` {self.min} is above `max` {self.max}")
        return self


class Canary(SpecModel):
    steps: list[int] = Field(min_length=1)
    """Share of the traffic in percent, step by step, up to 100."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if sorted(set(self.steps)) != self.steps or self.steps[0] < 1 or self.steps[-1] != 100:
            raise ValueError("the steps rise from at least 1 to 100")
        return self


class BlueGreen(SpecModel):
    """A whole second set of replicas, then one switch."""


class Rolling(SpecModel):
    max_surge: int = Field(default=1, ge=0, le=1000)
    """Replicas above the wanted number while the new version starts."""
    max_unavailable: int = Field(default=0, ge=0, le=1000)
    """Replicas below the wanted number meanwhile."""


class Rollout(SpecModel):
    """Exactly one of the alternatives."""

    rolling: Rolling | None = None
    canary: Canary | None = None
    blue_green: BlueGreen | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self
