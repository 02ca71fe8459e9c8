"""Trust, journal, store, lock and saved plans, at fault: one message each, and after mending the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llmops.errors import Exit
from llmops_spec.digests import canonical, digest

from .conftest import Command

_HOLD = """
import sys, time
from pathlib import Path
from llmops.apply.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def _held(rows: Command) -> Iterator[subprocess.Popen[str]]:
    """The environment's lock, in the hands of another process."""
    path = str(rows.root / ".llmops" / "local" / "lock")
    with subprocess.Popen([sys.executable, "-c", _HOLD, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("words", [["apply"], ["destroy"], ["gate", "run"], ["gc"]], ids=" ".join)
def test_a_second_writer_is_refused_and_told_who_holds_the_lock(rows: Command, words: list[str]) -> None:
    with _held(rows) as other:
        rows(*words, "--env", "local", code=Exit.MISUSE).says(f"process {other.pid} on ", "since 20", "--lock-timeout")
        rows("status", "--env", "local")  # who only reads, may
        rows("plan", "--env", "local")
    rows(*words, "--env", "local")  # the lock died with its holder


def test_with_a_lock_timeout_it_waits(rows: Command) -> None:
    with _held(rows) as other:
        waiting = rows.start("apply", "--env", "local", "--lock-timeout", "1m")
        time.sleep(1.5)
        assert waiting.poll() is None
        other.send_signal(signal.SIGKILL)
        _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == Exit.CLEAN, err


def test_a_lock_timeout_ends(rows: Command) -> None:
    with _held(rows):
        rows("apply", "--env", "local", "--lock-timeout", "0.5s", code=Exit.MISUSE).says("another llmops")


# --- the store

ANOTHER = "apiVersion: llmops.dev/v1alpha1\nkind: Environment\nmetadata: {name: %s}\nspec: {target: {local: {}}}\n"


@pytest.mark.parametrize(
    ("store", "another"),
    [(".llmops/store", "store"), (".llmops/desk", "desk"), (".llmops/desk/a", "desk"), (".llmops", "a"), (".", "a")],
)
def test_a_store_that_lies_in_the_state_of_an_environment_is_refused(rows: Command, store: str, another: str) -> None:
    rows.edit("environment.yaml", "path: .llmops/store", f"path: {store}")
    rows.write({"another.yaml": ANOTHER % another})
    for environment in {"local", another if store == ".llmops/store" else "local"}:
        rows("apply", "--env", environment, code=Exit.MISUSE).says("the state of environment", "rename")
    assert not (rows.root / ".llmops" / "desk").exists()


def test_a_store_beside_the_states_is_taken(rows: Command) -> None:
    rows.write({"another.yaml": ANOTHER % "stores"})
    rows("plan", "--env", "local")
    rows("plan", "--env", "stores")


# --- trust


def _trust(rows: Command) -> Path:
    return rows.home / "config" / "llmops" / "trust.json"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["trust.json", "by hand"]),
        (b"{", ["trust.json", "by hand"]),
        (b"\xff\xfe", ["trust.json", "by hand"]),
        (b"[]", ["trust.json", "by hand"]),
        (b'{"formatVersion": 99}', ["trust.json", "newer llmops", "use that version"]),
        (b'{"formatVersion": 1, "keys": 7}', ["trust.json", "by hand"]),
    ],
)
def test_a_trust_file_that_says_nothing_is_refused(rows: Command, content: bytes, said: list[str]) -> None:
    rows("keys", "init")
    sound = _trust(rows).read_bytes()
    _trust(rows).write_bytes(content)

    rows("apply", "--env", "local", code=Exit.MISUSE).says(*said)

    assert _trust(rows).read_bytes() == content
    _trust(rows).write_bytes(sound)
    rows("apply", "--env", "local")


