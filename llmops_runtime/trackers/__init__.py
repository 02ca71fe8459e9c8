"""Experiment trackers by URI: a place that keeps a training's parameters and curve for people to compare.

Nothing decides on what a tracker holds, and one that fails never fails a training: it is left with a word on standard
error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Outcome = Literal["finished", "failed", "killed"]


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    experiment: str
    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


class Tracker(Protocol):
    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep the figures of one step."""
        ...

    def end(self, outcome: Outcome) -> None:
        """Write what is left; nothing is logged afterwards."""
        ...


class GuardedTracker:
    """Passes everything on until something fails, then nothing."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._failed = False

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if not self._failed:
            try:
                self._tracker.log(step, figures)
            except Exception as error:  # noqa: BLE001  # plug-in boundary: any server, any library behind it
                self._leave(error)

    def end(self, outcome: Outcome) -> None:
        if not self._failed:
            try:
                self._tracker.end(outcome)
            except Exception as error:  # noqa: BLE001  # plug-in boundary
                self._leave(error)

    def _leave(self, error: Exception) -> None:
        self._failed = True
        warn(error)


def open_tracker(uri: str | None, run: TrackedRun) -> Tracker:
    """The tracker at `uri`; one that keeps nothing where `uri` is empty or cannot be reached."""
    from llmops_runtime.trackers.null import NullTracker

    if not uri:
        return NullTracker()
    from llmops_runtime.trackers.mlflow import MlflowTracker

    try:
        return GuardedTracker(MlflowTracker(uri, run))
    except Exception as error:  # noqa: BLE001  # plug-in boundary
        warn(error)
        return NullTracker()


def warn(error: Exception) -> None:
    said = str(error).strip().split("\n")[0]
    sys.stderr.write(f"warning: the training is not tracked any further: {type(error).__name__}: {said}\n")
