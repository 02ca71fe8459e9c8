"""A committed pipeline is held to what the spec renders."""

import shutil
from pathlib import Path

import pytest

from llmops import __version__
from llmops.cli.main import run
from tests.harness.desk import QUICKSTART

OURS = f"./wheels/llmops-{__version__}-py3-none-any.whl\n"


def test_from_init_to_a_pipeline_that_can_be_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "project"
    requirements = root / ".github" / "llmops-requirements.txt"
    assert run(["init", str(root)]) == 0
    assert run(["-C", str(root), "compile", "--ci"]) == 0
    assert "edit `.github/llmops-requirements.txt`" in capsys.readouterr().err
    assert run(["-C", str(root), "validate"]) == 0
    assert "warning[pipeline-without-source]" in capsys.readouterr().out

    requirements.write_text(OURS)
    assert run(["-C", str(root), "compile", "--ci"]) == 0
    assert requirements.read_text() == OURS  # what the repository says is never written over
    assert run(["-C", str(root), "validate"]) == 0
    told = capsys.readouterr()
    assert "pipeline-without-source" not in told.out + told.err

    requirements.write_text("llmops==0.0.1\n")
    assert run(["-C", str(root), "validate"]) == 0
    assert "names version 0.0.1" in capsys.readouterr().out
    requirements.unlink()
    assert run(["-C", str(root), "validate"]) == 0
    assert "does not say where llmops comes from" in capsys.readouterr().out


def test_a_committed_pipeline_that_differs_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "project"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".llmops", "build"))
    assert run(["-C", str(root), "compile", "--ci"]) == 0
    (root / ".github" / "llmops-requirements.txt").write_text(OURS)
    assert run(["-C", str(root), "validate"]) == 0

    workflow = root / ".github" / "workflows" / "llmops.yaml"
    workflow.write_text(workflow.read_text().replace("if: ", "if: false && ", 1))
    capsys.readouterr()
    assert run(["-C", str(root), "validate"]) == 1
    assert "error[stale-pipeline]: `.github/workflows/llmops.yaml`" in capsys.readouterr().out

    assert run(["-C", str(root), "compile", "--ci"]) == 0
    assert run(["-C", str(root), "validate"]) == 0
