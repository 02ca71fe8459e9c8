"""Keeps one standing process up: started in its place, starts it, and starts it again when it ends by itself.

Called by `llmops_runtime.__main__`, as `supervise TASK --payload … --result …`, for engines and gateways that serve on
a desk; in a cluster the kubelet does this. Promises: SIGTERM and SIGINT end the child in its own time, and then the
supervisor; a child that ends before it was ever ready is not started again, so that its starter hears why; a child
keeps its port over restarts and takes the public one again; no child outlives its supervisor.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from llmops_spec.payloads import process

_PAUSES_SECONDS: Final = (0.5, 1.0, 5.0, 15.0, 60.0)
"""Before the first, second, … restart in a row; then it gives up."""
_STEADY_SECONDS: Final = 300.0
"""A child that lived that long begins a new row."""
_POLL_SECONDS: Final = 0.1
_ABANDONED: Final = 3
"""Exit code of a child whose supervisor is gone."""


def main(arguments: Sequence[str]) -> int:
    """Supervise the task of these arguments. Returns the last child's exit code, 1 where it was given up."""
    result = Path(arguments[arguments.index("--result") + 1])
    return Supervisor(command=(sys.executable, "-I", "-m", "llmops_runtime", *arguments), result=result).run()


def end_with_supervisor() -> None:
    """In a child: end as soon as the supervisor has, whatever ended it. It holds the other end of standard input."""
    if process.SUPERVISED not in os.environ:
        return

    def watch() -> None:
        os.read(0, 1)
        os._exit(_ABANDONED)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


@dataclass(kw_only=True)
class Supervisor:
    command: Sequence[str]
    result: Path
    """Where the child says that it is ready. What is known of restarts is written beside it."""
    pauses_seconds: Sequence[float] = _PAUSES_SECONDS
    steady_seconds: float = _STEADY_SECONDS
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)
    _published: bool = field(default=False, init=False)
    """The child was told to take the public address over."""

    def run(self) -> int:
        """Keep the child up until a signal ends it, or it was started too often. Returns an exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._pass_on)
        environment = {**os.environ, process.SUPERVISED: "1"}
        lifeline, _kept = os.pipe()
        restarts = in_a_row = 0
        while True:
            began = time.monotonic()
            code = self._one_life(environment, lifeline)
            port = _port(self.result)
            if self._stopping or (port is None and not restarts):
                return _exit_code(code)
            in_a_row = 0 if time.monotonic() - began >= self.steady_seconds else in_a_row
            if in_a_row == len(self.pauses_seconds):
                self._note(restarts, code, gave_up=True)
                return 1
            restarts, in_a_row = restarts + 1, in_a_row + 1
            self._note(restarts, code)
            self._pause(self.pauses_seconds[in_a_row - 1])
            if self._stopping:
                return 0
            if port is not None:
                environment[process.LISTEN] = _same_port(environment, port)
            self.result.unlink(missing_ok=True)

    def _one_life(self, environment: Mapping[str, str], lifeline: int) -> int:
        """Start a child and wait for its end. Returns its exit code, negative for a signal."""
        self._child = subprocess.Popen(self.command, env=environment, stdin=lifeline)  # noqa: S603  # ours
        if self._stopping:  # it came while the child was being started
            self._child.terminate()
        while self._child.poll() is None and _port(self.result) is None:
            time.sleep(_POLL_SECONDS)
        if self._published and self._child.poll() is None:
            self._child.send_signal(signal.SIGUSR1)
        return self._child.wait()

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._published = True
        else:
            self._stopping = True
        if self._child is not None and (number != signal.SIGUSR1 or _port(self.result) is not None):
            self._child.send_signal(number)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def _note(self, restarts: int, code: int, *, gave_up: bool = False) -> None:
        """Say in the log what happened, and leave it for `llmops status`."""
        from llmops_runtime.context import write_result
        from llmops_spec.payloads.serving import Supervision

        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        what = f"given up after {restarts} restarts" if gave_up else f"restart {restarts}"
        sys.stderr.write(f"supervisor: the process ended with {how}; {what}\n")
        sys.stderr.flush()
        note = Supervision(restarts=restarts, last_end=how, gave_up=gave_up)
        with contextlib.suppress(OSError):  # a full disk is no reason to serve no more
            write_result(self.result.with_name(process.SUPERVISION_FILE), note)


def _exit_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _same_port(environment: Mapping[str, str], port: int) -> str:
    host = environment.get(process.LISTEN, "").rpartition(":")[0]
    return f"{host or '127.0.0.1'}:{port}"


def _port(result: Path) -> int | None:
    """The port of a child that has said that it is ready."""
    try:
        found: object = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return None
    port = found.get("port") if isinstance(found, dict) else None
    return port if isinstance(port, int) else None
