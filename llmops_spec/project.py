"""The `Project` kind: one per repository, in `llmops.yaml` at its root."""

from typing import ClassVar, Literal

from pydantic import Field

from llmops_spec.base import Resource, SpecModel
from llmops_spec.sources import Sources


class ProjectSpec(SpecModel):
    include: list[str] = Field(default=["**/*.yaml"], min_length=1)
    """Globs of the spec files, relative to the root."""
    exclude: list[str] = Field(default_factory=list)
    """Globs of YAML files that are not ours, or not yet."""
    protected_branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=100)
    """Branch whose commits are reviewed: gates are compared with it, and the pipeline applies from it."""
    remote_code: list[str] = Field(default_factory=list)
    """Hugging Face repositories whose own code may run to load a model."""
    sources: Sources = Field(default_factory=Sources)
    """Where remote models, data and images may come from."""


class Project(Resource):
    KIND: ClassVar[str] = "Project"
    kind: Literal["Project"] = "Project"
    spec: ProjectSpec = Field(default_factory=ProjectSpec)
