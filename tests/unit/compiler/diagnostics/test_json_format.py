"""JSON output: what programs read."""

from __future__ import annotations

import json

from inline_snapshot import snapshot

from compiler.diagnostics.catalogue import UNKNOWN_REFERENCE
from compiler.diagnostics.json_format import render_json
from compiler.diagnostics.model import Label, Severity
from compiler.ports import Denial
from compiler.source import Span

FINDING = UNKNOWN_REFERENCE.at(
    Span("b.yaml", 3, 12, 3, 25),
    "dataset `Bücher` is not defined",
    label="named here",
    related=[Label(span=Span("data/chat.yaml", 2, 18, 2, 30), text="a near name")],
    help="did you mean `buch`?",
)
DENIAL = Denial(
    rule="GOV-01",
    resource="dataset/x",
    message="no owner",
    span=Span("a.yaml", 1, 1, 1, 2),
    severity=Severity.ERROR,
    references=("charter 2",),
    environments=("prod",),
)


def test_every_field_of_findings_and_denials_is_there_sorted_by_place() -> None:
    assert json.loads(render_json([FINDING, DENIAL], files=3)) == snapshot(
        {
            "formatVersion": 1,
            "findings": [
                {
                    "name": "GOV-01",
                    "severity": "denied",
                    "message": "no owner",
                    "span": {"file": "a.yaml", "line": 1, "column": 1, "endLine": 1, "endColumn": 2},
                    "label": "",
                    "related": [],
                    "note": "",
                    "help": "",
                    "environments": ["prod"],
                    "resource": "dataset/x",
                    "references": ["charter 2"],
                },
                {
                    "name": "unknown-reference",
                    "severity": "error",
                    "message": "dataset `Bücher` is not defined",
                    "span": {"file": "b.yaml", "line": 3, "column": 12, "endLine": 3, "endColumn": 25},
                    "label": "named here",
                    "related": [
                        {
                            "span": {"file": "data/chat.yaml", "line": 2, "column": 18, "endLine": 2, "endColumn": 30},
                            "text": "a near name",
                        }
                    ],
                    "note": "",
                    "help": "did you mean `buch`?",
                    "environments": [],
                    "resource": "",
                    "references": [],
                },
            ],
            "summary": {"errors": 1, "denials": 1, "warnings": 0, "files": 3},
        }
    )


def test_output_is_text_that_people_can_read_and_bytes_that_do_not_change() -> None:
    assert "Bücher" in render_json([FINDING], files=1)
    assert render_json([DENIAL, FINDING], files=3) == render_json(iter([FINDING, DENIAL]), files=3)
