"""Run the command on small projects: in this process, or as the process that a user starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmops.cli.main import run
from llmops.errors import Exit
from tests.harness.desk import QUICKSTART

HEAD = "apiVersion: llmops.dev/v1alpha1\n"
ROWS_PROJECT = {
    "llmops.yaml": HEAD + "kind: Project\nmetadata: {name: rows, owner: us}\n",
    "environment.yaml": HEAD
    + "kind: Environment\nmetadata: {name: local, owner: us}\nspec:\n  target: {local: {}}\n"
    + "  store: {file: {path: .llmops/store}}\n",
    "dataset.yaml": HEAD
    + "kind: Dataset\nmetadata: {name: rows, owner: us}\nspec:\n  licence: Apache-2.0\n"
    + "  columns: {question: {}, answer: {}}\n  inputColumns: [question]\n  targetColumn: answer\n"
    + "  splits: {train: {path: data/train.jsonl, rows: 3}}\n",
    "data/train.jsonl": "".join(f'{{"question": "q {n}", "answer": "a {n}"}}\n' for n in range(3)),
}
"""Whose plan is: fetch, check the data in a child process, record."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    code: int
    out: str
    err: str

    def says(self, *words: str) -> None:
        """It says each of these, as one error with what to do about it, and shows no traceback."""
        every = self.out + self.err
        assert "Traceback" not in every, every
        assert "bug:" not in every, every
        assert every.lower().count("error: ") + every.count("error[") == 1, every
        for word in words:
            assert word in every, (word, every)


@dataclass(frozen=True, kw_only=True)
class Command:
    root: Path
    """The project's folder."""
    home: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str, code: int = Exit.CLEAN) -> Ended:
        """Run in this process, and expect an exit code."""
        self.capture.readouterr()
        given = run(["-C", str(self.root), *words])
        out, err = self.capture.readouterr()
        assert given == code, (given, out, err)
        return Ended(code=given, out=out, err=err)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start as a process of its own, in a session that only gets the signals of the test."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("llmops")), "-C", str(self.root), *words],
            env={**self.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *words: str, **variables: str) -> Ended:
        """Run as a process of its own, to its end."""
        child = self.start(*words, **variables)
        out, err = child.communicate(timeout=120)
        return Ended(code=child.returncode, out=out, err=err)

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config")}

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text, (file, old)
        (self.root / file).write_text(text.replace(old, new))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(found / "config"))
    monkeypatch.delenv("LLMOPS_TRUST", raising=False)
    monkeypatch.chdir(found)
    return found


@pytest.fixture
def rows(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """A project with rows alone: it is applied in a second, by real child processes."""
    made = Command(root=tmp_path / "rows", home=home, capture=capsys)
    made.write(ROWS_PROJECT)
    return made


@pytest.fixture
def quickstart(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The whole example, to compile and to plan."""
    root = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".llmops", "build", "__pycache__"))
    return Command(root=root, home=home, capture=capsys)
