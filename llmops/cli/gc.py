"""`llmops gc`: remove stored results that nothing needs."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from compiler.plan import ArtifactStep
from llmops.apply.deployments import deployed_elsewhere
from llmops.apply.discarding import discard, undertaker
from llmops.apply.journal import Journal
from llmops.apply.lock import exclusive
from llmops.apply.site import Site, open_site
from llmops.cli.console import say
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import workspace
from llmops.errors import OperationFailed
from llmops_spec.store import load_manifest

_KEY = re.compile("[0-9a-f]{64}")


@click.command()
@click.option("--env", "environment", default="local", show_default=True, metavar="ENV")
@click.option("--delete", is_flag=True, help="Remove them; without this they are only listed.")
@click.option(
    "--keep-plans", default=5, show_default=True, type=click.IntRange(1), help="Results of so many latest plans stay."
)
@click.option("--shared", is_flag=True, help="Remove them from a store outside of this project too.")
@click.pass_context
def command(ctx: click.Context, environment: str, delete: bool, keep_plans: int, shared: bool) -> None:  # click's
    """List, and with --delete remove, results that neither the spec nor the latest applied plans name.

    What is deployed, what was signed for it, and the way back to earlier plans stay; in a shared store also what
    other checkouts have deployed from it. They are told of the rest by signed tombstones, and make it again.

    \b
    Example:
      llmops gc --env local
      llmops gc --env local --delete
    """
    project = workspace(ctx)
    compilation = project.compile()
    if environment not in compilation.environments:
        compilation = project.compile(environment)  # which says so
    if not compilation.sound:  # an unsound spec does not say what is needed
        print_findings(project, compilation, "text")
        sys.exit(findings_exit(compilation))
    with (
        open_site(project, compilation.environments[environment]) as site,
        exclusive(site.folder / "lock"),
    ):
        if delete and not shared and site.shares_store:
            raise OperationFailed(
                "the store lies outside of this project, so others may need what it holds",
                help="what they have deployed stays; add `--shared` if they may make the rest again",
            )
        signer = undertaker(site) if delete else None
        needed = {
            step.key
            for one in compilation.environments.values()
            if one.lowered is not None
            for step in one.lowered.steps
            if isinstance(step, ArtifactStep)
        } | _keys_of_plans(site.folder.parent, keep_plans)
        needed |= _keys_of_others(site, keep_plans)
        total, made = 0, _made(site.folder.parent)
        for key in sorted(_stored_keys(site) - needed):
            total += _describe(site, key, made.get(key))
            if delete:
                discard(site, "gc", key, signer)
        say(
            f"{'removed' if delete else 'could remove'} {total / 1e6:.1f} MB"
            + ("" if delete else "; add --delete to do it")
        )


def _keys_of_others(site: Site, count: int) -> set[str]:
    try:
        return deployed_elsewhere(site.store, count)
    except ValueError as error:
        raise OperationFailed(f"{error}, so nobody knows what it keeps", help="nothing was removed") from error


def _keys_of_plans(folder: Path, count: int) -> set[str]:
    """Keys of the latest plans that were carried out to their end, in every environment of this project."""
    found: set[str] = set()
    for path in sorted(folder.glob("*/journal.db")):
        journal = Journal(path)
        try:
            finished = {entry.plan for entry in journal.entries() if entry.event == "done" and _ends(entry.step)}
            latest = islice((plan for then, plan in journal.applied() if then in finished), count)
            found |= {one.step.key for plan in latest for one in plan.steps if isinstance(one.step, ArtifactStep)}
        finally:
            journal.close()
    return found


def _made(folder: Path) -> dict[str, tuple[str, datetime]]:
    """Of each key that was made in any environment of this project: the step, and when."""
    found: dict[str, tuple[str, datetime]] = {}
    for path in sorted(folder.glob("*/journal.db")):
        journal = Journal(path)
        try:
            found |= journal.made()
        finally:
            journal.close()
    return found


def _ends(step: str) -> bool:
    """The last step of a plan; one that rolled something out is worth the same."""
    return step.startswith(("record/", "roll-out/"))


def _stored_keys(site: Site) -> set[str]:
    """Keys of finished results. What else lies in the folder, and what is being written now, is not ours to touch."""
    parts = (name.split("/") for name in site.store.names())
    return {key for key, *rest in parts if rest == ["manifest.json"] and _KEY.fullmatch(key)}


def _describe(site: Site, key: str, made: tuple[str, datetime] | None) -> int:
    """Print one result, with what `made` it and when. Returns its size in bytes."""
    manifest = load_manifest(site.store, key)
    outputs = manifest.outputs if manifest else {}
    size = sum(one.bytes for one in outputs.values())
    parts = sorted({name.split("/")[0] for name in outputs})
    origin = f"{made[0]}, {made[1]:%Y-%m-%d %H:%M}" if made else "not made by this project here"
    say(f"{key[:12]}  {size / 1e6:8.1f} MB  {origin}  ({', '.join(parts) or 'unfinished'})")
    return size
