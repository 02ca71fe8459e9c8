"""Print findings and denials, and say which exit code they mean. Shared by every command that compiles."""

from __future__ import annotations

import sys
from collections.abc import Callable

from compiler.pipeline import Compilation
from llmops.cli.console import say, tell
from llmops.errors import Exit, worst
from llmops.workspace import Workspace


def print_findings(project: Workspace, compilation: Compilation, format_: str) -> None:
    """Findings and denials: as JSON on stdout, or as text, on stdout too, with a closing line."""
    found = (*compilation.findings, *compilation.denials)
    if format_ == "json":
        from compiler.diagnostics.json_format import render_json

        say(render_json(found, files=len(compilation.files)).rstrip())
        return
    if not found:
        return
    from compiler.diagnostics.shown import summary
    from compiler.diagnostics.text import render_text

    say(render_text(found, _source(project), colour=sys.stdout.isatty(), environments=tuple(compilation.environments)))
    tell(summary(found, files=len(compilation.files)))


def _source(project: Workspace) -> Callable[[str], str | None]:
    def read(path: str) -> str | None:
        try:
            return project.files.read(path).decode("utf-8", errors="replace")
        except OSError:
            return None

    return read


def findings_exit(compilation: Compilation) -> Exit:
    codes: list[Exit] = []
    if not compilation.sound:
        codes.append(Exit.FINDINGS)
    if any(denial.severity == "error" for denial in compilation.denials):
        codes.append(Exit.POLICY_FAILED)
    return worst(codes)
