"""Options that several commands share, and the workspace that they open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from llmops.workspace import Workspace, open_workspace

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

environment_option: Decorator = click.option(
    "--env", "environment", required=True, metavar="ENV", help="Name of the environment."
)
some_environment_option: Decorator = click.option("--env", "environment", metavar="ENV", help="Only this environment.")
lock_timeout_option: Decorator = click.option(
    "--lock-timeout",
    default="0s",
    metavar="TIME",
    show_default=True,
    help="How long to wait for another llmops that changes this environment, such as 10m.",
)
yes_option: Decorator = click.option("--yes", is_flag=True, help="Do not ask.")


def format_option(*formats: str) -> Decorator:
    """`--format`, the first being the default."""
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True)


def workspace(ctx: click.Context) -> Workspace:
    """The project that `-C`, or the working directory, names."""
    directory: Path | None = ctx.obj
    return open_workspace(directory)


def seconds(text: str) -> float:
    """`90`, `90s`, `10m` or `1h` in seconds.

    Raises:
        click.BadParameter: anything else.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e7:
        raise click.BadParameter(f"`{text}` is not a time such as 90s, 10m or 1h")
    return value * unit
