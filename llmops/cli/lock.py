"""`llmops lock`: pin every remote thing, and say whether all of it is pinned."""

from __future__ import annotations

import sys

import click

from compiler.pipeline import Compilation
from llmops.cli.console import print_failure, say, style, table, tell
from llmops.cli.findings import print_findings
from llmops.cli.options import workspace
from llmops.errors import Exit, OperationFailed, worst
from llmops.facts import pinned_versions
from llmops.lock.changes import Change, detail
from llmops.workspace import Workspace


@click.command()
@click.option(
    "--check", is_flag=True, help="Change nothing and ask nobody: exit 1 unless all is locked as it is written."
)
@click.option("--upgrade", multiple=True, metavar="NAME", help="Resolve this model, dataset or image anew.")
@click.pass_context
def command(ctx: click.Context, check: bool, upgrade: tuple[str, ...]) -> None:
    """Write `llmops.lock`: commits, digests and facts of remote models, data and images.

    What is locked and still written so stays as it is. Compile reads the lock, and never the network.

    \b
    Example:
      llmops lock
      llmops lock --upgrade support-base
      llmops lock --check
    """
    if check and upgrade:
        raise click.UsageError("`--check` changes nothing, so there is nothing to upgrade", ctx)
    from llmops.lock.wanted import says_what_it_needs

    project = workspace(ctx)
    compilation = project.compile()
    if not says_what_it_needs(compilation):
        print_findings(project, compilation, "text")
        sys.exit(Exit.FINDINGS)
    sys.exit(_check(project, compilation) if check else _lock(project, compilation, upgrade))


def _check(project: Workspace, compilation: Compilation) -> Exit:
    from llmops.lock.wanted import shortfalls, wanted

    graphs = [one.graph for one in compilation.environments.values()]
    needed = wanted(graphs, pinned_versions())
    found = shortfalls(needed, graphs[0].lock, project.files)
    for one in found:
        say(f"{style(one.name, 'red')}: {one.what}")
    if found:
        tell(f"{style('help', 'cyan')}: run `llmops lock` and commit `llmops.lock`")
        return Exit.FINDINGS
    say(f"ok: all of {len(needed)} are locked")
    return Exit.CLEAN


def _lock(project: Workspace, compilation: Compilation, upgrade: tuple[str, ...]) -> Exit:
    from llmops.lock.display import open_byte_display
    from llmops.lock.locking import Relock, write_lock
    from llmops.lock.resolving import open_remote
    from llmops.lock.wanted import wanted

    graphs = [one.graph for one in compilation.environments.values()]
    with open_byte_display() as display:
        remote = open_remote(graphs[0].project.spec.sources, project.root, display)
        relock = Relock(
            needed=wanted(graphs, pinned_versions()),
            lock=graphs[0].lock,
            remote=remote,
            files=project.files,
            upgrade=upgrade,
        )
        relock.run()
    changed = write_lock(project.root, relock.text())
    say(table([_line(one) for one in relock.changes]))
    failures = [one.failure for one in relock.changes if one.failure is not None]
    for one in relock.changes:
        if one.failure is not None:
            print_failure(OperationFailed(f"{one.label}: {one.failure.what}", help=one.failure.help))
    say(f"wrote {project.root / 'llmops.lock'}" if changed else "llmops.lock is up to date")
    return worst(failure.exit_code for failure in failures)


def _line(change: Change) -> list[str]:
    colour = {"failed": "red", "kept": "white", "unchanged": "white"}.get(change.what, "green")
    return [change.label, style(change.what, colour), detail(change)]
