"""`guardrailsAi`: any registered guardrails-ai validator as a rail.

Validators are called directly, not through a `Guard`: a `Guard` drops an unknown id with a warning and lets every
text pass, keeps one of two validators of a name, and costs a millisecond. An id that is neither ours nor registered
by an installed distribution (entry point group `llmops.guardrails_ai`, named by the id) is a failure.
"""

from __future__ import annotations

import importlib
import os
import warnings
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from llmops_runtime.environment import quiet_libraries
from llmops_runtime.failures import TaskFailed
from llmops_runtime.rails.validator import Caught, Judgement, Passed
from llmops_spec.guardrail import GuardrailsAi

_ENTRY_POINTS: Final = "llmops.guardrails_ai"


@dataclass(frozen=True, kw_only=True)
class GuardrailsAiValidator:
    validator: Any
    """An instance of a guardrails-ai `Validator`."""

    @classmethod
    def of(cls, use: GuardrailsAi) -> GuardrailsAiValidator:
        """Find and construct the validator.

        Raises:
            TaskFailed: no such validator, or it refuses the parameters.
            ModuleNotFoundError: guardrails-ai is not installed.
        """
        found = _class_of(use.validator)
        try:
            return cls(validator=found(on_fail="noop", **use.parameters))
        except Exception as error:  # plug-in boundary
            raise TaskFailed(
                "bad-data", f"the validator `{use.validator}` refuses its parameters: {error}", "see `parameters`"
            ) from error

    def quick(self, text: str) -> bool:  # noqa: ARG002  # it is others' code
        return False

    def judge(self, text: str) -> Judgement:
        result = self.validator.validate(text, {})
        match getattr(result, "outcome", None):
            case "pass":
                return Passed()
            case "fail":
                fixed = getattr(result, "fix_value", None)
                return Caught(str(result.error_message), fixed if isinstance(fixed, str) else None)
            case other:
                raise TypeError(f"the validator's outcome is {other!r}, neither `pass` nor `fail`")


def _class_of(name: str) -> Any:
    quiet_libraries()
    _keep_nltk_home()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their imports
        from guardrails.validator_base import validators_registry

        importlib.import_module("llmops_runtime.rails.banned_phrases")  # registers itself
        if name not in validators_registry:
            for entry in entry_points(group=_ENTRY_POINTS, name=name):
                entry.load()
    found = validators_registry.get(name)
    if found is None:
        known = ", ".join(f"`{one}`" for one in sorted(validators_registry))
        raise TaskFailed(
            "bad-data",
            f"no installed guardrails-ai validator is registered as `{name}`; there are {known}",
            f"install the distribution that brings it, with an entry point in the group `{_ENTRY_POINTS}`",
        )
    return found


def _keep_nltk_home() -> None:
    """Guardrails-ai downloads an nltk table when it is imported, unless its folder is there. We never use it."""
    folder = Path(os.environ.setdefault("NLTK_DATA", str(Path(os.environ["HOME"]) / ".nltk")).split(os.pathsep)[0])
    (folder / "tokenizers" / "punkt").mkdir(parents=True, exist_ok=True)
