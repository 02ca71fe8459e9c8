"""A committed pipeline is held to what the spec renders."""

import shutil
from pathlib import Path

import pytest

from llmops.cli.main import run
from tests.harness.desk import QUICKSTART


def test_a_committed_pipeline_that_differs_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "project"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".llmops", "build"))
    assert run(["-C", str(root), "compile", "--ci"]) == 0
    assert run(["-C", str(root), "validate"]) == 0

    workflow = root / ".github" / "workflows" / "llmops.yaml"
    workflow.write_text(workflow.read_text().replace("if: ", "if: false && ", 1))
    capsys.readouterr()
    assert run(["-C", str(root), "validate"]) == 1
    assert "error[stale-pipeline]: `.github/workflows/llmops.yaml`" in capsys.readouterr().out

    assert run(["-C", str(root), "compile", "--ci"]) == 0
    assert run(["-C", str(root), "validate"]) == 0
