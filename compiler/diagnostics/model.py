"""Findings as values: what is wrong, where, and what to do next.

Every pass, check, policy and back end reports through these; the renderers beside this file print them.
A finding is plain data. User mistakes never raise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType

from compiler.source import Span

DiagnosticName = NewType("DiagnosticName", str)
"""Kebab-case name of the bad pattern, such as `unknown-reference`; `llmops explain` takes it."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A second place that belongs to a finding."""

    span: Span
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One finding. `message` is one sentence that stands alone; identifiers are in backticks."""

    name: DiagnosticName
    severity: Severity
    message: str
    span: Span
    label: str = ""
    """A few words under the caret."""
    related: tuple[Label, ...] = ()
    note: str = ""
    """Why it matters, or the arithmetic."""
    help: str = ""
    """The smallest fix."""
    environments: tuple[str, ...] = ()
    """Where it holds; empty means wherever the document is read."""
    confidential: Span | None = None
    """Lines that may hold a secret, so that no renderer shows them, whatever finding lies there."""

    def sort_key(self) -> tuple[Span, str, str]:
        return (self.span, self.name, self.message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One kind of finding: name, what it is, and how bad."""

    name: DiagnosticName
    summary: str
    severity: Severity = Severity.ERROR
    since: str = "0.1"

    def at(
        self,
        span: Span,
        message: str,
        *,
        label: str = "",
        note: str = "",
        help: str = "",  # noqa: A002  # the word users see
        related: Iterable[Label] = (),
    ) -> Diagnostic:
        return Diagnostic(
            name=self.name,
            severity=self.severity,
            message=message,
            span=span,
            label=label,
            note=note,
            help=help,
            related=tuple(related),
        )


def declare(name: str, summary: str, *, severity: Severity = Severity.ERROR, since: str = "0.1") -> Declared:
    return Declared(name=DiagnosticName(name), summary=summary, severity=severity, since=since)


@dataclass(kw_only=True)
class DiagnosticSink:
    """Collects the findings of one run."""

    _found: list[Diagnostic] = field(default_factory=list)

    def add(self, one: Diagnostic) -> None:
        self._found.append(one)

    def extend(self, some: Iterable[Diagnostic]) -> None:
        self._found.extend(some)

    @property
    def has_errors(self) -> bool:
        return any(one.severity is Severity.ERROR for one in self._found)

    def findings(self) -> tuple[Diagnostic, ...]:
        """Each finding once, sorted by place; equal ones of several environments are merged and name them all."""
        merged: dict[Diagnostic, set[str]] = {}
        for one in self._found:
            merged.setdefault(replace(one, environments=()), set()).update(one.environments)
        return tuple(
            replace(one, environments=tuple(sorted(where)))
            for one, where in sorted(merged.items(), key=lambda pair: pair[0].sort_key())
        )
