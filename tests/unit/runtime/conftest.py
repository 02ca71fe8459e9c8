"""What tests of the runtime share: a store, rows in it, and tasks run as the executor runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmops_runtime.context import ProgressLines, TaskContext
from llmops_runtime.stores.file import FileStore
from llmops_spec.digests import digest_bytes
from llmops_spec.payloads import process
from llmops_spec.payloads.base import Payload, step_key
from llmops_spec.payloads.data import Rows
from llmops_spec.store import make_ref, publish

RECORD_SOCKETS = """
import sys, socket
def note(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        if not (isinstance(address, tuple) and str(address[0]) in ("127.0.0.1", "::1", "localhost")):
            sys.stderr.write(f"OUTSIDE {event} {address}\\n")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if str(arguments[0]) not in ("127.0.0.1", "::1", "localhost"):
            sys.stderr.write(f"OUTSIDE {event} {arguments[0]}\\n")
sys.addaudithook(note)
"""


@dataclass(kw_only=True)
class Bench:
    """A folder with a store, and tasks run in it: in this process, or as a child process."""

    RECORD_SOCKETS: ClassVar[str] = RECORD_SOCKETS
    """For `start` and `run`: writes OUTSIDE to standard error where a process looks or connects beyond loopback."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.store = FileStore(self.root / "store")
        self.environment.setdefault(process.STORE, f"file:{self.root / 'store'}")

    def put(self, data: bytes, *, file_format: str = "jsonl") -> Rows:
        folder = self.fresh("put")
        (folder / "rows").write_bytes(data)
        key = digest_bytes(data)
        publish(self.store, key, folder)
        return Rows(ref=make_ref(key, "rows"), format=file_format)

    def put_rows(self, rows: Sequence[Mapping[str, Any]]) -> Rows:
        return self.put("".join(json.dumps(row) + "\n" for row in rows).encode())

    def put_folder(self, folder: Path, name: str) -> str:
        """Store a folder as output `name` of a step of its own; returns its reference."""
        self.count += 1
        outer = self.fresh("put")
        folder.rename(outer / name)
        key = digest_bytes(f"{self.root}{self.count}".encode())
        publish(self.store, key, outer)
        return make_ref(key, name)

    def context(self, payload: Payload) -> TaskContext:
        work = self.fresh("work")
        (work / "outputs").mkdir()
        return TaskContext(
            key=step_key(payload),
            work=work,
            outputs=work / "outputs",
            result=self.root / "result.json",
            environment=self.environment,
            progress=ProgressLines(stream=StringIO()),
        )

    def start(self, payload: Mapping[str, Any], *, code: str = "") -> subprocess.Popen[str]:
        """Start a task as a child; with `code`, that is run first in the same interpreter."""
        folder = self.fresh("run")
        (folder / "payload.json").write_text(json.dumps(payload))
        self.result_path = folder / "result.json"
        begin = ["-c", f"{code}\nimport sys\nfrom llmops_runtime.task import main\nsys.exit(main(sys.argv[1:]))"]
        (folder / "tmp").mkdir()
        self.temporary = folder / "tmp"
        return subprocess.Popen(
            [
                *[sys.executable, "-I", *(begin if code else ["-m", "llmops_runtime"])],
                *[str(payload["task"]), "--payload", str(folder / "payload.json"), "--result", str(self.result_path)],
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(folder / "tmp"), **self.environment},
            cwd=folder,
        )

    def run(self, payload: Mapping[str, Any], *, code: str = "") -> TaskRun:
        child = self.start(payload, code=code)
        out, err = child.communicate(timeout=240)
        result = json.loads(self.result_path.read_text()) if self.result_path.exists() else None
        return TaskRun(code=child.returncode, out=out, err=err, result=result)

    def fresh(self, name: str) -> Path:
        self.count += 1
        folder = self.root / f"{name}-{self.count}"
        folder.mkdir()
        return folder


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    code: int
    out: str
    err: str
    result: Any


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(root=tmp_path)


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(root=tmp_path_factory.mktemp("bench"))


@pytest.fixture
def run_in_process(bench: Bench) -> Callable[..., TaskContext]:
    """Run a task function in this process; returns its context, with the outputs."""

    def run(function: Callable[[Any, TaskContext], object], payload: Payload) -> TaskContext:
        context = bench.context(payload)
        function(payload, context)
        return context

    return run
