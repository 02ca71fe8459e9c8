"""`llmops keys`: make the signing key and the trust file."""

from __future__ import annotations

import click

from llmops.apply.trust import make_keys
from llmops.cli.console import say


@click.group()
def command() -> None:
    """The signing key and the trust file of this user; both lie outside of any repository."""


@command.command()
def init() -> None:
    """Make a signing key and the trust file that lists it. Refuses where there is one.

    \b
    Example:
      llmops keys init
    """
    say(f"trust file: {make_keys()}")
