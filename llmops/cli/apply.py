"""`llmops apply`: make an environment match its spec, through every gate."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.pipeline import Compilation
from compiler.plan import Plan, is_commit
from llmops.apply.executor import Executor, RunOutcome
from llmops.apply.integrity import verify_stored
from llmops.apply.judge import open_judge
from llmops.apply.lock import exclusive
from llmops.apply.planning import make_plan, read_plan, refuse_denied, refuse_moved
from llmops.apply.progress import open_display
from llmops.apply.site import Site, open_site
from llmops.apply.tombstones import honour
from llmops.apply.workers import LocalWorkers
from llmops.cli.console import print_failure, say, tell
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import against_option, lock_timeout_option, workspace, yes_option
from llmops.cli.outcome_text import outcome_text
from llmops.cli.plan_text import plan_text
from llmops.errors import Exit, OperationFailed
from llmops.judging import compile_judged
from llmops.report.gather import write_report


@click.command()
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--env", "environment", metavar="ENV", help="Name of the environment; a saved plan has its own.")
@against_option
@lock_timeout_option
@yes_option
@click.pass_context
def command(
    ctx: click.Context,
    saved: Path | None,
    environment: str | None,
    against: str | None,
    lock_timeout: float,
    yes: bool,  # noqa: ARG001  # only targets beside `local` ask, and this version has none
) -> None:
    """Make an environment match its spec: data, training, evaluation, gates, roll-out.

    Every step whose result is in the store is skipped. A gate that fails stops the release, and what serves goes on.

    \b
    Example:
      llmops -C examples/quickstart apply --env local
      llmops apply plan.json
    """
    project = workspace(ctx)
    reviewed = read_plan(saved) if saved is not None else None
    name = environment or (reviewed.environment if reviewed else None)
    if name is None:
        raise click.UsageError("name the environment with `--env ENV`, or give a saved plan", ctx)
    if reviewed is not None and name != reviewed.environment:
        raise click.UsageError(f"the plan is for environment `{reviewed.environment}`, and not for `{name}`", ctx)
    if reviewed is not None and against is not None:
        raise click.UsageError("a saved plan has its own base revision: leave `--against` out", ctx)
    if reviewed is not None and is_commit(reviewed.base):
        against = reviewed.base
    judged = compile_judged(project, name, against)
    compilation = judged.compilation
    if not compilation.sound:
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    with (
        open_site(judged.project, compilation.environments[name], base=judged.base) as site,
        exclusive(site.folder / "lock", timeout_seconds=lock_timeout),
    ):
        sys.exit(_apply(compilation, site, reviewed))


def _apply(compilation: Compilation, site: Site, reviewed: Plan | None) -> Exit:
    """Plan, refuse what is denied or has moved, run, report. Returns the exit code."""
    plan = make_plan(site, compilation, under=reviewed.digest() if reviewed else "")
    if reviewed is not None:
        refuse_moved(reviewed, plan)
    say(plan_text(plan))
    refuse_denied(plan)
    workers = LocalWorkers.of(site)
    for role in workers.end_leftovers(site.live_pairs()):
        tell(f"ended what a run that was cut off has left: {role}")
    outcome = _run(site, workers, plan)
    report = write_report(site, plan, outcome)
    say()
    say(outcome_text(site, outcome, report))
    return finish(outcome)


def _run(site: Site, workers: LocalWorkers, plan: Plan) -> RunOutcome:
    """Verify what is there, then carry the plan out. A refusal is an outcome too, so that the report says so."""
    judge = open_judge(site, tell)
    try:
        honour(site.store, site.journal, judge.trust, tell, under=plan.digest())
        verified = verify_stored(site, [one.step for one in plan.steps], judge.trust)
        workers.refuse_taken_ports(plan, site.live_pairs())
    except OperationFailed as error:
        return RunOutcome(failure=error)
    with open_display() as display:
        return Executor(site=site, workers=workers, judge=judge, display=display, verified=verified).run(plan)


def finish(outcome: RunOutcome) -> Exit:
    if outcome.failure is not None:
        print_failure(outcome.failure)
    return outcome.exit_code
