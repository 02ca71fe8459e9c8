"""Findings as JSON for programs. Stable: fields are added, never renamed, while `formatVersion` stays.

Called by `llmops.cli`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from compiler.diagnostics.shown import Finding, Shown, count, shown
from compiler.source import Span
from llmops_spec.digests import Json

FORMAT_VERSION: Final = 1


def render_json(findings: Iterable[Finding], *, files: int) -> str:
    """One object with every finding, sorted by place, and their number by weight."""
    return json.dumps(findings_document(findings, files=files), indent=2, ensure_ascii=False) + "\n"


def findings_document(findings: Iterable[Finding], *, files: int) -> dict[str, Json]:
    """What `render_json` writes, for commands that put it into a larger document."""
    every = tuple(findings)
    counts = count(every)
    return {
        "formatVersion": FORMAT_VERSION,
        "findings": [_finding(one) for one in shown(every)],
        "summary": {
            "errors": counts["error"],
            "denials": counts["denied"],
            "warnings": counts["warning"],
            "files": files,
        },
    }


def _finding(one: Shown) -> dict[str, Json]:
    """Every field always, so that readers need no defaults."""
    return {
        "name": one.name,
        "severity": one.weight,
        "message": one.message,
        "span": _span(one.span),
        "label": one.label,
        "related": [{"span": _span(label.span), "text": label.text} for label in one.related],
        "note": one.note,
        "help": one.help,
        "environments": list(one.environments),
        "resource": one.resource,
        "references": list(one.references),
    }


def _span(span: Span) -> dict[str, Json]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
