"""What a task writes when it ends, and what it says while it runs."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import SpecModel
from llmops_spec.formats import MachineWritten
from llmops_spec.store import StepKey


class TaskFailure(SpecModel):
    """Why a task gave up, for the person who reads it."""

    message: str
    """One sentence."""
    help: str = ""
    """What to do next."""
    code: Literal["bad-data", "missing-extra", "version-mismatch", "bad-model", "no-space", "store", "internal"]


class TaskResult(MachineWritten):
    """The result file of a one-shot task. Exit code 0 goes with `manifest`, 1 with `failure`."""

    DOCUMENT: ClassVar[str] = "the result of a task"

    task: str
    key: StepKey
    manifest: StepKey | None = None
    """Digest of the manifest that the store holds."""
    failure: TaskFailure | None = None
    seconds: float = Field(ge=0)
    notes: dict[str, str | int | float] = Field(default_factory=dict)
    """Figures for people, such as trained parameters; nothing decides on them."""


class Progress(SpecModel):
    """One line of a task's standard output."""

    phase: str
    """What is being done, such as `pretraining`."""
    done: int
    total: int
    unit: str
    """Of `done` and `total`: steps, rows, requests."""
    note: str = ""
    """A figure worth watching, such as the loss."""
