"""`llmops status`: show what runs."""

from __future__ import annotations

import sys

import click

from llmops.apply.servers import LivePair
from llmops.apply.site import open_site
from llmops.cli.console import say, say_json, style, table
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import environment_option, format_option, workspace
from llmops_spec.digests import Json


@click.command()
@environment_option
@format_option("text", "json")
@click.pass_context
def command(ctx: click.Context, environment: str, format_: str) -> None:
    """Show the services of an environment: where they answer, which model, since which processes.

    \b
    Example:
      llmops -C examples/quickstart status --env local
    """
    project = workspace(ctx)
    compilation = project.compile(environment)
    if environment not in compilation.environments:
        print_findings(project, compilation, format_)
        sys.exit(findings_exit(compilation))
    with open_site(project, compilation.environments[environment]) as site:
        pairs = {name: (pair, pair.is_healthy()) for name, pair in site.live_pairs().items()}
    if format_ == "json":
        say_json({name: _facts(pair, healthy=ok) for name, (pair, ok) in pairs.items()})
    elif not pairs:
        say(f"nothing runs in `{environment}`; `llmops apply --env {environment}` starts it")
    else:
        rows = [_row(name, pair, healthy=ok) for name, (pair, ok) in pairs.items()]
        say(table(rows, heads=("Service", "", "Address", "Model", "Processes")))


def _facts(pair: LivePair, *, healthy: bool) -> dict[str, Json]:
    return {
        "healthy": healthy,
        "url": pair.url,
        "model": pair.model_name,
        "processes": [pair.engine_pid, pair.gateway_pid],
    }


def _row(name: str, pair: LivePair, *, healthy: bool) -> list[str]:
    word = style("healthy", "green") if healthy else style("down", "red")
    return [name, word, pair.url, pair.model_name, f"{pair.engine_pid}, {pair.gateway_pid}"]
