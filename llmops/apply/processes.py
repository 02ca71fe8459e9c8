"""Child processes of the runtime: one-shot tasks and standing servers, each from a payload file.

Children get an environment of a few variables, a private home and a log file. Every one is journaled with its start
time, so that a killed `apply` leaves none that the next one cannot find and end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from llmops.apply.journal import Journal
from llmops.errors import Exit, OperationFailed
from llmops.io.files import write_atomically
from llmops_spec.payloads import process
from llmops_spec.payloads.base import Payload, payload_bytes
from llmops_spec.payloads.results import Progress, TaskResult
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload, Ready, Supervision
from llmops_spec.secret import SecretValue, Variables

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """A child, known by its id and start time: an id alone may have been given to another process since."""

    pid: int
    started: float
    """From `started_at`."""

    def is_alive(self) -> bool:
        """Whether it is still the process that was started, and has not ended."""
        try:
            found = psutil.Process(self.pid)
            return started_at(self.pid) == self.started and found.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """End it: SIGTERM, then SIGKILL for what is left after `seconds`."""
        self.send(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        try:
            if self.is_alive():
                psutil.Process(self.pid).send_signal(number)
        except psutil.Error:
            return


def started_at(pid: int) -> float:
    """When a process began, in the kernel's own count, which no change of the clock moves.

    Linux: clock ticks since boot. Elsewhere: seconds since the epoch.

    Raises:
        OSError, psutil.Error: there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        return float(stat.read_bytes().rpartition(b")")[2].split()[19])
    return psutil.Process(pid).create_time()


