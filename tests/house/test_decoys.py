"""The command among folders that share its packages' names: it imports its own, and nothing of the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
HEAD = "apiVersion: llmops.dev/v1alpha1\n"
MODULES = ("yaml", "json", "click", "sitecustomize", "usercustomize", "pydantic", "numpy", "psutil", "typing", "re")
PACKAGES = ("compiler", "policies", "backends", "llmops_spec", "llmops_runtime", "llmops", "rich", "jinja2", "tests")


def _decoys(folder: Path, marker: Path) -> None:
    """Modules that leave a mark when they are imported, and then fail."""
    text = f"open({str(marker)!r}, 'a').write(__name__ + '\\n')\nraise ImportError(f'a decoy: {{__name__}}')\n"
    for name in MODULES:
        (folder / f"{name}.py").write_text(text)
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)


def _run(folder: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    script = Path(sys.executable).with_name("llmops")
    return subprocess.run(
        [script, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize(
    "words",
    [["--version"], ["validate"], ["plan", "--env", "local"], ["compile", "--env", "staging"], ["compile", "--ci"],
     ["schema"], ["policy", "test"], ["explain", "unknown-key"], ["doctor"]],
    ids=" ".join,
)  # fmt: skip
def test_the_command_imports_nothing_of_its_folder(tmp_path: Path, home: Path, words: list[str]) -> None:
    project, marker = tmp_path / "project", tmp_path / "imported"
    shutil.copytree(QUICKSTART, project, ignore=shutil.ignore_patterns(".llmops", "build", "__pycache__"))
    _decoys(project, marker)

    done = _run(project, home, *words)

    assert not marker.exists(), marker.read_text()
    assert done.returncode == 0, done.stderr


def test_nor_does_the_child_in_which_a_step_runs(tmp_path: Path, home: Path) -> None:
    project, marker = tmp_path / "project", tmp_path / "imported"
    (project / "data").mkdir(parents=True)
    (project / "llmops.yaml").write_text(
        f"{HEAD}kind: Project\nmetadata: {{name: rows, owner: us}}\n---\n"
        f"{HEAD}kind: Environment\nmetadata: {{name: local, owner: us}}\nspec: {{target: {{local: {{}}}}}}\n---\n"
        f"{HEAD}kind: Dataset\nmetadata: {{name: rows, owner: us}}\nspec:\n  licence: Apache-2.0\n"
        "  columns: {question: {}, answer: {}}\n  splits: {train: {path: data/rows.jsonl, rows: 1}}\n"
    )
    (project / "data" / "rows.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    _decoys(project, marker)
    _decoys(home, marker)

    done = _run(project, home, "apply", "--env", "local")

    assert not marker.exists(), marker.read_text()
    assert done.returncode == 0, done.stderr
    assert "check-data/rows: done" in done.stderr


def test_a_decoy_leaves_its_mark_where_it_is_imported(tmp_path: Path) -> None:
    _decoys(tmp_path, tmp_path / "imported")
    subprocess.run([sys.executable, "-c", "import yaml"], cwd=tmp_path, capture_output=True, check=False)
    assert "yaml" in (tmp_path / "imported").read_text()
