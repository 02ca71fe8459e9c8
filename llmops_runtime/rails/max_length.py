"""`maxLength`: catches a text of more characters than allowed; its correction is the allowed beginning."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_runtime.rails.validator import Caught, Judgement, Passed


@dataclass(frozen=True, kw_only=True)
class LengthValidator:
    characters: int

    def quick(self, text: str) -> bool:  # noqa: ARG002  # of no matter here
        return True

    def judge(self, text: str) -> Judgement:
        if len(text) <= self.characters:
            return Passed()
        return Caught(f"{len(text)} characters, allowed are {self.characters}", text[: self.characters])
