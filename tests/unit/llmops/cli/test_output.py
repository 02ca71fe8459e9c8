"""What the command prints: JSON alone on stdout where it is asked for, and no secret of the caller anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llmops.errors import Exit

from .conftest import Command

_CANARY = "canary-7f3b9d1e5a"
_SECRETS = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "OPENAI_API_KEY", "LLMOPS_PASSWORD"), _CANARY)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["validate"], Exit.CLEAN),
        (["plan", "--env", "local"], Exit.CLEAN),
        (["plan", "--env", "local", "--detailed-exitcode"], Exit.CHANGES),
        (["plan", "--env", "local", "--out", "{home}/plan.json"], Exit.CLEAN),
        (["plan", "--env", "none"], Exit.FINDINGS),
        (["status", "--env", "local"], Exit.CLEAN),
        (["status", "--env", "none"], Exit.FINDINGS),
    ],
)
def test_json_stands_alone_on_stdout(quickstart: Command, words: list[str], code: Exit) -> None:
    given = [word.format(home=quickstart.home) for word in words]
    json.loads(quickstart(*given, "--format", "json", code=code).out)


def test_findings_are_json_too(rows: Command) -> None:
    rows.edit("dataset.yaml", "rows: 3", "rows: many")
    for words in (["validate"], ["plan", "--env", "local"], ["status", "--env", "local"]):
        code = Exit.CLEAN if words[0] == "status" else Exit.FINDINGS
        found = json.loads(rows(*words, "--format", "json", code=code).out)
        assert code == Exit.CLEAN or "rows: many" not in json.dumps(found)
    (finding,) = json.loads(rows("validate", "--format", "json", code=Exit.FINDINGS).out)["findings"]
    assert finding["name"] == "wrong-type"


def test_progress_goes_to_stderr_and_the_plan_to_stdout(rows: Command) -> None:
    ended = rows("apply", "--env", "local")
    assert "[2/3] check-data/rows" in ended.err
    assert "[2/3]" not in ended.out
    assert "Plan for environment `local`" in ended.out
    assert "\x1b[" not in ended.out + ended.err


def test_markdown_is_a_table(rows: Command) -> None:
    out = rows("plan", "--env", "local", "--format", "markdown").out
    assert out.startswith("### Plan for environment `local`")
    assert "| fetch/rows@train | run | first time |" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(rows: Command, shell: str) -> None:
    script = str(Path(sys.executable).with_name("llmops"))
    done = subprocess.run(
        [script],
        env={**rows.environment(), "_LLMOPS_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_LLMOPS_COMPLETE" in done.stdout


def test_a_completion_knows_commands_and_options(rows: Command) -> None:
    script = str(Path(sys.executable).with_name("llmops"))

    def completed(words: str) -> str:
        variables = {"_LLMOPS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return subprocess.run(
            [script], env={**rows.environment(), **variables}, capture_output=True, text=True, check=True
        ).stdout

    assert "plain,validate" in completed("llmops val")
    assert "plain,--detailed-exitcode" in completed("llmops plan --det")


# --- secrets


def _everything_written(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_no_secret_of_the_caller_is_printed_written_or_handed_on(rows: Command) -> None:
    text = "".join(f'{{"question": "question number {n}", "answer": "a {n}"}}\n' for n in range(20_000))
    rows.write({"data/train.jsonl": text})
    said: list[str] = []
    for words in (["validate"], ["plan", "--env", "local"], ["doctor"]):
        ended = rows.process(*words, **_SECRETS)
        said += [ended.out, ended.err]
    running = rows.start("apply", "--env", "local", **_SECRETS)
    environments: list[dict[str, str]] = []
    deadline = time.monotonic() + 60
    while running.poll() is None and not environments and time.monotonic() < deadline:
        environments += [
            one.environ() for one in psutil.Process(running.pid).children() if "check-data" in one.cmdline()
        ]
        time.sleep(0.005)
    out, err = running.communicate(timeout=60)

    assert running.returncode == Exit.CLEAN, err
    assert environments, "the child was not seen"
    assert not {name for one in environments for name in one if name in _SECRETS}
    assert _CANARY not in str(environments)
    assert _CANARY not in "".join([*said, out, err])
    written = _everything_written(rows.root, rows.home)
    assert len(written) > 8
    assert [path for path, data in written.items() if _CANARY.encode() in data] == []


def test_a_failing_run_tells_no_secret_either(rows: Command) -> None:
    rows.write({"data/train.jsonl": "{not json\n"})
    ended = rows.process("apply", "--env", "local", **_SECRETS)
    assert ended.code == Exit.STEP_FAILED
    assert _CANARY not in ended.out + ended.err
    assert [path for path, data in _everything_written(rows.root, rows.home).items() if _CANARY.encode() in data] == []


@pytest.mark.parametrize(
    "written",
    [
        _CANARY,
        f"[{_CANARY}]",
        f"{{value: {_CANARY}}}",
        f'{{env: "{_CANARY} "}}',
        f"{{kubernetesSecret: {_CANARY}}}",
        f"{{env: A, file: {_CANARY}}}",
        f"|\n        {_CANARY}",
        f"{_CANARY}, tpyo: 1",
    ],
)
@pytest.mark.parametrize("how", ["text", "json"])
def test_a_secret_that_stands_in_the_spec_is_reported_and_not_repeated(rows: Command, written: str, how: str) -> None:
    mlflow = f"{{uri: http://x, token: {written}}}"
    if "\n" in written:
        mlflow = f"\n      uri: http://x\n      token: {written}"
    rows.edit("environment.yaml", "  store:", f"  tracking:\n    mlflow: {mlflow}\n  store:")
    for words in (["validate"], ["plan", "--env", "local"]):
        ended = rows(*words, "--format", how, code=Exit.FINDINGS)
        assert _CANARY not in ended.out + ended.err
        assert "token" in ended.out or "`tpyo`" in ended.out or "exactly one" in ended.out or "`value`" in ended.out
