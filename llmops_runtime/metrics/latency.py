"""`latency-seconds`: from sending a request to the last byte of its answer."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_runtime.metrics.metric import Case, NotScorable, Outcome, Score


@dataclass(frozen=True, kw_only=True)
class LatencySeconds:
    def score(self, case: Case) -> Outcome:
        if case.latency_seconds is None:
            return NotScorable("no request was sent")
        return Score(case.latency_seconds)

    def parameters(self) -> dict[str, str | int | float | bool]:
        return {}
