"""The tracker that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping

from llmops_runtime.trackers import Outcome


class NullTracker:
    def log(self, step: int, figures: Mapping[str, float]) -> None:
        del step, figures

    def end(self, outcome: Outcome) -> None:
        del outcome
