"""From a sound compilation and what is there to a plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from compiler.base_version import MARK
from compiler.pipeline import Compilation, CompiledEnvironment, plan_steps
from compiler.plan import (
    PLAN_FORMAT,
    Action,
    ArtifactStep,
    Basis,
    Decide,
    Observed,
    Plan,
    PlannedStep,
    PolicyFinding,
    RollOut,
    Step,
    plan_digest,
    step_id,
)
from llmops.apply.integrity import tampered
from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops_spec.digests import canonical, digest
from llmops_spec.formats import refuse_newer
from llmops_spec.service import Service
from llmops_spec.store import StoreCorrupt, load_manifest, make_ref, read_output
from policies.gates.results import refuse_newer_verdict

VERDICT_FILE = "verdict.json"
"""Output of a decision."""


def make_plan(site: Site, compilation: Compilation, *, under: str = "") -> Plan:
    """The plan of a sound environment as things are now.

    `under` is the digest of a plan whose own progress does not count as movement.
    """
    compiled = compilation.environments[site.environment]
    assert compiled.lowered is not None  # callers ask only after `Compilation.sound`
    steps = compiled.lowered.steps
    planned = [_with_verdict(site, one) for one in plan_steps(compiled, observe(site, steps))]
    return Plan(
        project=compiled.graph.project.metadata.name,
        environment=site.environment,
        target=compiled.backend.target,
        base=site.base,
        steps=planned,
        removals=_removals(site, steps),
        policies=_policy_findings(compilation, compiled),
        notes=[*compiled.lowered.notes, *_dropped(site, compiled, steps), *_stops(planned)],
        basis=_basis(site, compilation, steps, under),
    )


def _with_verdict(site: Site, planned: PlannedStep) -> PlannedStep:
    """A stored decision says what it was: one that blocks stops the next `apply`, though there is nothing to run."""
    if planned.action is not Action.CACHED or not isinstance(planned.step, Decide):
        return planned
    try:
        stored = read_output(site.store, make_ref(planned.step.key, VERDICT_FILE))
        refuse_newer_verdict(stored, planned.step.name)
        verdict = json.loads(stored)
        said = f"decided: {verdict['verdict']}" + (_STOPS if verdict["blocks"] else "")
    except (FileNotFoundError, StoreCorrupt, ValueError, KeyError):
        return planned  # `apply` says what is wrong with it
    return planned.model_copy(update={"reason": said})


_STOPS: Final = ", which stops a release"


def _stops(planned: Sequence[PlannedStep]) -> list[str]:
    """Where `apply` ends, though the plan lists what would come after it."""
    stopping = {step_id(one.step) for one in planned if one.reason.endswith(_STOPS)}
    return [
        f"`apply` stops before {step_id(one.step)}: {', '.join(decided)} is decided, and stops it"
        for one in planned
        if isinstance(one.step, RollOut) and one.action is Action.RUN
        if (decided := [name for name in one.step.gates if name in stopping])
    ]


def _dropped(site: Site, compiled: CompiledEnvironment, steps: Sequence[Step]) -> list[str]:
    """Gates that a roll-out needs by the base revision alone, because the service no longer names them."""
    services = {node.name: service for node, service in compiled.graph.of(Service)}
    return [
        f"service `{step.name}` no longer names gate `{gate}`, which base revision {site.base[:12]} requires"
        for step in steps
        if isinstance(step, RollOut) and step.name in services
        for gate in sorted({one.removeprefix("decide/").removesuffix(MARK) for one in step.gates})
        if gate not in services[step.name].spec.gates
    ]


def observe(site: Site, steps: Sequence[Step]) -> Observed:
    """What the store has and what is live and healthy.

    Raises:
        OperationFailed: with exit code 7, where a stored result cannot be read.
    """
    stored = frozenset(step.key for step in steps if isinstance(step, ArtifactStep) and _is_stored(site, step))
    dead = {f"roll-out/{name}" for name, pair in site.live_pairs().items() if not pair.is_healthy()}
    live = {step: revision for step, (revision, _) in site.journal.live().items() if step not in dead}
    return Observed(
        stored=stored,
        live=live,
        previous=site.journal.previous(),
        made=frozenset(entry.identity for entry in site.journal.entries() if entry.event == "done"),
    )


def _is_stored(site: Site, step: ArtifactStep) -> bool:
    try:
        return load_manifest(site.store, step.key) is not None
    except StoreCorrupt as error:
        raise tampered(step, str(error)) from error


def _removals(site: Site, steps: Sequence[Step]) -> list[str]:
    wanted = {step.name for step in steps if isinstance(step, RollOut)}
    return sorted(name for name in site.live_pairs() if name not in wanted)


def _policy_findings(compilation: Compilation, compiled: CompiledEnvironment) -> list[PolicyFinding]:
    return [
        PolicyFinding(
            rule=one.rule,
            resource=one.resource,
            message=one.message,
            place=str(one.span),
            blocks=one.severity == "error",
        )
        for one in compilation.denials
        if not one.environments or compiled.name in one.environments
    ]


def _basis(site: Site, compilation: Compilation, steps: Sequence[Step], under: str) -> Basis:
    facts = [step.model_dump(by_alias=True, mode="json") for step in sorted(steps, key=step_id)]
    decisions = {step.key: site.journal.results().get(step.key, "") for step in steps if isinstance(step, Decide)}
    done_under = {entry.identity for entry in site.journal.entries() if entry.plan == under} if under else set[str]()
    return Basis(
        spec=digest(facts),
        policies=digest([[one.rule, one.resource, one.message] for one in compilation.denials]),
        state=site.journal.state_digest(without=under),
        evidence=digest({key: "" if key in done_under else found for key, found in decisions.items()}),
    )


def write_plan(path: Path, plan: Plan) -> None:
    """Save a plan as canonical JSON with its digest, to be applied later as it was reviewed."""
    from llmops.io.files import write_atomically

    body = plan.model_dump(by_alias=True, mode="json")
    write_atomically(path, canonical({"plan": body, "digest": plan.digest(), "bytes": digest(body)}) + b"\n")


def read_plan(path: Path) -> Plan:
    """A saved plan, exactly as it was written.

    Raises:
        OperationFailed: it cannot be read, or was edited.
        NewerFormat: a newer llmops wrote it.
    """

    try:
        saved = json.loads(path.read_bytes())
        body = saved["plan"]
        refuse_newer(body["formatVersion"], PLAN_FORMAT, f"`{path}`")
        plan = Plan.model_validate_json(canonical(body))
        edited = saved["bytes"] != digest(body) or saved["digest"] != plan_digest(body)
    except OSError as error:
        raise OperationFailed(f"the plan `{path}` cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise OperationFailed(
            f"`{path}` is not a saved plan", help="make one with `llmops plan --out`", exit_code=Exit.TAMPERED
        ) from error
    if edited:
        raise OperationFailed(
            f"the plan `{path}` was edited after it was made",
            help="plan again, and review that plan",
            exit_code=Exit.TAMPERED,
        )
    return plan


def refuse_denied(plan: Plan) -> None:
    """Refuse a plan that policies deny, or that gates of the base cannot judge, before its first step.

    Raises:
        OperationFailed: with exit code 5; the plan's findings say why.
    """
    if not plan.denied:
        return
    rules = ", ".join(sorted({one.rule for one in plan.policies if one.blocks}))
    raise OperationFailed(
        f"policies deny this plan, and nothing ran: {rules}",
        help="`llmops explain RULE` has the page of each",
        exit_code=Exit.POLICY_FAILED,
    )


def refuse_moved(saved: Plan, now: Plan) -> None:
    """Refuse a saved plan when what it was made from has moved.

    Raises:
        OperationFailed: names what moved.
    """
    moved = [name for name in Basis.model_fields if getattr(saved.basis, name) != getattr(now.basis, name)]
    if saved.environment != now.environment or saved.project != now.project:
        moved.append("environment")
    if saved.base != now.base:
        moved.append("base")
    if not moved and saved.digest() == now.digest():
        return
    raise OperationFailed(
        f"the saved plan no longer fits: {', '.join(_MOVED.get(one, one) for one in moved) or 'its steps'} moved since",
        help=f"plan again with `llmops plan --env {saved.environment} --out …`, and review that plan",
        exit_code=Exit.TAMPERED,
    )


_MOVED = {
    "spec": "the spec or a file that it names",
    "policies": "the policy findings",
    "state": "what is deployed",
    "evidence": "the evidence",
    "base": "the base revision",
}
