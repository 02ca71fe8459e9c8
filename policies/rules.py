"""What a policy pack holds: rules, and the examples that they are tried on. Plain data, made by the readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from compiler.source import Span
from llmops_spec.digests import Json, digest
from policies.expressions import Expression

RuleSeverity: TypeAlias = Literal["critical", "high", "medium", "low"]
FixtureGroup: TypeAlias = Literal["pass", "fail", "error"]

GROUPS: Final[tuple[FixtureGroup, ...]] = ("pass", "fail", "error")
ANY_OBJECT: Final = "*"


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """An input and what the rule must say to it."""

    group: FixtureGroup
    """`error`: the rule itself breaks on it, and must therefore deny."""
    bindings: Mapping[str, Json]
    """What is given, by variable; the rest is filled in."""
    span: Span


@dataclass(frozen=True, kw_only=True)
class Rule:
    id: str
    title: str
    severity: RuleSeverity
    kinds: tuple[str, ...]
    """Kinds of the spec that it judges; empty for a rule about rendered objects."""
    objects: tuple[str, ...]
    """Kinds of rendered objects that it judges; `*` means each of them."""
    when: Expression | None
    """It judges only where this holds."""
    expression: Expression
    """True: allowed."""
    paths: tuple[tuple[str | int, ...], ...]
    """Where a finding stands: the first of these that is written."""
    message: str
    help: str
    references: tuple[str, ...]
    span: Span

    @property
    def variables(self) -> frozenset[str]:
        return self.expression.variables | (self.when.variables if self.when else frozenset())

    def deciding(self) -> dict[str, Json]:
        """What can change an answer. Wording and comments cannot."""
        return {
            "id": self.id,
            "severity": self.severity,
            "kinds": self.kinds,
            "objects": self.objects,
            "when": self.when.text if self.when else None,
            "expression": self.expression.text,
        }


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The rules of one file."""

    name: str
    rules: tuple[Rule, ...]

    def digest(self) -> str:
        return digest([rule.deciding() for rule in sorted(self.rules, key=lambda one: one.id)])
