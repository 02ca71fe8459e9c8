"""`llmops/banned-phrases`: a guardrails-ai validator that finds phrases, whole words, in any case.

Imported by `llmops_runtime.rails.guardrails_ai` alone: the import takes seconds, and makes the validator known to
guardrails-ai under its id. It works in any guardrails-ai `Guard` too. Its fix has `***` in the phrases' places.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from guardrails.validator_base import FailResult, PassResult, ValidationResult, Validator, register_validator


@register_validator(name="llmops/banned-phrases", data_type="string")
class BannedPhrases(Validator):
    """Fails a text that holds one of the phrases."""

    def __init__(self, phrases: Sequence[str], on_fail: str | None = None, **more: Any) -> None:
        super().__init__(on_fail=on_fail, phrases=list(phrases), **more)  # pyright: ignore[reportArgumentType]
        if isinstance(phrases, str) or not phrases or not all(one.strip() for one in phrases):
            raise ValueError("`phrases` must be a list of at least one phrase, and none may be empty")
        spelled = [r"\s+".join(re.escape(word) for word in one.split()) for one in phrases]
        # Alternatives without repetition but white space between words: linear on any text.
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(spelled)})(?!\w)", re.IGNORECASE)

    def _validate(self, value: str, metadata: dict[str, Any]) -> ValidationResult:  # noqa: ARG002  # their signature
        fixed, found = self._pattern.subn("***", value)
        if not found:
            return PassResult()
        return FailResult(error_message=f"{found} banned phrases", fix_value=fixed)