def test_a_lost_trust_file_is_no_beginning(rows: Command) -> None:
    rows("apply", "--env", "local")
    sound = _trust(rows).read_bytes()
    _trust(rows).unlink()

    rows("apply", "--env", "local", code=Exit.MISUSE).says(str(_trust(rows)), "LLMOPS_TRUST", "llmops keys init")

    assert not _trust(rows).exists()
    _trust(rows).write_bytes(sound)
    rows("apply", "--env", "local")


def test_a_lost_signing_key_is_said(rows: Command) -> None:
    rows("keys", "init")
    (key,) = (_trust(rows).parent / "keys").iterdir()
    key.unlink()
    rows("apply", "--env", "local", code=Exit.MISUSE).says("no key", "private half")


def test_keys_are_never_written_over(rows: Command) -> None:
    rows("keys", "init")
    sound = _trust(rows).read_bytes()
    rows("keys", "init", code=Exit.MISUSE).says(str(_trust(rows)), "never written over")
    assert _trust(rows).read_bytes() == sound


# --- journal


@pytest.mark.parametrize("words", [["apply"], ["plan"], ["status"], ["destroy"], ["gc"]], ids=" ".join)
def test_a_journal_that_is_no_database(rows: Command, words: list[str]) -> None:
    rows("apply", "--env", "local")
    path = rows.root / ".llmops" / "local" / "journal.db"
    sound = path.read_bytes()
    path.write_bytes(b"this is no database, and it is longer than a header of one hundred bytes would be. " * 4)

    rows(*words, "--env", "local", code=Exit.MISUSE).says(str(path), "restore it")

    path.write_bytes(sound)
    rows("apply", "--env", "local")


def test_a_journal_of_a_newer_version(rows: Command) -> None:
    rows("apply", "--env", "local")
    with closing(sqlite3.connect(rows.root / ".llmops" / "local" / "journal.db")) as database:
        database.execute("PRAGMA user_version = 99")
    rows("apply", "--env", "local", code=Exit.MISUSE).says("journal", "newer llmops", "use that version")


def test_a_journal_in_the_place_of_a_folder(rows: Command) -> None:
    rows.write({".llmops": "a file"})
    rows("plan", "--env", "local", code=Exit.MISUSE).says(".llmops")
    (rows.root / ".llmops").unlink()
    rows("plan", "--env", "local")


# --- store


@pytest.mark.parametrize("words", [["plan"], ["apply"]], ids=" ".join)
def test_a_store_whose_path_is_a_file(rows: Command, words: list[str]) -> None:
    rows.write({"store": "a file"})
    rows.edit("environment.yaml", "path: .llmops/store", "path: store")

    rows(*words, "--env", "local", code=Exit.MISUSE).says(str(rows.root / "store"), "folder")

    (rows.root / "store").unlink()
    rows("apply", "--env", "local")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_may_not_be_written(rows: Command) -> None:
    (rows.root / "store").mkdir(mode=0o500)
    rows.edit("environment.yaml", "path: .llmops/store", "path: store")
    rows("apply", "--env", "local", code=Exit.STEP_FAILED).says("fetch/rows@train", "Permission denied")
    (rows.root / "store").chmod(0o700)
    rows("apply", "--env", "local")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "unreadable manifest"), (b'{"formatVersion": 99', "unreadable manifest")]
)
def test_a_stored_manifest_that_cannot_be_read_is_tampering(rows: Command, content: bytes, said: str) -> None:
    rows("apply", "--env", "local")
    for manifest in (rows.root / ".llmops" / "store").glob("*/manifest.json"):
        manifest.chmod(0o644)
        manifest.write_bytes(content)
    rows("apply", "--env", "local", code=Exit.TAMPERED).says("fetch/rows@train", said, "llmops evidence discard")
    for words in (["plan"], ["gate", "run"], ["evidence", "verify"]):
        rows(*words, "--env", "local", code=Exit.TAMPERED).says(said)
    rows("gc", code=Exit.CLEAN)


