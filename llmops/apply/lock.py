"""One writer per environment: an exclusive file lock that names its holder and ends with its process."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from llmops.errors import OperationFailed
from llmops_spec.formats import MachineWritten, NewerFormat

_POLL_SECONDS = 0.2


class Holder(MachineWritten):
    """Who holds the lock, written into its file for whoever waits."""

    DOCUMENT: ClassVar[str] = "its lock"

    pid: int
    host: str
    since: str
    """ISO 8601, in UTC."""


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float = 0.0) -> Generator[None]:
    """Hold the lock at `path` while the block runs.

    The operating system drops the lock when the holder dies, however it dies, so none is ever stale.

    Raises:
        OperationFailed: another process holds it after `timeout_seconds`; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        deadline = time.monotonic() + timeout_seconds
        while not _taken(stream.fileno()):
            if time.monotonic() >= deadline:
                raise OperationFailed(
                    f"another llmops is changing this environment: {_holder(path)}",
                    help="wait for it, or give `--lock-timeout 10m`",
                )
            time.sleep(_POLL_SECONDS)
        stream.truncate(0)
        stream.write(Holder(pid=os.getpid(), host=socket.gethostname(), since=_now()).model_dump_json(by_alias=True))
        stream.flush()
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    try:
        held = Holder.model_validate_json(path.read_bytes())
    except (ValidationError, OSError):
        return "it has just begun"
    except NewerFormat as error:
        return str(error)
    return f"process {held.pid} on {held.host}, since {held.since}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
