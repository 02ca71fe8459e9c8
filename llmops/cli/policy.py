"""`llmops policy`: test the policy rules on their fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from llmops.cli.console import say, style
from llmops.discovery import policy_packs
from llmops.errors import Exit, OperationFailed
from policies.fixtures import test_pack as run_fixtures
from policies.pack_reader import PackInvalid, load_pack


@click.group()
def command() -> None:
    """The rules that say what may ship."""


@command.command()
@click.argument("packs", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def test(packs: tuple[Path, ...]) -> None:
    """Run every rule on its passing, failing and error fixtures: the built-in packs', or those of PACKS.

    \b
    Example:
      llmops policy test
      llmops policy test rules/ours.yaml
    """
    sources = {str(path): path.read_bytes() for path in packs} or dict(policy_packs())
    failed = total = 0
    for name, data in sources.items():
        try:
            results = run_fixtures(load_pack(name, data))
        except PackInvalid as error:
            raise OperationFailed(str(error), exit_code=Exit.FINDINGS) from error
        for one in results:
            total += 1
            if not one.holds:
                failed += 1
                said = f"its `{one.group}` fixture gives `{one.said}`, and not `{one.wanted}` {one.detail}".rstrip()
                say(f"{style('failed', 'red')} {one.span}: {one.rule}: {said}")
    say(f"{total - failed} of {total} fixtures hold")
    sys.exit(Exit.FINDINGS if failed else Exit.CLEAN)
