"""What every metric takes and gives. A score that cannot be given is a value, never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Case:
    """One answer beside what was wanted."""

    reference: str
    answer: str
    labels: frozenset[str] = frozenset()
    """Every label there is, in evaluations of a labelling task."""
    latency_seconds: float | None = None
    """None where no request was sent."""


@dataclass(frozen=True)
class Score:
    value: float


@dataclass(frozen=True)
class NotScorable:
    reason: str


Outcome: TypeAlias = Score | NotScorable


class Metric(Protocol):
    """One way to score an answer. Its version is the catalogue's, raised when scores stop being comparable."""

    def score(self, case: Case) -> Outcome: ...

    def parameters(self) -> dict[str, str | int | float | bool]:
        """What was set, as the record names it. Defaults are left out."""
        ...
