"""Compare what is wanted with what is there, and say what will be done about each step.

Called by the command after `lower`, with what it observed of the store and of the live state. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.plan import (
    Action,
    ArtifactStep,
    Evaluate,
    Observed,
    PlannedStep,
    Provision,
    Record,
    RollOut,
    Step,
    Verify,
    identity,
    step_id,
)


def diff(steps: Sequence[Step], observed: Observed) -> list[PlannedStep]:
    """Each step with what it needs. Steps that act also run when something that they need runs."""
    planned: list[PlannedStep] = []
    running: set[str] = set()
    for step in steps:
        one = _planned(step, observed, running)
        if one.action is Action.RUN:
            running.add(step_id(step))
        planned.append(one)
    return planned


def _planned(step: Step, observed: Observed, running: set[str]) -> PlannedStep:
    if isinstance(step, Provision | RollOut | Verify | Record):
        live = observed.live.get(step_id(step))
        cause = next((need for need in step.needs if need in running and not need.startswith("decide/")), None)
        if live == step.revision and (cause is None or isinstance(step, Provision | RollOut)):
            return PlannedStep(step=step, action=Action.IN_PLACE, reason="live")
        return PlannedStep(step=step, action=Action.RUN, reason=_acting_reason(step, live, cause))
    if step.key in observed.stored:
        return PlannedStep(step=step, action=Action.CACHED, reason="in the store")
    return PlannedStep(step=step, action=Action.RUN, reason=_making_reason(step, observed))


def _making_reason(step: ArtifactStep, observed: Observed) -> str:
    if step.key in observed.made:
        return "the store has no result for it"
    if step_id(step) not in observed.previous:
        return "first time"
    return "what it measures changed" if isinstance(step, Evaluate) else "its inputs changed"


def _acting_reason(step: Step, live: str | None, cause: str | None) -> str:
    if live is None:
        return "nothing is live" if isinstance(step, Provision | RollOut) else "first time"
    return f"{cause} runs" if live == identity(step) else "what is live differs"