@dataclass(frozen=True, kw_only=True)
class ProcessHost:
    """Starts children for one environment, below its state folder."""

    folder: Path
    journal: Journal

    def run_task(
        self, payload: Payload, name: str, variables: Variables, on_progress: Callable[[Progress], None]
    ) -> TaskResult:
        """Run a one-shot task to its end.

        Raises:
            OperationFailed: it ended without a result; the message names its log.
            KeyboardInterrupt: passed on, after the child has been stopped.
        """
        place = self._place(name)
        child, running = self._started(f"task {name}", payload, name, place, variables, stdout=subprocess.PIPE)
        assert child.stdout is not None  # piped above
        try:
            for line in child.stdout:
                if line.endswith(b"\n"):  # a child that is killed may leave a part of a line
                    on_progress(Progress.model_validate_json(line))
            child.wait()
        finally:
            self.end(running)
            child.wait()
            child.stdout.close()
        return _task_result(place / "result.json", child.returncode, name, self.log_path(name))

    def start_server(
        self,
        payload: EnginePayload | GatewayPayload,
        name: str,
        variables: Mapping[str, str],
        *,
        supervised: bool = False,
    ) -> Server:
        """Start a standing process; it is not ready yet. It outlives this one.

        With `supervised` the process is the supervisor of the one that serves, and all that is done to a server is
        done to it.
        """
        place = self._place(name)
        _, running = self._started(
            f"server {name}", payload, name, place, variables, stdout=subprocess.DEVNULL, supervised=supervised
        )
        return Server(
            name=name,
            process=running,
            result=place / "result.json",
            log=self.log_path(name),
        )

    def supervision(self, name: str) -> Supervision:
        """What the supervisor of a server has noted; nothing, where it never had to start it again."""
        try:
            return Supervision.model_validate_json((self._folder_of(name) / process.SUPERVISION_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return Supervision()

    def end(self, running: RunningProcess) -> None:
        """Stop a child, if it still runs, and strike it from the journal."""
        running.stop()
        self.journal.process_ended(running.pid, running.started)

    def end_leftovers(self, keep: frozenset[int]) -> list[str]:
        """Stop the children that a killed run has left, but for the process ids in `keep`. Returns their roles."""
        ended: list[str] = []
        journaled = [(RunningProcess(pid=pid, started=at), role) for pid, at, role in self.journal.processes()]
        for running, role in [*journaled, *self._unjournaled({one.pid for one, _ in journaled}, keep)]:
            if running.is_alive():
                if running.pid in keep:
                    continue
                ended.append(role)
            self.end(running)
        return ended

    def _unjournaled(self, known: set[int], keep: frozenset[int]) -> Iterator[tuple[RunningProcess, str]]:
        """Children of a run that was killed before it could write that it had started them, and of dead supervisors.

        What a supervisor in `keep` has started is its own affair.
        """
        places = str(self.folder / "run") + os.sep
        for one in psutil.process_iter(["pid", "ppid", "cmdline"]):
            if one.info["ppid"] in keep:
                continue
            words: list[str] = one.info["cmdline"] or []
            payload = next((word for word in words if word.startswith(places)), None)
            if payload is not None and "llmops_runtime" in words and one.info["pid"] not in known:
                running = RunningProcess(pid=one.info["pid"], started=started_at(one.info["pid"]))
                yield running, f"child {Path(payload).parent.name}"

    def log_path(self, name: str) -> Path:
        return self.folder / "logs" / f"{name.replace('/', '-')}.log"

    def _folder_of(self, name: str) -> Path:
        return self.folder / "run" / name.replace("/", "-")

    def _place(self, name: str) -> Path:
        """A fresh folder for one child's payload, result, home and temporary files."""
        place = self._folder_of(name)
        shutil.rmtree(place, ignore_errors=True)
        (place / "tmp").mkdir(parents=True)
        return place

    def _started(
        self,
        role: str,
        payload: Payload,
        name: str,
        place: Path,
        variables: Variables,
        *,
        stdout: int,
        supervised: bool = False,
    ) -> tuple[subprocess.Popen[bytes], RunningProcess]:
        """Start a child and journal it; an interrupt that comes meanwhile ends it again."""
        with _interrupts_held() as came:
            child = self._start(payload, name, place, variables, stdout=stdout, supervised=supervised)
            running = self._journaled(child, role)
        if came:
            self.end(running)
            raise KeyboardInterrupt
        return child, running

    def _start(
        self, payload: Payload, name: str, place: Path, variables: Variables, *, stdout: int, supervised: bool
    ) -> subprocess.Popen[bytes]:
        task = payload.to_json()["task"]
        words = ("supervise", task) if supervised else (task,)
        write_atomically(place / "payload.json", payload_bytes(payload))
        log = self.log_path(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        environment |= {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
        environment |= {key: one.reveal() if isinstance(one, SecretValue) else one for key, one in variables.items()}
        (place / "home").mkdir()
        with log.open("wb") as stream:
            return subprocess.Popen(
                [
                    *(sys.executable, "-I", "-m", "llmops_runtime", *words),
                    *("--payload", str(place / "payload.json"), "--result", str(place / "result.json")),
                ],
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stream,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )

    def _journaled(self, child: subprocess.Popen[bytes], role: str) -> RunningProcess:
        try:
            started = started_at(child.pid)
        except (psutil.Error, OSError):
            started = 0.0  # it has ended already; its result says why
        self.journal.process_started(child.pid, started, role)
        return RunningProcess(pid=child.pid, started=started)


@contextmanager
def _interrupts_held() -> Generator[list[int]]:
    """Hold back what would raise `KeyboardInterrupt`. Yields the numbers of the signals that came."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handled = {number: one for number, one in before.items() if callable(one) and _in_main_thread()}
    for number in handled:
        signal.signal(number, lambda given, _: came.append(given))
    try:
        yield came
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@dataclass(frozen=True, kw_only=True)
class Server:
    """A standing process that was started."""

    name: str
    process: RunningProcess
    result: Path
    log: Path

    def wait_ready(self, seconds: float) -> Ready:
        """Wait until it says that it can take requests.

        Raises:
            OperationFailed: it gave up, ended or is late; the message carries its own reason.
        """
        return self.wait_for(lambda ready: True, seconds)  # noqa: ARG005  # any word from it will do

    def wait_for(self, condition: Callable[[Ready], bool], seconds: float) -> Ready:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            alive = self.process.is_alive()
            ready = self._ready()
            if ready is not None and condition(ready):
                return ready
            if not alive:
                raise self._gave_up()
            time.sleep(_POLL_SECONDS)
        raise OperationFailed(
            f"`{self.name}` was not ready after {seconds:g} s",
            help=f"read its log, {self.log}",
            exit_code=Exit.STEP_FAILED,
        )

    def _ready(self) -> Ready | None:
        try:
            text = self.result.read_bytes()
        except FileNotFoundError:
            return None
        return Ready.model_validate_json(text) if b'"port"' in text else None

    def _gave_up(self) -> OperationFailed:
        try:
            failure = TaskResult.model_validate_json(self.result.read_bytes()).failure
        except (OSError, ValueError):
            failure = None
        if failure is None:
            said, advice = f"`{self.name}` ended before it was ready", f"read its log, {self.log}"
        else:
            said, advice = failure.message, failure.help or f"its log is {self.log}"
        return OperationFailed(said, help=advice, exit_code=Exit.STEP_FAILED)


def _task_result(path: Path, returncode: int, name: str, log: Path) -> TaskResult:
    try:
        result = TaskResult.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
        raise OperationFailed(
            f"{name} ended with {how} and no result",
            help=f"read its log, {log}; the same command goes on from here",
            exit_code=Exit.STEP_FAILED,
        ) from error
    if result.failure is not None:
        raise OperationFailed(
            f"{name}: {result.failure.message}",
            help=result.failure.help or f"its log is {log}",
            exit_code=Exit.STEP_FAILED,
        )
    return result
