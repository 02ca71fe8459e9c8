"""`exact-match`: 1 where the answer equals the reference after trimming white space, else 0."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_runtime.metrics.metric import Case, Outcome, Score


@dataclass(frozen=True, kw_only=True)
class ExactMatch:
    ignore_case: bool = False

    def score(self, case: Case) -> Outcome:
        answer, reference = case.answer.strip(), case.reference.strip()
        if self.ignore_case:
            answer, reference = answer.casefold(), reference.casefold()
        return Score(1.0 if answer == reference else 0.0)

    def parameters(self) -> dict[str, str | int | float | bool]:
        return {"ignoreCase": True} if self.ignore_case else {}
