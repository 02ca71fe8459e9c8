"""The `Prompt` kind: a typed chat template."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from llmops_spec.base import Resource, SpecModel

ValueType: TypeAlias = Literal["string", "integer", "number", "boolean"]


class Message(SpecModel):
    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1, max_length=100_000)
    """Text in the prompt language: `{{ variable }}`, `{% if %}`, `{% for %}` and a few filters."""


class Variable(SpecModel):
    type: ValueType = "string"
    trust: Literal["trusted", "untrusted"] = "untrusted"
    """Untrusted text comes from outside: it may not enter a system message."""
    max_tokens: int = Field(ge=1, le=1_000_000)
    """Budget of the rendered value in tokens; the gateway refuses longer input."""


class OutputField(SpecModel):
    type: ValueType = "string"
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    """Budget of the value in tokens. If absent, the whole answer's."""


class PromptOutput(SpecModel):
    max_tokens: int = Field(ge=1, le=1_000_000)
    """Longest answer, in tokens."""
    labels: list[str] = Field(default_factory=list)
    """If given, decoding is constrained to exactly one of these texts."""
    schema_: dict[str, OutputField] = Field(default_factory=dict, alias="schema")
    """If given, the answer is a JSON object with exactly these fields, which later steps may take as variables."""


class PromptSpec(SpecModel):
    messages: list[Message] = Field(min_length=1)
    variables: dict[str, Variable] = Field(default_factory=dict)
    output: PromptOutput


class Prompt(Resource):
    KIND: ClassVar[str] = "Prompt"
    kind: Literal["Prompt"] = "Prompt"
    spec: PromptSpec
