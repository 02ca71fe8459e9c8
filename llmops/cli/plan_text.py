"""A plan as text, for the terminal and for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.plan import Action, Plan, PlannedStep, step_id
from llmops.cli.console import style, table
from llmops.comparison import Changes
from llmops.report.wording import base_words

_MARKS = {Action.RUN: ("run", "yellow"), Action.CACHED: ("cached", "green"), Action.IN_PLACE: ("in place", "green")}


def plan_text(plan: Plan, *, markdown: bool = False) -> str:
    """Steps with what is done about each and why, removals, policy findings, notes."""
    base = base_words(plan)
    parts = [_heading(plan, markdown=markdown), *([base] if base else []), _steps(plan, markdown=markdown)]
    parts += [f"remove service `{name}`: the spec no longer has it" for name in plan.removals]
    if plan.policies:
        parts.append(listed("Policies:", [_policy_line(one) for one in _policies(plan)], markdown=markdown))
    if plan.notes:
        parts.append(listed("Notes:", plan.notes, markdown=markdown))
    return "\n\n".join(parts)


def listed(head: str, lines: Sequence[str], *, markdown: bool) -> str:
    """A heading line with a line for each; in Markdown a list, since GitHub joins plain lines into one paragraph."""
    if markdown:
        return "\n".join([head, "", *(f"- {line}" for line in lines)])
    return "\n".join([head, *(f"  {line}" for line in lines)])


def changes_text(changes: Changes, *, markdown: bool = False) -> str:
    """What a change does to an environment, under the base revision that it is compared with."""
    lines, head = changes.lines(), f"Against {changes.base[:12]}:"
    return listed(head, lines, markdown=markdown) if lines else f"{head} no difference"


def summary(plan: Plan) -> str:
    """`3 steps to run, 9 cached, 4 in place`."""
    counts = {action: sum(one.action is action for one in plan.steps) for action in Action}
    if not counts[Action.RUN] and not plan.removals:
        return f"nothing to do: {counts[Action.CACHED]} steps are cached, {counts[Action.IN_PLACE]} in place"
    return f"{counts[Action.RUN]} to run, {counts[Action.CACHED]} cached, {counts[Action.IN_PLACE]} in place"


def _heading(plan: Plan, *, markdown: bool) -> str:
    text = f"Plan for environment `{plan.environment}` of `{plan.project}` (target {plan.target}): {summary(plan)}"
    return f"### {text}" if markdown else text


def _steps(plan: Plan, *, markdown: bool) -> str:
    if markdown:
        rows = [f"| {step_id(one.step)} | {_MARKS[one.action][0]} | {one.reason} |" for one in plan.steps]
        return "\n".join(["| step | | why |", "|---|---|---|", *rows])
    return table([_row(one) for one in plan.steps])


def _row(one: PlannedStep) -> list[str]:
    word, colour = _MARKS[one.action]
    return [f"  {style(word, colour)}", step_id(one.step), one.reason]


def _policies(plan: Plan) -> list[tuple[str, str, str, str]]:
    return [("denied" if one.blocks else "warning", one.rule, one.place, one.message) for one in plan.policies]


def _policy_line(finding: tuple[str, str, str, str]) -> str:
    weight, rule, place, message = finding
    return f"{style(weight, 'red' if weight == 'denied' else 'yellow')}[{rule}] {place}: {message}"
