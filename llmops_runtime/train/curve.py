"""The training curve: every step's loss, on its way to the file, the tracker and the terminal.

Used by `pretrain` and `finetune`. A loss that is no number ends the training.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from llmops_runtime.context import ProgressLines
from llmops_runtime.failures import TaskFailed
from llmops_runtime.trackers import Tracker

_MOST_POINTS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    step: int
    """Optimizer steps done, from 1."""
    loss: float
    learning_rate: float


@dataclass(kw_only=True)
class Curve:
    phase: str
    """What the progress lines call it."""
    steps: int
    progress: ProgressLines
    tracker: Tracker
    points: list[CurvePoint] = field(default_factory=list[CurvePoint])

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        """Take note of one step.

        Raises:
            TaskFailed: the loss is not finite.
        """
        if not math.isfinite(loss):
            raise TaskFailed(
                "bad-data",
                f"the training diverged: the loss of step {step} is {loss}",
                "lower `learningRate`, or raise `warmupSteps`",
            )
        self.progress(self.phase, step, self.steps, "steps", f"loss {loss:.3f}")
        self.tracker.log(step, {"loss": loss, "learning_rate": learning_rate})
        every = -(-self.steps // _MOST_POINTS)
        if step % every == 0 or step in {1, self.steps}:
            self.points.append(CurvePoint(step=step, loss=loss, learning_rate=learning_rate))

    def write(self, path: Path) -> None:
        """Write the points as JSON Lines; of long trainings every n-th."""
        lines = (
            json.dumps({"step": one.step, "loss": round(one.loss, 6), "learningRate": one.learning_rate})
            for one in self.points
        )
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
