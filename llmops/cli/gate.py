"""`llmops gate`: run what gates need, and decide them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.base_version import MARK
from compiler.diagnostics.suggestions import did_you_mean
from compiler.plan import Decide, Plan, step_id
from llmops.apply.executor import Executor
from llmops.apply.integrity import verify_stored
from llmops.apply.judge import open_judge
from llmops.apply.lock import exclusive
from llmops.apply.planning import make_plan, refuse_denied
from llmops.apply.progress import open_display
from llmops.apply.site import open_site
from llmops.apply.tombstones import honour
from llmops.apply.workers import LocalWorkers
from llmops.cli.apply import finish
from llmops.cli.console import say, tell
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import against_option, environment_option, lock_timeout_option, workspace
from llmops.cli.outcome_text import outcome_text
from llmops.cli.plan_text import plan_text
from llmops.errors import OperationFailed
from llmops.io.files import write_atomically
from llmops.judging import compile_judged
from llmops.report.gather import write_report
from llmops_spec.digests import canonical


@click.group()
def command() -> None:
    """Is it good enough? Run what gates depend on, and decide them."""


@command.command()
@click.argument("gates", nargs=-1, metavar="[GATE]...")
@environment_option
@against_option
@lock_timeout_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write one verdict file per gate here.")
@click.pass_context
def run(  # click's
    ctx: click.Context,
    gates: tuple[str, ...],
    environment: str,
    against: str | None,
    lock_timeout: float,
    out: Path | None,
) -> None:
    """Run data checks, training and evaluation as far as gates need them, then decide. Rolls nothing out.

    With --against, a gate that the change alters is also decided as that revision has it, and both must pass.
    What policies deny is refused before the first step, with exit code 5.

    \b
    Example:
      llmops -C examples/quickstart gate run --env local
      llmops gate run support-quality --env local --against origin/main --out verdicts
    """
    project = workspace(ctx)
    judged = compile_judged(project, environment, against)
    compilation = judged.compilation
    if not compilation.sound:
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    with (
        open_site(judged.project, compilation.environments[environment], base=judged.base) as site,
        exclusive(site.folder / "lock", timeout_seconds=lock_timeout),
    ):
        plan = _only(make_plan(site, compilation), gates)
        say(plan_text(plan))
        refuse_denied(plan)
        workers = LocalWorkers.of(site)
        workers.end_leftovers(site.live_pairs())
        judge = open_judge(site, tell)
        honour(site.store, site.journal, judge.trust, tell, under=plan.digest())
        verified = verify_stored(site, [one.step for one in plan.steps], judge.trust)
        with open_display() as display:
            executor = Executor(site=site, workers=workers, judge=judge, display=display, verified=verified)
        outcome = executor.run(plan, acting=False)
        for gate, verdict in outcome.verdicts.items() if out else ():
            write_atomically(Path(str(out)) / f"{gate}.json", canonical({"gate": gate, **verdict.to_json()}) + b"\n")
        say()
        say(outcome_text(site, outcome, write_report(site, plan, outcome)))
        sys.exit(finish(outcome))


def _only(plan: Plan, gates: tuple[str, ...]) -> Plan:
    """The part of a plan that the named gates depend on; all of its gates without names."""
    steps = {step_id(one.step): one for one in plan.steps}
    known = [one.step.name for one in plan.steps if isinstance(one.step, Decide)]
    unknown = next((gate for gate in gates if gate not in known), None)
    if unknown is not None:
        raise OperationFailed(f"there is no gate `{unknown}`", help=did_you_mean(unknown, known))
    wanted: set[str] = set()
    asked = {name for gate in gates or known for name in (f"decide/{gate}", f"decide/{gate}{MARK}")}
    waiting = [name for name in steps if name in asked]
    while waiting:
        here = waiting.pop()
        if here not in wanted:
            wanted.add(here)
            waiting += steps[here].step.needs
    return plan.model_copy(update={"steps": [one for name, one in steps.items() if name in wanted], "removals": []})
