"""The runner as a child process: results whole or absent, codes as agreed, output that is JSON Lines alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmops_runtime.failures import failure_of
from llmops_runtime.task import main
from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.data import TransformPayload
from llmops_spec.store import load_manifest, make_ref, read_output


def transform(bench: Any, **changes: Any) -> dict[str, Any]:
    rows = bench.put_rows([{"q": "mail jane@example.com"}])
    payload = {
        "task": "transform",
        "splits": {"train": rows.model_dump()},
        "columns": {"q": {}},
        "redact": [{"columns": ["q"]}],
        "recipe": 1,
    }
    return payload | changes


def test_a_task_publishes_under_the_key_of_its_payload(bench: Any) -> None:
    payload = transform(bench)
    run = bench.run(payload)
    key = step_key(TransformPayload.model_validate(payload))
    assert run.code == 0, run.err
    assert run.result["key"] == key
    manifest = load_manifest(bench.store, key)
    assert manifest is not None
    assert run.result["manifest"] == manifest.digest()
    assert read_output(bench.store, make_ref(key, "train.jsonl")) == b'{"q": "mail [email]"}\n'
    assert all(set(json.loads(line)) >= {"phase", "done", "total", "unit"} for line in run.out.splitlines())
    assert list(bench.temporary.iterdir()) == []


def test_what_the_store_holds_is_adopted(bench: Any) -> None:
    payload = transform(bench)
    first, second = bench.run(payload), bench.run(payload)
    assert second.result["manifest"] == first.result["manifest"]
    assert second.out == ""
    assert second.result["notes"] == {"adopted": 1}


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"formatVersion": 99}, "version-mismatch", "newer llmops (format 99"),
        ({"recipe": 99}, "version-mismatch", "recipe 99"),
        ({"recipe": "1"}, "internal", "recipe"),
        ({"surprise": 1}, "internal", "surprise"),
        ({"task": "train"}, "internal", "does not fit"),
        ({"splits": {"train": {"ref": f"store://{'0' * 64}/rows"}}}, "store", "is not in the store"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(
    bench: Any, tmp_path: Path, changes: dict[str, Any], code: str, part: str
) -> None:
    payload = transform(bench) | changes
    (tmp_path / "p.json").write_text(json.dumps(payload))
    done = subprocess.run(
        [sys.executable, "-I", "-m", "llmops_runtime", "transform", "--payload", "p.json", "--result", "r.json"],
        cwd=tmp_path,
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads((tmp_path / "r.json").read_text())
    assert done.returncode == 1
    assert result["failure"]["code"] == code, result
    assert part in result["failure"]["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"{", b"\x80\x04", b"[]"])
def test_a_payload_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "p.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-I", "-m", "llmops_runtime", "transform", "--payload", "p.json", "--result", "r.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads((tmp_path / "r.json").read_text())["failure"]["code"] == "internal"
    assert "Traceback" not in done.stderr


def test_without_a_store_the_result_says_so(bench: Any) -> None:
    payload = transform(bench)
    bench.environment.clear()
    run = bench.run(payload)
    assert (run.code, run.result["failure"]["code"]) == (1, "store")
    assert "LLMOPS_STORE" in run.result["failure"]["message"]


def test_a_result_that_cannot_be_written_is_said_and_leaves_nothing(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(transform(bench)))
    done = subprocess.run(
        [sys.executable, "-I", "-m", "llmops_runtime", "transform", "--payload", "p.json", "--result", "no/r.json"],
        cwd=tmp_path,
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_task_is_misuse(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bake", "--payload", "p", "--result", "r"])
    assert caught.value.code == 2
    assert "check-data" in capfd.readouterr().err


def test_a_full_disk_is_named_and_the_store_stays_sound(bench: Any) -> None:
    rows = bench.put_rows([{"q": f"row {number} " + "x" * 100} for number in range(2000)])
    payload = transform(bench) | {"splits": {"train": rows.model_dump()}}
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    run = bench.run(payload, code=limit)
    assert run.code == 1
    assert run.result["failure"]["code"] == "no-space"
    assert "Traceback" not in run.err
    assert load_manifest(bench.store, run.result["key"]) is None
    assert bench.run(payload).code == 0


def test_a_bug_reaches_the_result_and_the_log(bench: Any) -> None:
    spoil = "import llmops_runtime.data.transform as t\nt.redact = lambda text: 1 // 0"
    run = bench.run(transform(bench), code=spoil)
    assert run.code == 1
    assert run.result["failure"]["code"] == "internal"
    assert "ZeroDivisionError" in run.result["failure"]["message"]
    assert "Traceback" in run.err


def test_what_libraries_print_does_not_reach_standard_output(bench: Any) -> None:
    chatter = (
        "import llmops_runtime.data.transform as t, os\nreal = t.redact\n"
        "def noisy(text):\n    print('chatter'); os.write(1, b'deeper'); return real(text)\nt.redact = noisy"
    )
    run = bench.run(transform(bench), code=chatter)
    assert run.code == 0
    assert "chatter" in run.err
    assert "deeper" in run.err
    assert all(line.startswith("{") for line in run.out.splitlines())


def test_a_missing_extra_is_named(bench: Any) -> None:
    rows = {
        name: {"rows": bench.put_rows([{"q": f"{name} one", "a": "x"}, {"q": f"{name} two", "a": "y"}]).model_dump()}
        for name in ("train", "test")
    }
    payload = {
        "task": "check-data",
        "columns": {"q": {}, "a": {}},
        "recipe": 1,
        "inputColumns": ["q"],
        "targetColumn": "a",
        "splits": {name: one | {"declaredRows": 1} for name, one in rows.items()},
    }
    absent = "import sys\nsys.modules['sklearn'] = None"
    run = bench.run(payload, code=absent)
    assert run.code == 1
    assert run.result["failure"] == {
        "code": "missing-extra",
        "message": "check-data needs the extra `eval`: `sklearn` is not installed",
        "help": "pip install 'llmops[eval]'",
    }


def test_versions_are_compared_without_their_local_part(bench: Any) -> None:
    from llmops_spec.catalogue.versions import RECIPES

    payload = {
        "task": "train",
        "method": "pretrain",
        "rows": bench.put_rows([{"q": "x"}]).model_dump(),
        "seed": 0,
        "hyperParameters": {"learningRate": 0, "steps": 1, "batchSize": 1, "sequenceLength": 8},
        "recipe": RECIPES["train"],
        "versions": {"pytest": "0.1", "no-such-library": "1"},
    }
    run = bench.run(payload)
    assert run.result["failure"]["code"] == "missing-extra"
    assert "no-such-library" in run.result["failure"]["message"]
    from importlib.metadata import version

    payload["versions"] = {"pytest": f"{version('pytest')}+cpu", "pydantic": "0.1"}
    failure = bench.run(payload).result["failure"]
    assert failure["code"] == "version-mismatch"
    assert "pydantic is" in failure["message"]
    assert "pytest" not in failure["message"]


def test_tasks_speak_to_nobody_outside(bench: Any) -> None:
    rows = {
        name: bench.put_rows([{"q": f"{name} {word}", "a": word} for word in ("up", "down")])
        for name in ("train", "test")
    }
    payload = {
        "task": "check-data",
        "columns": {"q": {}, "a": {}},
        "recipe": 1,
        "inputColumns": ["q"],
        "targetColumn": "a",
        "splits": {name: {"rows": one.model_dump(), "declaredRows": 1} for name, one in rows.items()},
    }
    for task in (payload, transform(bench)):
        run = bench.run(task, code=bench.RECORD_SOCKETS)
        assert run.code == 0, run.err
        assert "OUTSIDE" not in run.err
    # the recorder itself records
    look = (
        bench.RECORD_SOCKETS
        + "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 9), timeout=0.01)\nexcept OSError: pass"
    )
    assert "OUTSIDE" in bench.run(transform(bench), code=look).err


def test_errors_of_rust_libraries_that_mean_a_full_disk_are_recognised() -> None:
    failure = failure_of(RuntimeError("I/O error: No space left on device (os error 28)"), task="train", extras=())
    assert failure is not None
    assert failure.code == "no-space"
    assert failure_of(RuntimeError("something else"), task="train", extras=()) is None
