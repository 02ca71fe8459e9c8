"""`llmops plan`: show what would run, and why."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.plan import Plan
from llmops.apply.planning import make_plan, write_plan
from llmops.apply.site import open_site
from llmops.cli.console import say, say_json, tell
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import against_option, environment_option, format_option, workspace
from llmops.cli.plan_text import changes_text, plan_text
from llmops.errors import Exit, worst
from llmops.judging import compile_judged


@click.command()
@environment_option
@against_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan, for `llmops apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 where there is something to do.")
@format_option("text", "json", "markdown")
@click.pass_context
def command(
    ctx: click.Context, environment: str, against: str | None, out: Path | None, detailed_exitcode: bool, format_: str
) -> None:
    """Show what `apply` would do: each step, whether its result is there already, and why not.

    With --against it also says what the change alters, and which gates of that revision judge it too.

    \b
    Example:
      llmops -C examples/quickstart plan --env local
      llmops plan --env local --out plan.json && llmops apply plan.json
    """
    project = workspace(ctx)
    judged = compile_judged(project, environment, against)
    compilation = judged.compilation
    if not compilation.sound:
        print_findings(project, compilation, "json" if format_ == "json" else "text")
        sys.exit(findings_exit(compilation))
    compiled = compilation.environments[environment]
    with open_site(judged.project, compiled, base=judged.base) as site:
        plan = make_plan(site, compilation)
    changes = judged.changes
    if format_ == "json":
        body = {"digest": plan.digest(), "plan": plan.model_dump(by_alias=True, mode="json")}
        say_json(body if changes is None else {**body, "changes": changes.to_json()})
    else:
        markdown = format_ == "markdown"
        say(plan_text(plan, markdown=markdown))
        if changes is not None:
            say()
            say(changes_text(changes, markdown=markdown))
    if out is not None:
        write_plan(out, plan)
        tell(f"plan saved to {out}; apply exactly this one with `llmops apply {out}`")
    sys.exit(worst(_codes(plan, detailed=detailed_exitcode)))


def _codes(plan: Plan, *, detailed: bool) -> list[Exit]:
    codes = [Exit.POLICY_FAILED] if plan.denied else []
    return [*codes, Exit.CHANGES] if detailed and (plan.changes or plan.removals) else codes
