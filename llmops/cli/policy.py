"""`llmops policy`: test the policy rules on their fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from llmops.cli.console import say, style
from llmops.discovery import policy_fixtures, policy_packs
from llmops.errors import Exit, OperationFailed
from policies.fixture_reader import load_fixtures
from policies.fixtures import FixtureResult
from policies.fixtures import test_pack as run_fixtures
from policies.pack_reader import load_pack
from policies.pack_text import PackInvalid


@click.group()
def command() -> None:
    """The rules that say what may ship."""


@command.command()
@click.argument("packs", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def test(packs: tuple[Path, ...]) -> None:
    """Run every rule on its passing, failing and error fixtures: the built-in packs', or those of PACKS.

    The fixtures of `rules/ours.yaml` lie beside it, in `rules/ours.fixtures.yaml`.

    \b
    Example:
      llmops policy test
      llmops policy test rules/ours.yaml
    """
    failed = total = 0
    for results in [_of_file(path) for path in packs] or _built_in():
        for one in results:
            total += 1
            if not one.holds:
                failed += 1
                said = f"its `{one.group}` fixture gives `{one.said}`, and not `{one.wanted}` {one.detail}".rstrip()
                say(f"{style('failed', 'red')} {one.span}: {one.rule}: {said}")
    say(f"{total - failed} of {total} fixtures hold")
    sys.exit(Exit.FINDINGS if failed else Exit.CLEAN)


def _built_in() -> list[tuple[FixtureResult, ...]]:
    fixtures = policy_fixtures()
    return [_tried(name, rules, f"{name}.fixtures", fixtures[name]) for name, rules in policy_packs().items()]


def _of_file(pack: Path) -> tuple[FixtureResult, ...]:
    beside = pack.with_suffix(".fixtures.yaml")
    if not beside.is_file():
        raise OperationFailed(f"there is no `{beside}`", help=f"write examples for each rule of `{pack}` into it")
    return _tried(str(pack), pack.read_bytes(), str(beside), beside.read_bytes())


def _tried(name: str, rules: bytes, beside: str, fixtures: bytes) -> tuple[FixtureResult, ...]:
    """The results of a pack. Raises: OperationFailed: it cannot be read."""
    try:
        pack = load_pack(name, rules)
        return run_fixtures(pack, load_fixtures(pack, beside, fixtures))
    except PackInvalid as error:
        raise OperationFailed(str(error), exit_code=Exit.FINDINGS) from error
