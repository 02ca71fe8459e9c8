"""`llmops why`: where a value was written, or why a step runs again."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from compiler.diagnostics.suggestions import did_you_mean, nearest
from compiler.graph import ResourceGraph, ResourceNode
from compiler.plan import Plan, Step, identity, step_id
from compiler.source import LocatedMapping, LocatedSequence, child
from compiler.spec_fields import fields_at
from llmops.apply.planning import make_plan
from llmops.apply.site import open_site
from llmops.cli.console import say
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import workspace
from llmops.errors import Exit, OperationFailed
from llmops_spec.kinds import KINDS


@click.command()
@click.argument("what", metavar="RESOURCE[.FIELD] | STEP")
@click.option("--env", "environment", default="local", show_default=True, metavar="ENV")
@click.pass_context
def command(ctx: click.Context, what: str, environment: str) -> None:
    """Tell which file set a value, or which digest makes a step run again.

    \b
    Example:
      llmops why training/support-tune.spec.hyperParameters.learningRate
      llmops why train/support-tune
    """
    project = workspace(ctx)
    compilation = project.compile(environment)
    if environment not in compilation.environments:
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    compiled = compilation.environments[environment]
    resource, _, field = what.partition(".")
    node = next((one for one in compiled.graph.nodes.values() if one.id == resource), None)
    if node is not None:
        say(_why_value(node, field))
        return
    if compiled.lowered is None:
        print_findings(project, compilation, "text")
        sys.exit(Exit.FINDINGS)
    with open_site(project, compiled) as site:
        planned = {step_id(one.step): one for one in make_plan(site, compilation).steps}
        if what not in planned:
            known = [*planned, *_ids(compiled.graph)]
            listed = f"`llmops plan --env {environment}` lists the steps; a resource is written `kind/name`"
            help_ = did_you_mean(what, known) if nearest(what, known) else listed
            raise OperationFailed(f"there is no resource and no step `{what}`", help=help_)
        one = planned[what]
        say(f"{what}: {one.action.value} ({one.reason})")
        for line in _why_step(one.step, _earlier_step(site.journal.plans(), one.step)):
            say(f"  {line}")


def _ids(graph: ResourceGraph) -> list[str]:
    return [str(one) for one in graph.nodes]


def _why_value(node: ResourceNode, field: str) -> str:
    """Where a field was written; an overlay's place is the overlay's file."""
    if not field:
        return f"{node.id} is defined at {node.span()}"
    path = tuple(int(part) if part.isdigit() else part for part in field.split("."))
    here: object = node.document
    for depth, part in enumerate(path):
        found = child(here, part)
        if found is None:
            _refuse_unknown_field(node, path[: depth + 1])
            return f"{node.id}.{field} is not written; it has its default (`llmops schema` says which)"
        here = found[0]
    shown = "…" if isinstance(here, LocatedMapping | LocatedSequence) else f"`{here}`"
    return f"{node.id}.{field} is {shown}, set at {node.span(*path)}"


def _refuse_unknown_field(node: ResourceNode, path: tuple[str | int, ...]) -> None:
    """Raises: OperationFailed: the kind has no such field."""
    known = [*fields_at(KINDS[node.kind], path[:-1])]
    if known and path[-1] not in known and not isinstance(path[-1], int):
        help_ = (
            did_you_mean(str(path[-1]), known)
            if len(path) > 1
            else "fields of a resource begin with `spec.` or `metadata.`"
        )
        raise OperationFailed(f"`{node.kind}` has no field `{'.'.join(map(str, path))}`", help=help_)


def _earlier_step(plans: Iterator[Plan], wanted: Step) -> Step | None:
    """The step as it was in the latest plan in which its identity was another one."""
    every = (one.step for plan in plans for one in plan.steps if step_id(one.step) == step_id(wanted))
    return next((step for step in every if identity(step) != identity(wanted)), None)


def _why_step(step: Step, before: Step | None) -> Iterator[str]:
    if before is None:
        yield "no earlier plan had it otherwise"
        return
    old, new = (dict(_leaves(one.model_dump(by_alias=True, mode="json"))) for one in (before, step))
    for place in sorted({*old, *new}):
        if old.get(place) != new.get(place) and place != "needs":
            yield f"{place}: {_shown(old.get(place))} -> {_shown(new.get(place))}"


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves(inner, f"{place}.{key}" if place else str(key))
        case list():
            for index, inner in enumerate(value):
                yield from _leaves(inner, f"{place}[{index}]")
        case _:
            yield place, value


_SHOWN_CHARACTERS = 60


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return f"{text[:_SHOWN_CHARACTERS]}…" if len(text) > _SHOWN_CHARACTERS else text
