"""`llmops schema`: print the JSON Schema of spec documents."""

from __future__ import annotations

import click

from llmops.cli.console import say_json
from llmops_spec.schema import spec_schema


@click.command()
def command() -> None:
    """Print JSON Schema (draft 2020-12) for every kind, so that an editor completes by `kind`.

    \b
    Example:
      llmops schema > .llmops.schema.json
    """
    say_json(spec_schema())
