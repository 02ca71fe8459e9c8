r"""What every part of a spec shares: the closed model, names, references, metadata.

Every kind in this package is built from `SpecModel`. Nothing here reads a file.

Modules of models do without `from __future__ import annotations`: pydantic would compile the text of each annotation
again, which makes a seventh of what the classes cost every command at its start.

Their patterns write `[0-9]` and `[A-Za-z0-9_]`: here `\d` and `\w` would also take the digits and letters of every
other script, unlike in the exported JSON Schema, and cost more than everything else in a pattern.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from llmops_spec.parts import BuiltInParts

API_VERSION = "llmops.dev/v1alpha1"

ApiVersion: TypeAlias = Literal["llmops.dev/v1alpha1"]


class SpecModel(BuiltInParts):
    """A closed, strict, immutable part of a spec: unknown keys are errors, `"1"` is not `1`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        defer_build=True,
    )


NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"

ResourceName: TypeAlias = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=50)]
"""A DNS label of at most 50 characters."""

ProjectPath: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A path relative to the project root, with forward slashes, that stays below the root."""


@dataclass(frozen=True, kw_only=True)
class References:
    """Marks a name field as a reference to a resource of `kind`."""

    kind: str


DatasetRef: TypeAlias = Annotated[ResourceName, References(kind="Dataset")]
EvaluationRef: TypeAlias = Annotated[ResourceName, References(kind="Evaluation")]
GateRef: TypeAlias = Annotated[ResourceName, References(kind="Gate")]
GuardrailRef: TypeAlias = Annotated[ResourceName, References(kind="Guardrail")]
ModelRef: TypeAlias = Annotated[ResourceName, References(kind="Model")]
PromptRef: TypeAlias = Annotated[ResourceName, References(kind="Prompt")]
RetrieverRef: TypeAlias = Annotated[ResourceName, References(kind="Retriever")]
TrainingRef: TypeAlias = Annotated[ResourceName, References(kind="Training")]


class Metadata(SpecModel):
    name: ResourceName
    """Unique among the resources of its kind."""
    owner: str | None = Field(default=None, min_length=1, max_length=100)
    """Team or person that answers for this resource."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Carried to every object that a cluster target renders for this resource."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Carried like labels, for values that are not identifiers."""
    description: str = ""
    """One or two sentences for people who read the spec; no target makes anything of it."""


class Resource(BuiltInParts):
    """A document: `apiVersion`, `kind`, `metadata`, `spec`. Each kind subclasses it and narrows `kind` and `spec`."""

    model_config = SpecModel.model_config

    KIND: ClassVar[str]

    api_version: ApiVersion = API_VERSION
    metadata: Metadata
    spec: Any


def exactly_one(part: SpecModel) -> None:
    """Refuse a one-of part with no or several alternatives.

    Raises:
        ValueError: with the names of the alternatives, as a pydantic validator expects.
    """
    names = [to_camel(name) for name in type(part).model_fields]
    chosen = [name for name in type(part).model_fields if getattr(part, name) is not None]
    if len(chosen) != 1:
        said = "none is given" if not chosen else "given are " + ", ".join(to_camel(name) for name in chosen)
        raise ValueError(f"give exactly one of {', '.join(names)}; {said}")
