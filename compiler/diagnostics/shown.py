"""Findings and denials in the one shape that every renderer prints, and how many there are of each.

Used by the renderers beside this file. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from compiler.diagnostics.model import Diagnostic, Label, Severity
from compiler.source import Span


class Denied(Protocol):
    """What a policy's denial has (`compiler.ports.Denial`); that module stands above this one."""

    @property
    def rule(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def span(self) -> Span: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def help(self) -> str: ...
    @property
    def references(self) -> tuple[str, ...]: ...
    @property
    def broken(self) -> bool: ...
    @property
    def environments(self) -> tuple[str, ...]: ...


Finding: TypeAlias = Diagnostic | Denied

Weight: TypeAlias = Literal["error", "denied", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One finding as it is printed."""

    weight: Weight
    name: str
    message: str
    span: Span
    label: str = ""
    related: tuple[Label, ...] = ()
    note: str = ""
    help: str = ""
    environments: tuple[str, ...] = ()
    confidential: Span | None = None
    """No line of it is shown."""
    resource: str = ""
    """Denials only: id of what was judged."""
    references: tuple[str, ...] = ()
    """Denials only: what the rule follows from."""


def shown(findings: Iterable[Finding]) -> list[Shown]:
    """Every finding, sorted by place, then name, then message."""
    return sorted((_show(one) for one in findings), key=lambda one: (one.span, one.name, one.message))


def _show(one: Finding) -> Shown:
    if isinstance(one, Diagnostic):
        return Shown(
            weight="error" if one.severity is Severity.ERROR else "warning",
            name=one.name,
            message=one.message,
            span=one.span,
            label=one.label,
            related=one.related,
            note=one.note,
            help=one.help,
            environments=one.environments,
            confidential=one.confidential,
        )
    return Shown(
        weight="denied" if one.severity is Severity.ERROR else "warning",
        name=one.rule,
        message=one.message,
        span=one.span,
        note="the rule itself failed, and a rule that cannot be asked counts as a denial" if one.broken else "",
        help=one.help,
        environments=one.environments,
        resource=one.resource,
        references=one.references,
    )


def count(findings: Iterable[Finding]) -> Counter[Weight]:
    """How many there are of each weight."""
    return Counter(_show(one).weight for one in findings)


def summary(findings: Iterable[Finding], *, files: int) -> str:
    """The closing line, such as `2 errors, 1 warning in 14 files`."""
    counts = count(findings)
    words: tuple[tuple[Weight, str], ...] = (("error", "error"), ("denied", "denial"), ("warning", "warning"))
    parts = [_plural(counts[weight], word) for weight, word in words if counts[weight]]
    return f"{', '.join(parts) or 'no findings'} in {_plural(files, 'file')}"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
