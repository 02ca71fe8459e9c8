"""`llmops evidence`: verify, show or discard what was stored and signed."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import click

from compiler.diagnostics.suggestions import did_you_mean
from compiler.plan import ArtifactStep, Decide, Plan, RollOut, Step, step_id
from llmops.apply.discarding import discard, downstream, undertaker
from llmops.apply.integrity import verify_stored
from llmops.apply.judge import DeskJudge, open_verifier
from llmops.apply.lock import exclusive
from llmops.apply.site import Site, open_site
from llmops.apply.tombstones import given_up
from llmops.cli.console import say, style
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import local_environment_option, workspace
from llmops.errors import Exit, OperationFailed, worst
from llmops_spec.store import load_manifest
from policies.evidence.envelope import opened


@click.group()
def command() -> None:
    """Signed decisions, and the stored results that they speak of."""


@command.command()
@local_environment_option
@click.pass_context
def verify(ctx: click.Context, environment: str) -> None:
    """Hold the store to the journal, recompute every verdict and verify its signatures. Changes nothing.

    Where the spec has moved on from what is live, that is named, and its own decisions are verified too.

    \b
    Example:
      llmops -C examples/quickstart evidence verify --env local
    """
    site_context, steps = _lowered(ctx, environment)
    codes: list[Exit] = []
    with site_context as site:
        judge = open_verifier(site)
        excused = given_up(site.store, site.journal, judge.trust)
        verify_stored(site, steps, judge.trust, excused=excused)
        codes += [_verify_decision(judge, step) for step in steps if isinstance(step, Decide)]
        for service, revision in _live(site).items():
            codes += _verify_live(judge, service, revision, steps, excused)
    sys.exit(worst(codes))


def _verify_live(
    judge: DeskJudge, service: str, revision: str, steps: Sequence[Step], excused: Collection[str]
) -> list[Exit]:
    """Name what serves. Where that is of an earlier spec, its results and decisions are verified."""
    if any(isinstance(step, RollOut) and (step.name, step.revision) == (service, revision) for step in steps):
        say(f"live: service `{service}` is what this spec says")
        return []
    earlier = _rolled_out(judge.site.journal.plans(), service, revision)
    if earlier is None:
        say(f"live: service `{service}` is not of this spec, and no plan in the journal made {revision[:12]}")
        return [Exit.TAMPERED]
    step, made = earlier
    say(f"live: service `{service}` is of an earlier spec: model `{step.engine.model_name}`, {revision[:12]}")
    verify_stored(judge.site, made, judge.trust, excused=excused)
    return [_verify_decision(judge, one) for one in made if isinstance(one, Decide)]


def _verify_decision(judge: DeskJudge, step: Decide) -> Exit:
    if load_manifest(judge.site.store, step.key) is None:
        say(f"{step_id(step)}: not decided yet")
        return Exit.CLEAN
    verdict = judge.vouch(step)
    word = "does not ship" if verdict.blocks else "verified"
    say(f"{step_id(step)}: {style(word, 'red' if verdict.blocks else 'green')}: {verdict.verdict}")
    return Exit.GATE_FAILED if verdict.blocks else Exit.CLEAN


def _live(site: Site) -> dict[str, str]:
    """Service to the revision that was rolled out last."""
    live = site.journal.live().items()
    return {step.removeprefix("roll-out/"): one for step, (one, _) in live if step.startswith("roll-out/")}


def _rolled_out(plans: Iterator[Plan], service: str, revision: str) -> tuple[RollOut, list[Step]] | None:
    """The step that brought a revision about, with what its plan made for it: the gates that let it pass included."""
    for plan in plans:
        steps = {step_id(one.step): one.step for one in plan.steps}
        step = steps.get(f"roll-out/{service}")
        if isinstance(step, RollOut) and step.revision == revision:
            return step, _needed_for(step, steps)
    return None


def _needed_for(step: Step, steps: Mapping[str, Step]) -> list[Step]:
    """Everything that a step was made from, however far back, in the order of the plan."""
    found: set[str] = set()
    waiting = list(step.needs)
    while waiting:
        name = waiting.pop()
        if name not in found and name in steps:
            found.add(name)
            waiting += steps[name].needs
    return [one for name, one in steps.items() if name in found]


@command.command()
@click.argument("gate")
@local_environment_option
@click.pass_context
def show(ctx: click.Context, gate: str, environment: str) -> None:
    """Print the signed statements of a gate's decision.

    \b
    Example:
      llmops evidence show support-quality --env local
    """
    site_context, steps = _lowered(ctx, environment)
    step = _named(steps, f"decide/{gate}")
    assert isinstance(step, Decide)
    with site_context as site:
        if load_manifest(site.store, step.key) is None:
            raise OperationFailed(
                f"gate `{gate}` is not decided yet", help=f"`llmops gate run {gate} --env {environment}`"
            )
        signed = open_verifier(site).signed(step)
    for data in (signed.test_result, signed.summary):
        envelope = opened(data)
        say(f"# signed by {envelope.signatures[0][0]}, envelope {envelope.digest}")
        say(json.dumps(json.loads(envelope.payload), indent=2))


@command.command("discard")
@click.argument("step")
@local_environment_option
@click.pass_context
def discard_step(ctx: click.Context, step: str, environment: str) -> None:
    """Give a stored result up, and what was made from it, so that the next run makes them again.

    Tombstones, in the journal and signed in the store, keep that apart from tampering.

    \b
    Example:
      llmops evidence discard evaluate/support-eval --env local
    """
    site_context, steps = _lowered(ctx, environment)
    found = _named(steps, step)
    with site_context as site, exclusive(site.folder / "lock"):
        signer = undertaker(site)
        for one in downstream(found, steps):
            discard(site, step_id(one), one.key, signer)
            say(f"discarded {step_id(one)}")
    say("the next run makes them again")


def _named(steps: tuple[Step, ...], wanted: str) -> Step:
    made = {step_id(step): step for step in steps if isinstance(step, ArtifactStep)}
    if wanted not in made:
        raise OperationFailed(f"there is no step `{wanted}` with a stored result", help=did_you_mean(wanted, made))
    return made[wanted]


def _lowered(ctx: click.Context, environment: str) -> tuple[AbstractContextManager[Site], tuple[Step, ...]]:
    """The site of an environment, still to be entered, and its steps. Ends the process where the spec is not sound."""
    project = workspace(ctx)
    compilation = project.compile(environment)
    compiled = compilation.environments.get(environment)
    if compiled is None or compiled.lowered is None:
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    return open_site(project, compiled), compiled.lowered.steps
