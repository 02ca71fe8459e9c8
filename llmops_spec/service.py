"""The `Service` kind: what runs, and what it must have earned."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import GateRef, GuardrailRef, ModelRef, PromptRef, Resource, SpecModel
from llmops_spec.engine import Engine
from llmops_spec.limits import RequestLimits


class ComputeResources(SpecModel):
    """What one engine pod asks for and may use."""

    cpu: str = Field(default="2", pattern=r"^\d+(\.\d+)?m?$")
    memory: str = Field(default="4Gi", pattern=r"^\d+(Ki|Mi|Gi|Ti)$")


class ServiceSpec(SpecModel):
    model: ModelRef
    prompt: PromptRef
    guardrails: list[GuardrailRef] = Field(default_factory=list)
    gates: list[GateRef] = Field(default_factory=list)
    engine: Engine = Field(default_factory=Engine.default)
    requests: RequestLimits = Field(default_factory=RequestLimits)
    replicas: int = Field(default=1, ge=1, le=1000)
    resources: ComputeResources = Field(default_factory=ComputeResources)
    smoke: dict[str, str] = Field(default_factory=dict)
    """Values of the prompt's variables for the request that verifies a roll-out."""


class Service(Resource):
    KIND: ClassVar[str] = "Service"
    kind: Literal["Service"] = "Service"
    spec: ServiceSpec
