"""The validator that a rail of the spec asks for."""

from __future__ import annotations

from llmops_runtime.rails.max_length import LengthValidator
from llmops_runtime.rails.personal_data import PersonalDataValidator
from llmops_runtime.rails.validator import Validator
from llmops_spec.guardrail import Rail


def validator_of(rail: Rail) -> Validator:
    """Construct the rail's validator.

    Raises:
        TaskFailed: it cannot be used as it is written.
        ModuleNotFoundError: a library that it needs is not installed.
    """
    match rail:
        case Rail(max_length=limit) if limit is not None:
            return LengthValidator(characters=limit.characters)
        case Rail(deny_pattern=deny) if deny is not None:
            from llmops_runtime.rails.deny_pattern import PatternValidator

            return PatternValidator.of(deny.patterns)
        case Rail(guardrails_ai=use) if use is not None:
            from llmops_runtime.rails.guardrails_ai import GuardrailsAiValidator

            return GuardrailsAiValidator.of(use)
        case _:
            return PersonalDataValidator()
