"""A project on disk, opened: where it is, and the compiler with all its tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.diagnostics.catalogue import PIPELINE_WITHOUT_SOURCE, STALE_PIPELINE
from compiler.diagnostics.model import Diagnostic
from compiler.pipeline import Compilation, Toolbox, compile_project
from compiler.ports import Reader
from compiler.project import PROJECT_FILE
from compiler.source import Span
from llmops.discovery import (
    backends,
    checks,
    pipeline_fault,
    pipeline_paths,
    pipeline_requirements,
    pipelines,
    policies,
)
from llmops.errors import OperationFailed
from llmops.facts import package_facts
from llmops.io.files import ProjectFiles


@dataclass(frozen=True, kw_only=True)
class Workspace:
    root: Path
    files: Reader

    def compile(self, environment: str | None = None) -> Compilation:
        """Compile one environment, or all of them."""
        return compile_project(self.tools(), environment)

    def tools(self) -> Toolbox:
        """Everything that the compiler works with, over these files."""
        rules = policies()
        return Toolbox(
            reader=self.files,
            checks=checks(),
            backends=backends(),
            policies=rules,
            facts=package_facts(rules.digest()),
        )

    def stale_pipelines(self, compilation: Compilation) -> list[Diagnostic]:
        """Findings about committed pipelines: another than a sound spec renders, or one that cannot install llmops."""
        found: list[Diagnostic] = []
        if not any(self.files.fact(path) is not None for path in pipeline_paths()):
            return found
        for path, rendered in pipelines(compilation).items():
            if self.files.fact(path) is not None and self.files.read(path) != rendered:
                said = f"`{path}` is not what the spec renders"
                place = Span(path, 1, 1, 1, 1)
                found.append(STALE_PIPELINE.at(place, said, help="run `llmops compile --ci` and commit the file"))
        path, _ = pipeline_requirements()
        text = self.files.read(path).decode(errors="replace") if self.files.fact(path) is not None else None
        if (fault := pipeline_fault(text)) is not None:
            place = Span(path, 1, 1, 1, 1)
            help_ = "name an index that you trust, a release with its digest, or a wheel in the repository"
            found.append(PIPELINE_WITHOUT_SOURCE.at(place, fault, help=help_))
        return found

    def state_folder(self, environment: str) -> Path:
        """What this machine knows of one environment: journal, lock, logs, what runs."""
        return self.root / ".llmops" / environment


def open_workspace(directory: Path | None) -> Workspace:
    """The project in `directory`, or in the nearest folder upward from here that has a `llmops.yaml`.

    Raises:
        OperationFailed: there is none.
    """
    if directory is not None:
        if not directory.is_dir():
            raise OperationFailed(f"`{directory}` is not a folder", help="choose the project's folder with `-C DIR`")
        return Workspace(root=directory.resolve(), files=ProjectFiles(directory))
    here = Path.cwd()
    root = next((one for one in (here, *here.parents) if (one / PROJECT_FILE).is_file()), None)
    if root is None:
        raise OperationFailed(
            f"no `{PROJECT_FILE}` in this folder or above it",
            help="run `llmops init DIR` for a new project, or choose one with `llmops -C DIR …`",
        )
    return Workspace(root=root, files=ProjectFiles(root))
