"""`llmops compile`: write what a cluster or a CI system needs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from compiler.pipeline import Compilation, emit_files
from llmops.cli.console import say, tell
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import some_environment_option, workspace
from llmops.discovery import pipeline_fault, pipeline_requirements, pipelines, programs
from llmops.errors import OperationFailed
from llmops.io.files import write_atomically
from llmops.workspace import Workspace


@click.command(name="compile")
@some_environment_option
@click.option("--ci", is_flag=True, help="Write the CI pipeline instead.")
@click.pass_context
def command(ctx: click.Context, environment: str | None, ci: bool) -> None:  # click's
    """Write `build/ENV/` (jobs, standing objects, Pulumi program), or with --ci the pipeline of the repository.

    \b
    Example:
      llmops -C examples/quickstart compile --env staging
      llmops compile --ci
    """
    if (environment is None) == (not ci):
        raise click.UsageError("give either `--env ENV` or `--ci`", ctx)
    project = workspace(ctx)
    compilation = project.compile(environment)
    print_findings(project, compilation, "text")
    if not compilation.sound:
        sys.exit(findings_exit(compilation))
    if ci:
        _write(project.root, {**pipelines(compilation), **_first_requirements(project)})
    else:
        assert environment is not None  # said above
        _write_build(project, compilation, environment)
    sys.exit(findings_exit(compilation))


def _first_requirements(project: Workspace) -> Mapping[str, bytes]:
    """What the pipeline installs is the repository's own: written where there is nothing yet, and then never again."""
    path, text = pipeline_requirements()
    if project.files.fact(path) is not None:
        return {}
    if pipeline_fault(text.decode()) is not None:
        tell(f"edit `{path}`: it asks where the pipeline shall install llmops from")
    return {path: text}


def _write_build(project: Workspace, compilation: Compilation, environment: str) -> None:
    compiled = compilation.environments[environment]
    files = {**emit_files(compiled), **programs(compiled)}
    if not files:
        raise OperationFailed(
            f"target `{compiled.backend.target}` needs no files: `llmops apply` runs its steps itself"
        )
    folder = project.root / "build" / environment
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder, files)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        write_atomically(folder / path, data)
    say(f"wrote {len(files)} file{'s' if len(files) != 1 else ''} below {folder}")
