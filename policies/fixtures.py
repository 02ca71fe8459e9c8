"""Try a pack on its own examples: what `llmops policy test` runs.

A passing example must be allowed, a failing one denied by the rule's own answer, and an error example must break
the rule. Documents of passing and failing examples are typed and get their defaults, as in a project: so a rule
that misspells a field is caught here, which CEL alone does not see in documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from compiler.source import Span
from llmops_spec.digests import Json
from llmops_spec.kinds import KINDS
from policies.bindings import document_of, no_relations, plain
from policies.engine import answer
from policies.expressions import Bound, Broken
from policies.rules import Fixture, FixtureGroup, Pack, Rule

Said: TypeAlias = Literal["allowed", "denied", "broken", "unusable"]

_WANTED: Mapping[FixtureGroup, Said] = {"pass": "allowed", "fail": "denied", "error": "broken"}

_ENVIRONMENT: Json = {
    "kind": "Environment",
    "metadata": {"name": "desk"},
    "spec": {"target": {"local": {}}, "tier": "development"},
}


@dataclass(frozen=True, kw_only=True)
class FixtureResult:
    """What one example showed."""

    rule: str
    group: FixtureGroup
    wanted: Said
    said: Said
    detail: str
    """Why the rule broke, or why the example cannot be used."""
    span: Span

    @property
    def holds(self) -> bool:
        return self.said == self.wanted


def test_pack(pack: Pack, fixtures: Mapping[str, tuple[Fixture, ...]]) -> tuple[FixtureResult, ...]:
    """Try every example of every rule, in the order of the pack. `fixtures`: by the id of a rule."""
    return tuple(_tried(rule, fixture) for rule in pack.rules for fixture in fixtures[rule.id])


test_pack.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest's, though named like one


def _tried(rule: Rule, fixture: Fixture) -> FixtureResult:
    said, detail = _said(rule, fixture)
    return FixtureResult(
        rule=rule.id, group=fixture.group, wanted=_WANTED[fixture.group], said=said, detail=detail, span=fixture.span
    )


def _said(rule: Rule, fixture: Fixture) -> tuple[Said, str]:
    try:
        bindings = _bindings(rule, fixture)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return "unusable", f"`{'.'.join(str(part) for part in first['loc'])}`: {first['msg']}"
    except KeyError as error:
        return "unusable", f"there is no kind {error}"
    found = answer(rule, Bound(bindings))
    if isinstance(found, Broken):
        return "broken", found.why
    return ("allowed", "") if found else ("denied", "")


def _bindings(rule: Rule, fixture: Fixture) -> dict[str, Json]:
    given: Mapping[str, Any] = plain(fixture.bindings)
    related: Mapping[str, Any] = given.get("related", {})
    if fixture.group == "error":
        documents = dict(given)
    else:
        documents = {name: _typed(value) for name, value in given.items() if name in ("resource", "environment")}
        documents |= {name: value for name, value in given.items() if name in ("object", "rendered")}
        related = {name: _typed_each(value) for name, value in related.items()}
    empty: dict[str, Json] = {"resource": {}, "environment": _typed(_ENVIRONMENT), "object": {}, "rendered": {}}
    defaults = no_relations(rule.kinds[0]) if len(rule.kinds) == 1 else {}
    return {**empty, **documents, "related": {**defaults, **related}}


def _typed_each(value: Json) -> Json:
    return [_typed(one) for one in value] if isinstance(value, list) else _typed(value)


def _typed(document: Any) -> Json:
    kind = KINDS[document.get("kind", "(none)")]
    return document_of(kind.model_validate(document, by_alias=True, by_name=False))
