"""`llmops destroy`: stop what runs in an environment."""

from __future__ import annotations

import sys

import click

from llmops.apply.deployments import note_deployed
from llmops.apply.lock import exclusive
from llmops.apply.site import open_site
from llmops.apply.workers import LocalWorkers
from llmops.cli.console import say
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import environment_option, lock_timeout_option, workspace, yes_option


@click.command()
@environment_option
@lock_timeout_option
@yes_option
@click.pass_context
def command(
    ctx: click.Context,
    environment: str,
    lock_timeout: float,
    yes: bool,  # noqa: ARG001  # only targets beside `local` ask, and this version has none
) -> None:
    """Stop every service of an environment. Artifacts, evidence and the journal stay.

    \b
    Example:
      llmops -C examples/quickstart destroy --env local
    """
    project = workspace(ctx)
    compilation = project.compile(environment)
    if environment not in compilation.environments:
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    with (
        open_site(project, compilation.environments[environment]) as site,
        exclusive(site.folder / "lock", timeout_seconds=lock_timeout),
    ):
        workers = LocalWorkers.of(site)
        pairs = site.live_pairs()
        for name, pair in pairs.items():
            workers.stop(pair)
            say(f"stopped service `{name}`")
        for step in site.journal.live():
            site.journal.forget_live(step)
        note_deployed(site, ())
        for role in workers.end_leftovers({}):
            say(f"ended {role}")
        if not pairs:
            say(f"nothing runs in `{environment}`")
