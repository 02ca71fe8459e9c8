"""The runner: read a payload file, run its task, publish what it made, write one result file.

Called by `llmops_runtime.__main__`, in a child process or a pod. Promises: standard output carries `Progress` lines
alone; a result file is whole or absent; nothing is left in the temporary folder; trouble that could be foreseen ends
as a `TaskFailure`, never as a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from llmops_runtime.context import ProgressLines, TaskContext, write_result
from llmops_runtime.discovery import TASKS, Notes, TaskEntry
from llmops_runtime.environment import private_home, quiet_libraries
from llmops_runtime.failures import TaskFailed, failure_of, missing_extra
from llmops_runtime.secrecy import hide_secrets, secret_values
from llmops_runtime.supervise import end_with_supervisor
from llmops_spec.catalogue.versions import RECIPES
from llmops_spec.payloads.base import Payload, step_key
from llmops_spec.payloads.results import TaskFailure, TaskResult
from llmops_spec.secret import without_secrets
from llmops_spec.store import Manifest, load_manifest, publish

_INTERRUPTED: Final = 130
_SECONDS_TO_STOP: Final = 4.0
"""A library that does not come back to Python in that time after a signal is left where it is."""


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    task: str
    payload: Path
    result: Path


def main(arguments: Sequence[str]) -> int:
    """Run one task. Returns the exit code: 0 done, 1 failed, 2 misuse, 130 interrupted."""
    request = _parse(arguments)
    end_with_supervisor()
    with _progress_stream() as stream:
        _stop_on_signals()
        try:
            return _run(request, ProgressLines(stream=stream))
        except KeyboardInterrupt:
            _say(request, "interrupted")
            return _INTERRUPTED


def _parse(arguments: Sequence[str]) -> TaskRequest:
    parser = argparse.ArgumentParser(prog="llmops_runtime", description="Run one task from a payload file.")
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--payload", required=True, type=Path)
    parser.add_argument("--result", required=True, type=Path)
    given = parser.parse_args(arguments)
    return TaskRequest(task=given.task, payload=given.payload.absolute(), result=given.result.absolute())


@contextlib.contextmanager
def _progress_stream() -> Generator[TextIO]:
    """Keep standard output to ourselves: what libraries print there goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(own, "w", encoding="utf-8") as stream:
        yield stream


def _stop_on_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        timer = threading.Timer(_SECONDS_TO_STOP, os._exit, (_INTERRUPTED,))
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _run(request: TaskRequest, progress: ProgressLines) -> int:
    started = time.monotonic()
    hide_secrets(os.environ)
    entry = TASKS[request.task]
    key = _digest_of_file(request.payload)
    try:
        payload = _read_payload(request, entry)
        key = step_key(payload)
        manifest, notes = _run_in_private_folder(request, entry, payload, progress)
    except Exception as error:  # noqa: BLE001  # process boundary: a bug must reach the result file as well
        failure = failure_of(error, task=request.task, extras=entry.extras) or _bug(request.task, error)
        failure = failure.model_copy(update={"message": without_secrets(failure.message, secret_values(os.environ))})
        return _finish(request, TaskResult(task=request.task, key=key, failure=failure, seconds=_since(started)))
    if entry.standing:
        return 0
    result = TaskResult(
        task=request.task,
        key=key,
        manifest=manifest.digest() if manifest else None,
        seconds=_since(started),
        notes=dict(notes),
    )
    return _finish(request, result)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


def _finish(request: TaskRequest, result: TaskResult) -> int:
    try:
        write_result(request.result, result)
    except OSError as error:
        _say(request, f"the result file {request.result} cannot be written: {error.strerror}")
        return 1
    if result.failure is not None:
        _say(request, result.failure.message)
    return 1 if result.failure else 0


def _say(request: TaskRequest, sentence: str) -> None:
    sys.stderr.write(f"{request.task}: {sentence}\n")


def _bug(task: str, error: Exception) -> TaskFailure:
    traceback.print_exception(error)
    return TaskFailure(
        code="internal",
        message=f"{task} failed unexpectedly: {type(error).__name__}: {error}",
        help="the full account is in the step's log",
    )


def _digest_of_file(path: Path) -> str:
    """Stands for the key in the result of a payload that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return hashlib.sha256(b"").hexdigest()


def _read_payload(request: TaskRequest, entry: TaskEntry) -> Payload:
    from pydantic import ValidationError

    try:
        data: object = json.loads(request.payload.read_bytes())
    except OSError as error:
        raise TaskFailed("internal", f"the payload {request.payload} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TaskFailed("internal", f"the payload {request.payload} is not JSON: {error}") from error
    try:
        payload = entry.payload_type().model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the payload"
        raise TaskFailed(
            "internal", f"the payload does not fit the task `{request.task}`: {place}: {first['msg']}"
        ) from None
    _refuse_other_versions(request.task, payload, entry.extras)
    return payload


def _refuse_other_versions(task: str, payload: Payload, extras: tuple[str, ...]) -> None:
    """Hold the payload's recipe and library versions against what is here: other ones would make other results."""
    recipe: object = getattr(payload, "recipe", None)
    if recipe is not None and recipe != RECIPES.get(task):
        raise TaskFailed(
            "version-mismatch",
            f"the payload asks for recipe {recipe} of `{task}`; this llmops has {RECIPES.get(task)}",
            "plan again with this version of llmops, or install the one that planned",
        )
    wanted: Mapping[str, str] = getattr(payload, "versions", {})
    differing: list[str] = []
    for library, version in sorted(wanted.items()):
        try:
            installed = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            raise TaskFailed.of(missing_extra(task, extras, library)) from None
        if _public(installed) != _public(version):
            differing.append(f"{library} is {installed}, not {version}")
    if differing:
        raise TaskFailed(
            "version-mismatch",
            f"the installed libraries are not the ones that `{task}` was planned with: {'; '.join(differing)}",
            "install the pinned versions with `pip install -c`, giving the constraints file of llmops",
        )


def _public(version: str) -> str:
    """A version without its local part: `2.13.0+cu130` and `2.13.0` compute the same on one device."""
    return version.partition("+")[0]


def _run_in_private_folder(
    request: TaskRequest, entry: TaskEntry, payload: Payload, progress: ProgressLines
) -> tuple[Manifest | None, Notes]:
    environment = dict(os.environ)
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="llmops-task-", ignore_cleanup_errors=True) as name:
        work = Path(name).resolve()
        private_home(work / "home")
        quiet_libraries()
        context = TaskContext(
            key=step_key(payload),
            work=work,
            outputs=work / "outputs",
            result=request.result,
            environment=environment,
            progress=progress,
        )
        context.outputs.mkdir()
        os.chdir(work)
        try:
            return _run_task(entry, payload, context)
        finally:
            os.chdir(before)


def _run_task(entry: TaskEntry, payload: Payload, context: TaskContext) -> tuple[Manifest | None, Notes]:
    if entry.standing:
        entry.load()(payload, context)
        return None, {}
    store = context.store()
    held = load_manifest(store, context.key)
    if held is not None:
        return held, {"adopted": 1}
    notes = entry.load()(payload, context) or {}
    return publish(store, context.key, context.outputs), notes
