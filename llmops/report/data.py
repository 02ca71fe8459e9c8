"""What a report says, as plain data.

`apply` and `gate run` fill it and may write it beside the page; `page` draws it. Times are text that the caller
gives: nothing here asks a clock. Closed and strict, so a report from a newer version is refused and not half read.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import Field, JsonValue

from compiler.plan import PolicyFinding
from llmops_spec.base import SpecModel
from llmops_spec.formats import MachineWritten
from llmops_spec.payloads.data import DataProfile

REPORT_FORMAT: Final = 1

StepState: TypeAlias = Literal["done", "cached", "in-place", "failed", "not-run", "running"]
PlannedAction: TypeAlias = Literal["run", "cached", "in-place"]
VerdictWord: TypeAlias = Literal["pass", "fail", "inconclusive"]
Direction: TypeAlias = Literal["at-least", "at-most", "never-fails"]


class ReportedStep(SpecModel):
    id: str
    """`<kind>/<name>`."""
    kind: str
    name: str
    action: PlannedAction
    reason: str = ""
    """Why the plan wants it: `first time`, `learningRate changed`."""
    state: StepState
    seconds: float | None = Field(default=None, ge=0)
    """How long it ran; None where it did not."""
    notes: dict[str, JsonValue] = Field(default_factory=dict)
    """Facts that the step reported. `error` and `help` of a failed step are shown at the top of the page."""


class CurvePoint(SpecModel):
    step: int
    loss: float
    learning_rate: float


class ReportedCriterion(SpecModel):
    """One criterion as `CriterionVerdict.to_json` writes it."""

    criterion: str
    metric: str
    slice: str | None = None
    baseline: str | None = None
    verdict: VerdictWord
    reason: str
    advice: str = ""
    estimate: float | None = None
    low: float | None = None
    """One-sided lower bound; None where there is none."""
    high: float | None = None
    bar: float | None = None
    direction: Direction = "at-least"
    method: str = "none"
    planned: int = 0
    scored: int = 0
    unscorable: int = 0
    errored: int = 0
    skipped: int = 0
    absent: int = 0
    units: int = 0
    """Independent units among the scored: clusters, or items where nothing is shared."""
    blocks_always: bool = False
    p_value_worse: float | None = None


class ReportedVerdict(MachineWritten):
    """A gate's verdict as `GateVerdict.to_json` writes it."""

    DOCUMENT: ClassVar[str] = "the verdict of a gate"

    verdict: VerdictWord
    blocks: bool
    reason: str
    alpha: float = Field(gt=0, lt=1)
    combine: str
    on_inconclusive: str
    false_ship_at_most: float | None = None
    false_block_at_most: float
    criteria: list[ReportedCriterion]


class ReportedEvidence(SpecModel):
    """One signed statement about a gate."""

    gate: str
    key_id: str
    assurance: str
    """`local`, `ci` or `bootstrap`."""
    base: str | None = None
    """Commit whose gates judged beside the change's own."""
    statement_digest: str
    subject: dict[str, str] = Field(default_factory=dict)
    """All that the decision depends on, by name: digest, step key or store name."""
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    """Shown, never compared: versions, revision, plan."""


class ReportedService(SpecModel):
    name: str
    url: str
    model: str


class ReportData(MachineWritten):
    FORMAT: ClassVar[int] = REPORT_FORMAT
    DOCUMENT: ClassVar[str] = "the data of the report"

    format_version: int = REPORT_FORMAT
    project: str
    environment: str
    target: str
    outcome: str
    """One sentence that says how the run ended; the first thing a reader sees."""
    exit_code: int
    finished_at: str
    """ISO 8601."""
    steps: list[ReportedStep] = Field(default_factory=list)
    """In the order of the plan."""
    policies: list[PolicyFinding] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """The plan's notes."""
    profiles: dict[str, DataProfile] = Field(default_factory=dict)
    """By dataset."""
    curves: dict[str, list[CurvePoint]] = Field(default_factory=dict)
    """By training."""
    verdicts: dict[str, ReportedVerdict] = Field(default_factory=dict)
    """By gate."""
    evidence: list[ReportedEvidence] = Field(default_factory=list)
    services: list[ReportedService] = Field(default_factory=list)
