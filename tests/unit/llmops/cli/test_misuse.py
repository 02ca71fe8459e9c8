"""Command lines that cannot be meant: one message that says what to do, exit 2, and nothing written."""

from pathlib import Path

import pytest

from llmops.cli.main import COMMANDS, run
from llmops.errors import Exit

from .conftest import Command


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vaildate"], ["there is no command `vaildate`", "`validate`"]),
        (["plan"], ["--env"]),
        (["plan", "--env", "local", "--formta", "json"], ["--formta", "--format"]),
        (["plan", "--env", "local", "--format", "xml"], ["xml", "json"]),
        (["status", "--env"], ["--env"]),
        (["apply"], ["--env ENV", "saved plan"]),
        (["apply", "--env", "local", "--lock-timeout", "xyz"], ["--lock-timeout", "xyz", "10m"]),
        (["apply", "--env", "local", "--lock-timeout", "-1s"], ["--lock-timeout", "-1s", "10m"]),
        (["apply", "--env", "local", "--lock-timeout", "nan"], ["--lock-timeout", "nan", "10m"]),
        (["destroy", "--env", "local", "--lock-timeout", ""], ["--lock-timeout", "10m"]),
        (["compile"], ["--env ENV", "--ci"]),
        (["compile", "--ci", "--env", "local"], ["--env ENV", "--ci"]),
        (["gc", "--keep-plans", "0"], ["--keep-plans", "0"]),
        (["explain", "unknown-referense"], ["unknown-referense", "`unknown-reference`"]),
        (["explain", "nonsense"], ["there is no page `nonsense`", "docs/reference/findings.md"]),
        (["why", "nope"], ["no step `nope`", "`llmops plan --env local`"]),
        (["why", "dataset/rowz"], ["dataset/rowz", "`dataset/rows`"]),
        (["gate", "run", "none", "--env", "local"], ["there is no gate `none`"]),
        (["gate", "rum", "--env", "local"], ["rum"]),
        (["evidence", "show", "none", "--env", "local"], ["none"]),
        (["evidence", "discard", "check-data/rowz", "--env", "local"], ["`check-data/rows`"]),
        (["policy", "test", "none.yaml"], ["none.yaml"]),
        (["plan", "--env", "local", "--against", "no-such-revision"], ["git", "--against"]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value, list) else "",
)
def test_a_command_line_that_cannot_be_meant(rows: Command, words: list[str], said: list[str]) -> None:
    before = _files(rows.root)

    rows(*words, code=Exit.MISUSE).says(*said)

    assert {one for one in _files(rows.root) - before if not one.startswith(".llmops")} == set()
    assert not [one for one in _files(rows.root) if one.startswith(".llmops/store")]


@pytest.mark.parametrize(
    "words",
    [["plan"], ["apply"], ["status"], ["destroy"], ["compile"], ["gate", "run"], ["evidence", "verify"], ["gc"],
     ["validate"]],
    ids=" ".join,
)  # fmt: skip
def test_an_unknown_environment_is_a_finding_with_the_nearest_name(rows: Command, words: list[str]) -> None:
    rows(*words, "--env", "loca", code=Exit.FINDINGS).says("`loca` is not defined", "`local`")


@pytest.mark.parametrize("words", [["apply"], ["plan"], ["status"], ["destroy"], ["gate", "run"], ["gc"]], ids=" ".join)
def test_what_needs_a_cluster_says_so(quickstart: Command, words: list[str]) -> None:
    quickstart(*words, "--env", "staging", code=Exit.MISUSE).says("`staging`", "llmops compile --env staging")


def test_there_is_no_such_folder(rows: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(rows.root / "none"), "validate"]) == Exit.MISUSE
    assert "none` is not a folder" in capsys.readouterr().err


def test_there_is_no_project_here_or_above(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate"]) == Exit.MISUSE
    said = capsys.readouterr().err
    assert "no `llmops.yaml`" in said
    assert "llmops init" in said


def test_the_project_above_is_found(
    rows: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(rows.root / "data")
    assert run(["validate"]) == Exit.CLEAN
    assert "3 files are sound" in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_is_always_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == Exit.CLEAN
    assert f"Usage: llmops {command}" in capsys.readouterr().out
