"""`personalData`: catches e-mail addresses and phone numbers; its correction has `[email]` and `[phone]` instead.

The detector is the one that `check-data` and `transform` use, so what a data set is cleaned of is what a service
does not let through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llmops_runtime.rails.validator import Caught, Judgement, Passed
from llmops_spec.personal_data import find_personal, redact

_QUICK_CHARACTERS: Final = 2000
"""The detector's time may grow with the square of a text that was made for it: 1 s at 65,000 characters."""


@dataclass(frozen=True, kw_only=True)
class PersonalDataValidator:
    def quick(self, text: str) -> bool:
        return len(text) <= _QUICK_CHARACTERS

    def judge(self, text: str) -> Judgement:
        found = find_personal(text)
        if not found:
            return Passed()
        kinds = " and ".join(sorted({one.kind for one in found}))
        return Caught(f"{kinds} in the text", redact(text))