def test_a_result_that_is_gone_is_tampering_until_it_is_given_up(rows: Command) -> None:
    rows("apply", "--env", "local")
    plan = json.loads(rows("plan", "--env", "local", "--format", "json").out)
    key = next(one["step"]["key"] for one in plan["plan"]["steps"] if one["step"]["kind"] == "fetch")
    (rows.root / ".llmops" / "store" / key / "manifest.json").unlink()
    rows("apply", "--env", "local", code=Exit.TAMPERED).says("llmops evidence discard fetch/rows@train")
    rows("evidence", "discard", "fetch/rows@train", "--env", "local")
    rows("apply", "--env", "local")
    assert "nothing to do" in rows("plan", "--env", "local").out


def test_a_store_that_is_another_one_is_said_as_that(rows: Command) -> None:
    rows("apply", "--env", "local")
    rows.edit("environment.yaml", ".llmops/store", ".llmops/elsewhere")
    rows("apply", "--env", "local", code=Exit.TAMPERED).says("has none of the 2 results", "store.file.path")
    rows.edit("environment.yaml", ".llmops/elsewhere", ".llmops/store")
    assert "nothing to do" in rows("apply", "--env", "local").out


# --- saved plans


def _saved(rows: Command) -> Path:
    path = rows.home / "plan.json"
    rows("plan", "--env", "local", "--out", str(path))
    return path


def test_a_saved_plan_is_applied_once_and_no_longer_fits_when_something_else_was(rows: Command) -> None:
    path = _saved(rows)
    rows("apply", str(path))
    assert "nothing to do" in rows("apply", str(path)).out  # its own progress is no movement
    rows.edit("data/train.jsonl", "q 1", "q one")
    rows("apply", "--env", "local")
    rows.edit("data/train.jsonl", "q one", "q 1")
    rows("apply", str(path), code=Exit.TAMPERED).says("no longer fits", "llmops plan --env local")


def test_a_plan_that_is_not_there(rows: Command) -> None:
    rows("apply", str(rows.home / "none.json"), code=Exit.MISUSE).says("none.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"plan": 1}', b'{"plan": {}}', b"\xff\xfe\x00"])
def test_a_plan_that_is_none(rows: Command, content: bytes) -> None:
    path = rows.home / "plan.json"
    path.write_bytes(content)
    rows("apply", str(path), code=Exit.TAMPERED).says("plan.json", "llmops plan --out")


def test_a_plan_of_a_newer_version(rows: Command) -> None:
    path = _saved(rows)
    saved = json.loads(path.read_bytes())
    saved["plan"]["formatVersion"] = 99
    path.write_bytes(canonical({**saved, "bytes": digest(saved["plan"])}))
    rows("apply", str(path), code=Exit.MISUSE).says("plan.json", "newer llmops")


def test_an_edited_plan(rows: Command) -> None:
    path = _saved(rows)
    path.write_bytes(path.read_bytes().replace(b'"environment":"local"', b'"environment":"locla"'))
    rows("apply", str(path), code=Exit.TAMPERED).says("plan.json", "edited")


def test_a_plan_for_another_environment(rows: Command) -> None:
    rows("apply", str(_saved(rows)), "--env", "other", code=Exit.MISUSE).says("`local`", "`other`")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("dataset.yaml", "rows: 3", "rows: 2"), ("data/train.jsonl", "q 1", "q one")],
)
def test_a_spec_or_a_file_that_changed_since(rows: Command, file: str, old: str, new: str) -> None:
    path = _saved(rows)
    rows.edit(file, old, new)
    rows("apply", str(path), code=Exit.TAMPERED).says("the spec or a file that it names")
    assert not (rows.root / ".llmops" / "store").exists()
    rows.edit(file, new, old)
    rows("apply", str(path))


def test_a_plan_cannot_be_saved_into_a_folder_that_is_a_file(rows: Command) -> None:
    rows.write({"out": "a file"})
    rows("plan", "--env", "local", "--out", str(rows.root / "out" / "plan.json"), code=Exit.MISUSE).says("out")
