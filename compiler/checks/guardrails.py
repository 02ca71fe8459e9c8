"""Guardrails: every rail can be proved awake, and can do what it is asked to.

Reports `rail-without-canary`, `ineffective-canary`, `invalid-pattern`, `redact-without-correction`, `uncovered-route`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic.alias_generators import to_camel

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import (
    INEFFECTIVE_CANARY,
    INVALID_PATTERN,
    RAIL_WITHOUT_CANARY,
    REDACT_WITHOUT_CORRECTION,
    UNCOVERED_ROUTE,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from llmops_spec.guardrail import Guardrail, Rail
from llmops_spec.service import Service

RailPath = tuple[str | int, ...]


def _rails(graph: ResourceGraph) -> Iterator[tuple[ResourceNode, RailPath, Rail]]:
    for node, guardrail in graph.of(Guardrail):
        for side, rails in (("input", guardrail.spec.input), ("output", guardrail.spec.output)):
            for index, rail in enumerate(rails):
                yield node, ("spec", side, index), rail


def rails_have_canaries(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, path, rail in _rails(graph):
        missing = [key for key in ("canary", "benign") if getattr(rail, key) is None]
        if missing:
            validator, listed = to_camel(rail.validator), " and no ".join(f"`{one}`" for one in missing)
            yield RAIL_WITHOUT_CANARY.at(
                node.key_span(*path, validator),
                f"the rail `{validator}` of guardrail `{node.name}` has no {listed}",
                note="both texts are tried before the gateway takes requests; a rail that sleeps lets everything pass",
                help="add `canary`, a text that it must catch, and `benign`, a similar one that it must let through",
            )


def canaries_are_caught(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, path, rail in _rails(graph):
        catches = _catcher(rail)
        if catches is None:
            continue
        validator = to_camel(rail.validator)
        for key, text, wanted in (("canary", rail.canary, True), ("benign", rail.benign, False)):
            if text is None or catches(text) == wanted:
                continue
            yield INEFFECTIVE_CANARY.at(
                node.span(*path, key),
                f"`{validator}` {'lets this canary through' if wanted else 'catches this benign text'}",
                related=[Label(span=node.key_span(*path, validator), text="the rail")],
                note=_why(rail, text),
                help=f"change the text, or what the rail {'catches' if wanted else 'lets through'}",
            )


def _catcher(rail: Rail) -> Callable[[str], bool] | None:
    """What a validator that needs no library would say; None for one that runs only in the gateway."""
    if rail.max_length is not None:
        characters = rail.max_length.characters
        return lambda text: len(text) > characters
    if rail.deny_pattern is not None:
        compiled = [_compile(pattern)[0] for pattern in rail.deny_pattern.patterns]
        if None in compiled:
            return None
        return lambda text: any(pattern.search(text) for pattern in compiled)
    return None


def _why(rail: Rail, text: str) -> str:
    if rail.max_length is not None:
        return f"it has {len(text)} characters; texts of more than {rail.max_length.characters} are caught"
    return "a text is caught in which one of the patterns is found, whatever its case"


def patterns_compile(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, path, rail in _rails(graph):
        for index, pattern in enumerate(rail.deny_pattern.patterns if rail.deny_pattern else ()):
            reason = _compile(pattern)[1]
            if reason:
                yield INVALID_PATTERN.at(
                    node.span(*path, "denyPattern", "patterns", index),
                    f"the pattern `{pattern}` cannot be used: {reason}",
                    note="patterns are RE2's, which take linear time on any text",
                    help="RE2 has no look-around and no back-references; escape `( ) [ ] { } . * + ? \\` to mean them",
                )


def _compile(pattern: str) -> tuple[Any, str]:
    """The compiled pattern and an empty text, or None and why not. The same engine and options as the gateway's."""
    import re2  # a compiled library, needed only where there are patterns

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options), ""
    except re2.error as error:
        first = error.args[0] if error.args else "it is no regular expression"
        return None, first.decode(errors="replace") if isinstance(first, bytes) else str(first)


def redaction_is_possible(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, path, rail in _rails(graph):
        if rail.on_fail == "redact" and rail.deny_pattern is not None:
            yield REDACT_WITHOUT_CORRECTION.at(
                node.span(*path, "onFail"),
                "`denyPattern` makes no corrected text, so `redact` would refuse after all",
                related=[Label(span=node.key_span(*path, "denyPattern"), text="the validator")],
                help="write `onFail: refuse`; `personalData` and `maxLength` can redact",
            )


WITHOUT_RAILS = {
    "embeddings": "texts to embed are no messages",
    "rerank": "passages to rank are no messages",
}
"""Endpoints that rails do not see, and why."""


def rails_cover_every_route(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        guardrails = [one for name in service.spec.guardrails if (one := graph.get(Guardrail, name)) is not None]
        rails = [rail for one in guardrails for rail in (*one.spec.input, *one.spec.output)]
        if not rails or len(guardrails) < len(service.spec.guardrails):
            continue
        listed = Label(span=node.key_span("spec", "guardrails"), text="its rails")
        for index, endpoint in enumerate(service.spec.api.endpoints):
            if endpoint in WITHOUT_RAILS:
                yield UNCOVERED_ROUTE.at(
                    node.span("spec", "api", "endpoints", index),
                    f"requests to `{endpoint}` pass by the rails of service `{node.name}`",
                    related=[listed],
                    note=f"rails read messages and answers; {WITHOUT_RAILS[endpoint]}",
                    help="offer the endpoint in a service of its own, without guardrails",
                )
        if service.spec.api.tools and not any(rail.tool_calls for rail in rails):
            yield UNCOVERED_ROUTE.at(
                node.span("spec", "api", "tools"),
                f"tool calls pass by the rails of service `{node.name}`",
                related=[listed],
                note="what a model writes into a call's arguments, and what a tool returns, is text like any other",
                help="add `toolCalls: true` to the rails that must read them, or set `tools: false`",
            )


CHECKS = (
    GraphCheck(name="routes-covered", ask=rails_cover_every_route),
    GraphCheck(name="canaries", ask=rails_have_canaries),
    GraphCheck(name="canaries-caught", ask=canaries_are_caught),
    GraphCheck(name="deny-patterns", ask=patterns_compile),
    GraphCheck(name="redaction", ask=redaction_is_possible),
)
