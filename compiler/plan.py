"""The plan: an inert list of steps, each with a key or a revision, and what will be done about it.

The `lower` pass makes the steps, `diff` decides what each needs, `apply` executes them, the report draws them.
Plain data that is written to `plan.json` and read back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from llmops_spec.base import SpecModel
from llmops_spec.digests import digest
from llmops_spec.formats import MachineWritten
from llmops_spec.gate import GateSpec
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.data import CheckDataPayload, TransformPayload
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.sources import RemoteFile
from llmops_spec.store import StepKey, StoreRef

PLAN_FORMAT: Final = 1

StepId: TypeAlias = str
"""`<kind>/<name>`, such as `train/support-lora`; unique in a plan."""


class StepBase(SpecModel):
    name: str
    """The resource's name; a second step of one resource adds `@` and what it is for."""
    needs: list[StepId] = Field(default_factory=list)


class SourceFile(SpecModel):
    """A file of the project, at `path`, or one that is brought here from elsewhere."""

    path: str | None = None
    remote: RemoteFile | None = None
    repository: Literal["models", "datasets"] = "datasets"
    """What the repository of a remote file is, where it lies in one: they have addresses of their own."""
    digest: StepKey
    bytes: int


class Fetch(StepBase):
    """Bring files into the store, by digest."""

    kind: Literal["fetch"] = "fetch"
    key: StepKey
    files: dict[str, SourceFile]
    """Output name to file."""


class CheckData(StepBase):
    kind: Literal["check-data"] = "check-data"
    key: StepKey
    payload: CheckDataPayload


class TransformData(StepBase):
    kind: Literal["transform"] = "transform"
    key: StepKey
    payload: TransformPayload


class Train(StepBase):
    kind: Literal["train"] = "train"
    key: StepKey
    payload: TrainPayload


class Evaluate(StepBase):
    kind: Literal["evaluate"] = "evaluate"
    key: StepKey
    payload: EvaluatePayload


class DecidePayload(Payload):
    """Outputs: `verdict.json`, `test-result.dsse.json`, `summary.dsse.json`."""

    task: Literal["decide"] = "decide"
    gate: str
    spec: GateSpec
    record: StoreRef
    baselines: dict[str, StoreRef] = Field(default_factory=dict)
    """Label of each baseline in the gate to its record."""
    subject: dict[str, str] = Field(default_factory=dict)
    """Everything that can change behaviour, by name: digest, step key or store name."""
    environment: str
    policies: StepKey
    """Digest of the policy rules in force."""
    code: dict[str, StepKey]
    """Digests of our own modules that take part in the decision."""


class Decide(StepBase):
    kind: Literal["decide"] = "decide"
    key: StepKey
    payload: DecidePayload


class Provision(StepBase):
    """Make the place where services run: folders and ports on a desk, standing objects in a cluster."""

    kind: Literal["provision"] = "provision"
    revision: StepKey
    port: int | None = None


class RollOut(StepBase):
    """Start the new engine and gateway beside the old, and hand over once they are healthy."""

    kind: Literal["roll-out"] = "roll-out"
    revision: StepKey
    """Digest of what will run."""
    engine: EnginePayload
    gateway: GatewayPayload
    gates: list[StepId] = Field(default_factory=list)
    """Decisions that must have passed."""
    port: int | None = None


class Verify(StepBase):
    """Ask the running service one real question."""

    kind: Literal["verify"] = "verify"
    revision: StepKey
    variables: dict[str, str]


class Record(StepBase):
    """Write down in the journal that this revision of the environment is deployed."""

    kind: Literal["record"] = "record"
    revision: StepKey


ArtifactStep: TypeAlias = Fetch | CheckData | TransformData | Train | Evaluate | Decide
ActingStep: TypeAlias = Provision | RollOut | Verify | Record
Step: TypeAlias = Annotated[ArtifactStep | ActingStep, Field(discriminator="kind")]


def step_id(step: Step) -> StepId:
    return f"{step.kind}/{step.name}"


def identity(step: Step) -> str:
    """A step's key, or the revision that it should bring about."""
    return step.revision if isinstance(step, ActingStep) else step.key


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is there, as data."""

    stored: frozenset[str] = frozenset()
    """Keys of steps whose result the store has."""
    live: Mapping[str, str] = field(default_factory=dict[str, str])
    """Id of each acting step to the revision that is live and healthy."""
    previous: Mapping[str, str] = field(default_factory=dict[str, str])
    """Id of each step to its key or revision in the last plan that was applied here."""
    made: frozenset[str] = frozenset()
    """Keys of every step that was ever completed here."""


class Action(StrEnum):
    RUN = "run"
    CACHED = "cached"
    """The store has the result."""
    IN_PLACE = "in-place"
    """What is live is what is wanted."""


class PlannedStep(SpecModel):
    step: Step
    action: Action
    reason: str
    """Why, in a few words: `first time`, `learningRate changed`, `in the store`."""


class PolicyFinding(SpecModel):
    rule: str
    resource: str
    message: str
    place: str
    blocks: bool


class Basis(SpecModel):
    """What the plan was made from; `apply` refuses a saved plan when any of it moved."""

    spec: StepKey
    """Digest of every step and revision: spec, files and versions enter it."""
    policies: StepKey
    state: StepKey
    """Digest of what was live and journaled, less the progress made under this very plan."""
    evidence: StepKey
    """Digest of the decisions found in the store."""


BaseName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64}|working-tree|bootstrap)$")]
"""What gates were taken from beside the change itself: a commit, nothing but the working tree, or no Git at all."""
WORKING_TREE: Final = "working-tree"
BOOTSTRAP: Final = "bootstrap"


def is_commit(base: BaseName) -> bool:
    return base not in (WORKING_TREE, BOOTSTRAP)


class Plan(MachineWritten):
    FORMAT: ClassVar[int] = PLAN_FORMAT
    DOCUMENT: ClassVar[str] = "the plan"

    format_version: int = PLAN_FORMAT
    project: str
    environment: str
    target: str
    base: BaseName = WORKING_TREE
    steps: list[PlannedStep]
    removals: list[str] = Field(default_factory=list)
    """Live services that the spec no longer has."""
    policies: list[PolicyFinding] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    basis: Basis

    @property
    def changes(self) -> list[PlannedStep]:
        return [one for one in self.steps if one.action is Action.RUN]

    @property
    def denied(self) -> bool:
        return any(one.blocks for one in self.policies)

    def digest(self) -> str:
        """Of everything but what the store and the live state made of it: progress does not move it."""
        return plan_digest(self.model_dump(by_alias=True, mode="json"))


def plan_digest(body: Mapping[str, Any]) -> str:
    """`Plan.digest` of a plan as it was written: fields that later versions know do not enter it."""
    steps = sorted((one["step"] for one in body["steps"]), key=lambda one: f"{one['kind']}/{one['name']}")
    base = {"base": body["base"]} if body.get("base", WORKING_TREE) != WORKING_TREE else {}
    return digest({"environment": body["environment"], "steps": steps, "basis": body["basis"], **base})
