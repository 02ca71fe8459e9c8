"""The `Service` kind: what runs, and what it must have earned."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import GateRef, GuardrailRef, ModelRef, PromptRef, Resource, ResourceName, RetrieverRef, SpecModel
from llmops_spec.engine import Engine
from llmops_spec.gpu import Gpu, Parallelism
from llmops_spec.limits import RequestLimits
from llmops_spec.rollout import Rollout, Scaling


class ComputeResources(SpecModel):
    """What one engine pod asks for and may use."""

    cpu: str = Field(default="2", pattern=r"^[0-9]+(\.[0-9]+)?m?$")
    memory: str = Field(default="4Gi", pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$")


class Step(SpecModel):
    """One request of a chain."""

    name: ResourceName
    prompt: PromptRef
    model: ModelRef | None = None
    """If absent, the service's. An adapter or another model that the same engine serves."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Variable of the prompt to where its value comes from: `request.NAME` for what the caller sends, `STEP.answer` for
    the whole answer of an earlier step, `STEP.FIELD` for a field of its output schema."""


class Retrieval(SpecModel):
    """Passages for a request, found with one variable of the prompt and put into another."""

    retriever: RetrieverRef
    query: str
    """Variable that is searched for."""
    into: str
    """Variable that receives the passages."""


class Api(SpecModel):
    """What callers may use. Rails must cover all of it."""

    endpoints: list[Literal["chat-completions", "completions", "responses", "embeddings", "rerank"]] = Field(
        default=["chat-completions"], min_length=1
    )
    streaming: bool = True
    tools: bool = False
    """Callers may offer tools; what the model writes is then parsed for calls."""


class Route(SpecModel):
    """An inference gateway in front of the engines. Route, pool and picker must speak one version of its API."""

    gateway: ResourceName
    """An existing Gateway object of the cluster."""
    backend: str = Field(pattern=r"^[a-z0-9.-]+/v[A-Za-z0-9_]+$", max_length=100)
    """API group and version of the pool that the route's backend reference names."""
    pool: str = Field(pattern=r"^[a-z0-9.-]+/v[A-Za-z0-9_]+$", max_length=100)
    """API group and version of the InferencePool object."""
    picker: str = Field(pattern=r"^[a-z0-9.-]+/v[A-Za-z0-9_]+$", max_length=100)
    """API group and version that the endpoint picker watches."""


class ServiceSpec(SpecModel):
    model: ModelRef
    adapters: list[ModelRef] = Field(default_factory=list)
    """LoRA adapters that callers choose by name, all on one base."""
    prompt: PromptRef | None = None
    steps: list[Step] = Field(default_factory=list)
    """A chain of prompts, in order, in place of one `prompt`."""
    retrieval: Retrieval | None = None
    guardrails: list[GuardrailRef] = Field(default_factory=list)
    gates: list[GateRef] = Field(default_factory=list)
    engine: Engine = Field(default_factory=Engine.default)
    gpu: Gpu | None = None
    """Of one pod. `replicas` or `scaling` say how many replicas there are, `nodes` how many pods make one replica."""
    parallelism: Parallelism | None = None
    workload: Literal["deployment", "leader-worker-set", "kserve", "ray"] = "deployment"
    nodes: int = Field(default=1, ge=1, le=64)
    """Pods of one replica, for models that no single machine holds."""
    requests: RequestLimits = Field(default_factory=RequestLimits)
    replicas: int = Field(default=1, ge=1, le=1000)
    scaling: Scaling | None = None
    """In place of `replicas`."""
    rollout: Rollout | None = None
    startup_seconds: int | None = Field(default=None, ge=1, le=86_400)
    """Time in which a pod must have loaded its weights; it is restarted after that."""
    api: Api = Field(default_factory=Api)
    route: Route | None = None
    resources: ComputeResources = Field(default_factory=ComputeResources)
    smoke: dict[str, str] = Field(default_factory=dict)
    """Values of the prompt's variables for the request that verifies a roll-out."""

    @model_validator(mode="after")
    def _one_way_to_answer(self) -> Self:
        if self.prompt is not None and self.steps:
            raise ValueError("give `prompt` or `steps`, not both")
        return self


class Service(Resource):
    KIND: ClassVar[str] = "Service"
    kind: Literal["Service"] = "Service"
    spec: ServiceSpec
