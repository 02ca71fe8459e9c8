"""Options that several commands share, and the workspace that they open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from llmops.workspace import Workspace, open_workspace

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Duration(click.ParamType):
    """`90`, `90s`, `10m` or `1h`, in seconds."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        units = {"s": 1.0, "m": 60.0, "h": 3600.0}
        number, unit = (value[:-1], units[value[-1]]) if value[-1:] in units else (value, 1.0)
        try:
            seconds = float(number) * unit
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < 1e7:
            self.fail(f"`{value}` is not a time such as 90s, 10m or 1h", param, ctx)
        return seconds


environment_option: Decorator = click.option(
    "--env", "environment", required=True, metavar="ENV", help="Name of the environment."
)
local_environment_option: Decorator = click.option(
    "--env", "environment", default="local", show_default=True, metavar="ENV", help="Name of the environment."
)
some_environment_option: Decorator = click.option("--env", "environment", metavar="ENV", help="Only this environment.")
lock_timeout_option: Decorator = click.option(
    "--lock-timeout",
    default="0s",
    type=_Duration(),
    metavar="TIME",
    show_default=True,
    help="How long to wait for another llmops that changes this environment, such as 10m.",
)
against_option: Decorator = click.option(
    "--against", metavar="REF", help="Gates of this Git revision must let the change pass too."
)
yes_option: Decorator = click.option(
    "--yes", is_flag=True, help="Do not ask, where a target would; `local` never asks."
)


def format_option(*formats: str) -> Decorator:
    """`--format`, the first being the default."""
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True)


def workspace(ctx: click.Context) -> Workspace:
    """The project that `-C`, or the working directory, names."""
    directory: Path | None = ctx.obj
    return open_workspace(directory)
