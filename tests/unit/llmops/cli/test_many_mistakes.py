"""`llmops validate` reports the mistakes of a project, each once, and nothing else: through the real targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.cli.main import run
from tests.harness.literate import read_cases
from tests.harness.project import complete

CASES = Path(__file__).parents[3] / "spec" / "forty-mistakes.md"


def test_forty_mistakes_are_forty_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = read_cases(CASES)["On a desk"]
    for name, content in complete({name: text.encode() for name, text in case.files.items()}).items():
        assert isinstance(content, bytes)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    code = run(["-C", str(tmp_path), "validate", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    wrong = [one for one in found if one["severity"] != "denied"]  # what is not allowed is another question
    named = [(one["severity"], one["name"], one["span"]["file"], one["span"]["line"]) for one in wrong]
    assert len(case.expected) >= 40
    assert sorted(named) == sorted(one.key for one in case.expected)
    assert code == 1
