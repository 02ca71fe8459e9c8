"""A project between its files and its graphs: what `load` found and what `parse` made of it.

Plain data that passes hand on, so that no pass imports another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from compiler.documents import RawDocument
from compiler.graph import ResourceId
from compiler.lockfile import Lock
from llmops_spec.base import Resource
from llmops_spec.project import Project

PROJECT_FILE: Final = "llmops.yaml"
"""At the root of every project."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The documents of a project, still untyped, in the order of their files."""

    project: Project
    documents: tuple[RawDocument, ...]
    files: tuple[str, ...]
    """Every spec file that was read."""
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, kw_only=True, eq=False)
class ParsedDocument:
    raw: RawDocument
    resource: Resource | None
    """None where it failed to type; that has been reported."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ParsedProject:
    project: Project
    documents: Mapping[ResourceId, ParsedDocument]
    """Sorted by id, so that the order of files and documents never matters."""
    nameless: frozenset[str]
    """Kinds of documents whose name could not be told, which has been reported; empty text stands for any kind."""
    files: tuple[str, ...]
    lock: Lock = field(default_factory=Lock)

    def may_hold(self, kind: str) -> bool:
        """Whether a resource of that kind may be there though none of its name is known."""
        return kind in self.nameless or "" in self.nameless
