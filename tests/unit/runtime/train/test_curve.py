"""The curve keeps what happened, thins long trainings, and ends one that diverged."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import pytest

from llmops_runtime.context import ProgressLines
from llmops_runtime.failures import TaskFailed
from llmops_runtime.trackers.null import NullTracker
from llmops_runtime.train.curve import Curve


def curve(steps: int) -> Curve:
    return Curve(phase="training", steps=steps, progress=ProgressLines(stream=StringIO()), tracker=NullTracker())


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(loss: float) -> None:
    with pytest.raises(TaskFailed, match="the loss of step 7 is") as caught:
        curve(10).add(7, loss, 0.1)
    assert "learningRate" in caught.value.failure.help


def test_long_trainings_keep_a_thousand_points_with_both_ends(tmp_path: Path) -> None:
    long = curve(10_005)
    for step in range(1, 10_006):
        long.add(step, 1 / step, 0.1)
    long.write(tmp_path / "curve.jsonl")
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert 900 <= len(points) <= 1002
    assert (points[0]["step"], points[-1]["step"]) == (1, 10_005)


def test_progress_comes_a_few_times_a_second_and_at_the_ends() -> None:
    stream = StringIO()
    lines = ProgressLines(stream=stream)
    for step in range(1, 2001):
        lines("training", step, 2000, "steps")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert 2 <= len(written) <= 20
    assert (written[0]["done"], written[-1]["done"]) == (1, 2000)
