"""What the compiler needs from outside, and what others plug into it.

`llmops` implements `Reader`; `compiler.checks`, `policies` and `backends` implement the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from compiler.diagnostics.model import Diagnostic, Severity
from compiler.graph import ResourceGraph
from compiler.plan import ArtifactStep, Step, StepId
from compiler.source import Span
from llmops_spec.digests import Json
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFact:
    """A regular file of the project."""

    path: str
    digest: str
    """SHA-256 of its bytes."""
    bytes: int


class Reader(Protocol):
    """The project's files. Paths are relative to its root, with forward slashes, and never leave it."""

    def list_files(self) -> Sequence[str]:
        """Every regular file below the root that a spec could name, sorted: no dot-folders, no `build/`."""
        ...

    def read(self, path: str) -> bytes:
        """Raises: `FileNotFoundError`, `OSError`."""
        ...

    def fact(self, path: str) -> FileFact | None:
        """Digest and size; None where there is no such regular file, or the path leaves the root."""
        ...


class Check(Protocol):
    """One question about the graph. Stateless: the same graph always gives the same findings."""

    @property
    def name(self) -> str: ...

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]: ...


@dataclass(frozen=True, kw_only=True)
class ServedPair:
    """What one service runs, the same for every target."""

    service: str
    engine: EnginePayload
    gateway: GatewayPayload
    gates: tuple[StepId, ...]
    """The decisions that must have passed before it rolls out."""
    needs: tuple[StepId, ...]
    """The steps that make its weights."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """The part of a lowered graph that no target changes, from `compiler.artifacts`."""

    steps: tuple[ArtifactStep, ...]
    """In an order in which they can run."""
    services: tuple[ServedPair, ...]


class Ability(StrEnum):
    HONOURED = "honoured"
    SATISFIED_TRIVIALLY = "satisfied-trivially"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldAbility:
    ability: Ability
    reason: str = ""
    """For `satisfied-trivially` and `unsupported`: why, in words that a user reads."""


@dataclass(frozen=True, kw_only=True)
class KubernetesObject:
    """A rendered object with the resource that it came from."""

    body: Mapping[str, Json]
    source: str
    """Id of the resource, such as `service/support`."""

    @property
    def name(self) -> str:
        metadata = self.body["metadata"]
        assert isinstance(metadata, Mapping)
        return str(metadata["name"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What lowering needs beside the graph: versions and code digests, taken from the installed package."""

    versions: Mapping[str, str]
    """Library name to exact version, from the constraints that the package ships."""
    code: Mapping[str, str]
    """Digest of each of our own modules that takes part in evaluations and decisions, by its area:
    `prompt-language`, `serving`, `measuring`, `statistics`, `rail:<validator>`, `metric:<name>`."""
    policies: str
    """Digest of the policy rules in force, which decisions are bound to."""


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A graph made concrete for one target."""

    steps: tuple[Step, ...]
    """In an order in which they can run: needs come first."""
    jobs: tuple[KubernetesObject, ...] = ()
    standing: tuple[KubernetesObject, ...] = ()
    notes: tuple[str, ...] = ()
    """Fields that the target satisfies trivially, with the reason; `plan` shows them."""


class Backend(Protocol):
    """One target. Pure: the same graph gives equal bytes."""

    @property
    def target(self) -> str:
        """Name of the `Environment.target` alternative that it serves."""
        ...

    def abilities(self) -> Mapping[str, FieldAbility]:
        """By field path such as `Service.spec.replicas`, or by field and value such as `Training.spec.method=dpo`.

        A field that is not named is honoured.
        """
        ...

    def checks(self) -> Sequence[Check]:
        """Checks that need this target's abilities."""
        ...

    def lower(self, graph: ResourceGraph, make: Callable[[], Made]) -> Lowered:
        """Add the steps that act, and the objects, to the steps that `make` gives, which make artifacts."""
        ...

    def emit(self, graph: ResourceGraph, lowered: Lowered) -> Mapping[str, bytes]:
        """Files below `build/<environment>/`, by relative path."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """A policy rule that a resource or an object does not keep."""

    rule: str
    """Id such as `GOV-01`."""
    resource: str
    message: str
    span: Span
    severity: Severity
    """`error` denies; `warning` does not block in this tier."""
    help: str = ""
    references: tuple[str, ...] = ()
    broken: bool = False
    """The rule itself failed, which counts as a denial."""
    environments: tuple[str, ...] = field(default=())


class PolicyEngine(Protocol):
    """Is it allowed? Judges resources and rendered objects alike."""

    def digest(self) -> str:
        """Digest of every rule in force."""
        ...

    def judge(self, graph: ResourceGraph, objects: Sequence[KubernetesObject]) -> Iterable[Denial]: ...
