"""Payloads of the standing processes, and what they say of themselves when they are ready."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import SpecModel
from llmops_spec.engine import TransformersEngine
from llmops_spec.formats import MachineWritten
from llmops_spec.guardrail import GuardrailSpec
from llmops_spec.limits import RequestLimits
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.training import StoredModel
from llmops_spec.prompt import PromptSpec


class ServedState(SpecModel):
    """Another state of an engine's base weights: under another adapter, or under none."""

    model_name: str
    weights: StoredModel


class EnginePayload(Payload):
    """One set of weights behind `/v1/chat/completions`, `/v1/models` and `/health`."""

    task: Literal["engine"] = "engine"
    model_name: str
    """The `model` of requests and answers."""
    weights: StoredModel
    others: list[ServedState] = Field(default_factory=list[ServedState])
    """Further states of the same base weights, each behind its own name. For whoever starts one engine for several
    evaluations: no step's payload holds any."""
    transformers: TransformersEngine = Field(default_factory=TransformersEngine)
    versions: dict[str, str]


class GatewayPayload(Payload):
    """The public face of one service: rails, prompt, limits; the engine's address comes by environment."""

    task: Literal["gateway"] = "gateway"
    service: str
    model_name: str
    prompt: PromptSpec
    guardrails: list[GuardrailSpec] = Field(default_factory=list)
    requests: RequestLimits = Field(default_factory=RequestLimits)


class Supervision(MachineWritten):
    """Written by the supervisor of a standing process when that has ended by itself."""

    DOCUMENT: ClassVar[str] = "the note of a supervisor"

    restarts: int = 0
    last_end: str = ""
    """How it ended last, such as `signal 9`."""
    gave_up: bool = False
    """It failed too often, and is not started any more."""


class Ready(MachineWritten):
    """Written by a standing process to its result file when it can take requests."""

    DOCUMENT: ClassVar[str] = "what a server said of itself"

    task: Literal["engine", "gateway"]
    pid: int
    port: int
    """TCP port on its listening address."""
    public_port: int | None = None
    """Gateway only: the service's own port, once it has taken that over."""
    public_error: str | None = None
    """Gateway only: why it could not."""
