"""The `Guardrail` kind: what may go into a model and what may come out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import Resource, SpecModel


class MaxLength(SpecModel):
    characters: int = Field(ge=1, le=10_000_000)


class DenyPattern(SpecModel):
    patterns: list[str] = Field(min_length=1)
    """Regular expressions; a text in which one is found is blocked. Matching is case-insensitive."""


class PersonalData(SpecModel):
    """E-mail addresses and phone numbers."""


class GuardrailsAi(SpecModel):
    validator: str = Field(pattern=r"^[a-z0-9_-]+/[a-z0-9_-]+$", max_length=100)
    """Registered id of a guardrails-ai validator, such as `llmops/banned-phrases`."""
    parameters: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)


class Rail(SpecModel):
    """One validator and what follows from its answer. Exactly one validator is given."""

    max_length: MaxLength | None = None
    deny_pattern: DenyPattern | None = None
    personal_data: PersonalData | None = None
    guardrails_ai: GuardrailsAi | None = None

    on_fail: Literal["refuse", "redact"] = "refuse"
    """`redact` goes on with the validator's corrected text, where it has one, and refuses otherwise."""
    on_error: Literal["closed", "open"]
    """What a validator that raises or is late means. Stated for every rail: `closed` blocks."""
    tool_calls: bool = False
    """Also tried on the arguments of tool calls and on what tools return."""
    timeout_milliseconds: int = Field(default=1000, ge=1, le=60_000)
    canary: str | None = Field(default=None, min_length=1)
    """A text that this rail must catch; tried before the gateway reports healthy."""
    benign: str | None = Field(default=None, min_length=1)
    """A similar text that it must let through unchanged."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in VALIDATORS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of maxLength, denyPattern, personalData, guardrailsAi")
        return self

    @property
    def validator(self) -> str:
        """Field name of the validator that is set."""
        return next(name for name in VALIDATORS if getattr(self, name) is not None)


VALIDATORS = ("max_length", "deny_pattern", "personal_data", "guardrails_ai")


class GuardrailSpec(SpecModel):
    input: list[Rail] = Field(default_factory=list)
    """Tried in order on every untrusted variable, or on every message of a chat request, whatever its role."""
    output: list[Rail] = Field(default_factory=list)
    """Tried in order on the answer; a stream is held until they have passed."""
    refusal: str = Field(default="I cannot help with that request.", min_length=1, max_length=2000)
    """What a caller gets in place of a blocked answer."""


class Guardrail(Resource):
    KIND: ClassVar[str] = "Guardrail"
    kind: Literal["Guardrail"] = "Guardrail"
    spec: GuardrailSpec
