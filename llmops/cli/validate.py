"""`llmops validate`: check the spec for every environment."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from llmops.cli.console import say
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import format_option, some_environment_option, workspace


@click.command()
@some_environment_option
@format_option("text", "json")
@click.pass_context
def command(ctx: click.Context, environment: str | None, format_: str) -> None:
    """Check the spec: load, parse, resolve, check, lower and govern. No network, no secrets, seconds.

    \b
    Example:
      llmops -C examples/quickstart validate
    """
    project = workspace(ctx)
    compilation = project.compile(environment)
    if environment is None and compilation.sound:
        stale = project.stale_pipelines(compilation)
        compilation = replace(compilation, findings=(*compilation.findings, *stale))
    print_findings(project, compilation, format_)
    code = findings_exit(compilation)
    if code == 0 and format_ == "text":
        names = ", ".join(compilation.environments)
        say(f"ok: {len(compilation.files)} files are sound for {names}")
    sys.exit(code)
