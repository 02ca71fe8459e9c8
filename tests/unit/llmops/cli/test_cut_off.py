"""A command that is interrupted, or whose disk is full: it says so, leaves no child and nothing half, and goes on."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from llmops.errors import Exit

from .conftest import Command, Ended

_MANY = 20_000
_LIMIT = 1 << 20
"""Bytes a file may have: the journal fits, the rows do not."""


@pytest.fixture
def many_rows(rows: Command) -> Command:
    """Enough rows for `check-data` to run for a while."""
    text = "".join(f'{{"question": "question number {n} of many", "answer": "a {n}"}}\n' for n in range(_MANY))
    rows.write({"data/train.jsonl": text})
    assert len(text) > _LIMIT
    return rows


def _task_of(command: subprocess.Popen[str]) -> psutil.Process:
    """The child in which a step runs, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(command.pid).children():
            if "check-data" in child.cmdline():
                return child
        time.sleep(0.01)
    raise AssertionError("no child was started")


def _stored(rows: Command) -> list[Path]:
    return sorted((rows.root / ".llmops" / "store").glob("*/manifest.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_an_interrupted_command_ends_its_child_and_is_resumed(many_rows: Command, number: signal.Signals) -> None:
    running = many_rows.start("apply", "--env", "local")
    task = _task_of(running)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)

    assert running.returncode == Exit.INTERRUPTED, err
    Ended(code=Exit.INTERRUPTED, out=out, err=err).says("interrupted", "same command again", "starts again")
    assert not task.is_running() or task.status() == psutil.STATUS_ZOMBIE
    assert len(_stored(many_rows)) == 1  # what was fetched, whole
    assert not list(many_rows.root.glob(".llmops/local/outputs-*"))

    again = many_rows("apply", "--env", "local")
    assert "fetch/rows@train" in again.out
    assert "cached" in again.out
    assert "nothing to do" in many_rows("plan", "--env", "local").out


def test_a_command_that_is_killed_leaves_a_child_that_the_next_run_ends(many_rows: Command) -> None:
    running = many_rows.start("apply", "--env", "local")
    task = _task_of(running)
    task.suspend()  # so that it cannot end by itself
    running.kill()
    running.communicate(timeout=60)
    assert task.is_running()
    threading.Timer(1.0, task.resume).start()  # it has been told to end by then

    ended = many_rows("apply", "--env", "local")

    assert "ended what a run that was cut off has left: " in ended.err
    assert not task.is_running() or task.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_was_never_journaled_is_found_too(many_rows: Command) -> None:
    running = many_rows.start("apply", "--env", "local")
    task = _task_of(running)
    task.suspend()
    running.kill()
    running.communicate(timeout=60)
    with closing(sqlite3.connect(many_rows.root / ".llmops" / "local" / "journal.db")) as database:
        database.execute("DELETE FROM processes")
        database.commit()
    threading.Timer(1.0, task.resume).start()

    ended = many_rows("apply", "--env", "local")

    assert "ended what a run that was cut off has left: child check-data-rows" in ended.err
    assert not task.is_running() or task.status() == psutil.STATUS_ZOMBIE


def test_a_task_that_is_killed_is_a_failed_step(many_rows: Command) -> None:
    running = many_rows.start("apply", "--env", "local")
    _task_of(running).kill()
    out, err = running.communicate(timeout=60)

    assert running.returncode == Exit.STEP_FAILED, err
    Ended(code=running.returncode, out=out, err=err).says("check-data/rows", "signal 9", "check-data-rows.log")
    many_rows("apply", "--env", "local")


def test_a_full_disk_is_a_failed_step_and_then_the_same_command_goes_on(many_rows: Command) -> None:
    """A limit on the size of a file stands for the disk: writing fails in the middle of the rows."""
    many_rows("keys", "init")
    script = Path(sys.executable).with_name("llmops")
    done = subprocess.run(
        [script, "-C", many_rows.root, "apply", "--env", "local"],
        env=many_rows.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == Exit.STEP_FAILED, (done.stdout, done.stderr)
    Ended(code=done.returncode, out=done.stdout, err=done.stderr).says("fetch/rows@train", "File too large", "again")
    assert _stored(many_rows) == []
    assert not list(many_rows.root.glob(".llmops/local/outputs-*"))
    assert not list(many_rows.root.glob(".llmops/store/.tmp/*"))
    many_rows("apply", "--env", "local")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [["schema"], ["plan", "--env", "local"], ["--help"], ["explain", "unknown-key"]])
def test_output_that_cannot_be_written_is_said(rows: Command, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [Path(sys.executable).with_name("llmops"), "-C", rows.root, *words],
            env=rows.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == Exit.MISUSE, done.stderr
    Ended(code=done.returncode, out="", err=done.stderr).says("No space left on device")


@pytest.mark.parametrize("words", [["schema"], ["plan", "--env", "local"], ["validate"], ["doctor"]], ids=" ".join)
@pytest.mark.parametrize("both", [False, True], ids=["stdout", "both"])
def test_who_stops_reading_is_no_error(rows: Command, words: list[str], both: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [Path(sys.executable).with_name("llmops"), "-C", rows.root, *words],
        env=rows.environment(),
        stdout=writing,
        stderr=writing if both else subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.returncode == Exit.CLEAN
    assert not done.stderr


def test_who_stops_reading_does_not_stop_an_apply(rows: Command) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    script = Path(sys.executable).with_name("llmops")
    words = [script, "-C", rows.root, "apply", "--env", "local"]
    done = subprocess.run(words, env=rows.environment(), stdout=writing, stderr=writing, check=False, timeout=60)
    os.close(writing)
    assert done.returncode == Exit.CLEAN
    assert len(_stored(rows)) == 2


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(rows: Command, redirection: str) -> None:
    script = f'"{Path(sys.executable).with_name("llmops")}" -C "{rows.root}" apply --env local {redirection}'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=rows.environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == Exit.CLEAN, done.stderr
    assert "Traceback" not in done.stderr
    rows("plan", "--env", "local")
