"""Options that several commands share, and the workspace that they open."""

from __future__ import annotations

from pathlib import Path

import click

from llmops.workspace import Workspace, open_workspace

environment_option = click.option("--env", "environment", required=True, metavar="ENV", help="Name of the environment.")
some_environment_option = click.option("--env", "environment", metavar="ENV", help="Only this environment.")


def format_option(*formats: str) -> click.decorators.FC:
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True)  # pyright: ignore[reportReturnType]


def workspace(ctx: click.Context) -> Workspace:
    """The project that `-C`, or the working directory, names."""
    directory: Path | None = ctx.obj
    return open_workspace(directory)
