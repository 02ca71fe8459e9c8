"""A supervisor and what it keeps up: a child that ends, one that never starts, one that fails for ever, and orphans."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llmops_spec.payloads.serving import Supervision

ROOT = Path(__file__).parents[3]
CHILD = """
import json, os, signal, socket, sys, time
sys.path.insert(0, {root!r})
from llmops_runtime.supervise import end_with_supervisor
result, lives = {result!r}, {lives!r}
with open(lives, "a") as log:
    log.write(os.environ["LLMOPS_LISTEN"] + "\\n")
count = len(open(lives).readlines())
if count in {dead_on_arrival!r}:
    sys.exit(7)
end_with_supervisor()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
host, port = os.environ["LLMOPS_LISTEN"].split(":")
listener.bind((host, int(port)))
state = {{"pid": os.getpid(), "port": listener.getsockname()[1], "publicPort": None}}
def say():
    with open(result + ".new", "w") as stream:
        json.dump(state, stream)
    os.replace(result + ".new", result)
def publish(*_):
    state["publicPort"] = 1
    say()
def stop(*_):
    time.sleep(0.2)  # drains
    open(lives, "a").write("drained\\n")
    sys.exit(0)
signal.signal(signal.SIGUSR1, publish)
signal.signal(signal.SIGTERM, stop)
say()
while True:
    time.sleep(0.05)
"""
SUPERVISOR = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from llmops_runtime.supervise import Supervisor
command, result = (sys.executable, "-c", Path({child!r}).read_text()), Path({result!r})
sys.exit(Supervisor(command=command, result=result, pauses_seconds={pauses!r}, steady_seconds={steady!r}).run())
"""


class Supervised:
    """A supervisor in a process of its own, over a child of a few lines."""

    def __init__(
        self, folder: Path, dead_on_arrival: tuple[int, ...], pauses: tuple[float, ...], steady: float
    ) -> None:
        self.result, self.lives = folder / "result.json", folder / "lives"
        child, values = folder / "child.py", {"root": str(ROOT), "result": str(self.result)}
        child.write_text(CHILD.format(**values, lives=str(self.lives), dead_on_arrival=dead_on_arrival))
        code = SUPERVISOR.format(**values, child=str(child), pauses=pauses, steady=steady)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                env={"PATH": os.environ["PATH"], "LLMOPS_LISTEN": "127.0.0.1:0"},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def ready(self, wanted: Callable[[dict[str, int]], bool] = lambda _: True) -> dict[str, int]:
        for _ in range(200):
            if self.result.exists() and wanted(found := json.loads(self.result.read_text())):
                return found
            time.sleep(0.05)
        raise AssertionError(self.result.read_text() if self.result.exists() else "no result")

    def again(self, before: dict[str, int]) -> dict[str, int]:
        return self.ready(lambda found: found["pid"] != before["pid"])

    def noted(self) -> Supervision:
        return Supervision.model_validate_json((self.result.parent / "supervision.json").read_bytes())


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def start(
        dead_on_arrival: tuple[int, ...] = (), pauses: tuple[float, ...] = (0.1, 0.1, 0.1), steady: float = 60.0
    ) -> Supervised:
        made.append(Supervised(tmp_path, dead_on_arrival, pauses, steady))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()


def test_a_child_that_is_killed_comes_back_on_its_port_and_takes_the_public_one_again(supervised) -> None:
    one = supervised()
    first = one.ready()
    one.process.send_signal(signal.SIGUSR1)
    one.ready(lambda found: found["publicPort"] == 1)

    os.kill(first["pid"], signal.SIGKILL)
    second = one.ready(lambda found: found["pid"] != first["pid"] and found["publicPort"] == 1)

    assert second["port"] == first["port"]
    assert one.noted() == Supervision(restarts=1, last_end="signal 9")
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(10) == 0
    assert "the process ended with signal 9; restart 1" in one.log.read_text()


def test_one_that_was_not_public_stays_private(supervised) -> None:
    one = supervised()
    first = one.ready()
    os.kill(first["pid"], signal.SIGKILL)

    assert one.again(first)["publicPort"] is None


def test_a_stop_drains_the_child_and_starts_nothing_again(supervised) -> None:
    one = supervised()
    child = one.ready()["pid"]

    one.process.send_signal(signal.SIGTERM)

    assert one.process.wait(10) == 0
    assert one.lives.read_text().splitlines()[1:] == ["drained"]
    assert not psutil.pid_exists(child)


def test_a_child_that_never_was_ready_is_not_started_again(supervised) -> None:
    one = supervised(dead_on_arrival=(1,))

    assert one.process.wait(10) == 7
    assert len(one.lives.read_text().splitlines()) == 1


def test_it_gives_up_after_as_many_failures_in_a_row_as_it_has_pauses(supervised) -> None:
    one = supervised(dead_on_arrival=(2, 3, 4))
    os.kill(one.ready()["pid"], signal.SIGKILL)

    assert one.process.wait(20) == 1
    assert len(one.lives.read_text().splitlines()) == 4
    assert one.noted() == Supervision(restarts=3, last_end="exit code 7", gave_up=True)
    assert "given up after 3 restarts" in one.log.read_text()


def test_it_tries_on_after_a_restart_that_failed(supervised) -> None:
    one = supervised(dead_on_arrival=(2,))
    first = one.ready()
    os.kill(first["pid"], signal.SIGKILL)

    assert one.again(first)["port"] == first["port"]
    assert one.noted().restarts == 2


def test_a_child_that_lived_long_enough_may_fail_as_often_again(supervised) -> None:
    one = supervised(pauses=(0.1,), steady=0.0)
    before = one.ready()
    for _ in range(3):
        os.kill(before["pid"], signal.SIGKILL)
        before = one.again(before)

    assert one.noted().restarts == 3


def test_a_stop_while_it_waits_to_start_again_ends_it(supervised) -> None:
    one = supervised(pauses=(30.0,))
    os.kill(one.ready()["pid"], signal.SIGKILL)
    for _ in range(100):
        if (one.result.parent / "supervision.json").exists():
            break
        time.sleep(0.05)
    one.process.send_signal(signal.SIGTERM)

    assert one.process.wait(5) == 0


def test_no_child_outlives_a_supervisor_that_is_killed(supervised) -> None:
    one = supervised()
    child = psutil.Process(one.ready()["pid"])

    one.process.kill()
    one.process.wait(5)

    for _ in range(100):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    raise AssertionError("the child is still there")
