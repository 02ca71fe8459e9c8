"""`label-accuracy`: 1 where the answer is the reference label, 0 where it is another, unscorable where it is none."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_runtime.metrics.metric import Case, NotScorable, Outcome, Score


@dataclass(frozen=True, kw_only=True)
class LabelAccuracy:
    def score(self, case: Case) -> Outcome:
        answer = case.answer.strip()
        if answer not in case.labels:
            return NotScorable("the answer is no label")
        return Score(1.0 if answer == case.reference.strip() else 0.0)

    def parameters(self) -> dict[str, str | int | float | bool]:
        return {}
