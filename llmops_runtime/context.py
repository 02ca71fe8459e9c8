"""What the runner hands to every task beside its payload: folders, store, environment, progress.

Built by `llmops_runtime.task` (and by tests); tasks take what they need from it and touch nothing else outside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from llmops_runtime.failures import TaskFailed
from llmops_runtime.stores import StoreUnknown, open_store
from llmops_spec.base import SpecModel
from llmops_spec.files import replace_file
from llmops_spec.payloads import process
from llmops_spec.payloads.results import Progress
from llmops_spec.payloads.serving import Ready
from llmops_spec.store import PinnedStore, Store, parse_pins

_SECONDS_BETWEEN_LINES: Final = 0.2


@dataclass(kw_only=True)
class ProgressLines:
    """Writes `Progress` as JSON Lines, five a second at most; the first and last line of a phase always come."""

    stream: TextIO
    _phase: str = field(default="", init=False)
    _written_at: float = field(default=0.0, init=False)

    def __call__(self, phase: str, done: int, total: int, unit: str, note: str = "") -> None:
        now = time.monotonic()
        if phase == self._phase and done < total and now - self._written_at < _SECONDS_BETWEEN_LINES:
            return
        self._phase, self._written_at = phase, now
        line = Progress(phase=phase, done=done, total=total, unit=unit, note=note)
        self.stream.write(json.dumps(line.model_dump(by_alias=True, mode="json")) + "\n")
        self.stream.flush()


@dataclass(frozen=True, kw_only=True)
class TaskContext:
    key: str
    """Key of the step, computed from the payload."""
    work: Path
    """Private folder for anything temporary; also the current folder. Removed when the task ends."""
    outputs: Path
    """Files below it are published under the key when the task returns."""
    result: Path
    """The result file. Standing processes write `Ready` here, by `say_ready`."""
    environment: Mapping[str, str]
    """The variables of `llmops_spec.payloads.process`."""
    progress: ProgressLines

    def store(self) -> Store:
        """The store that `LLMOPS_STORE` names.

        Raises:
            TaskFailed: none is named, or it cannot be opened.
        """
        url = self.environment.get(process.STORE)
        if not url:
            raise TaskFailed("store", f"no store is named: `{process.STORE}` is not set")
        try:
            store = open_store(url)
            pins = parse_pins(self.environment.get(process.PINS, ""))
        except (StoreUnknown, ValueError) as error:
            raise TaskFailed("store", str(error)) from error
        return PinnedStore(store, pins) if pins else store

    def say_ready(self, ready: Ready) -> None:
        """Tell the starter of a standing process that it can take requests, or that something changed."""
        write_result(self.result, ready)


def write_result(path: Path, content: SpecModel) -> None:
    """Write a result file so that a reader sees the old one or the whole new one, also after a crash."""
    text = json.dumps(content.model_dump(by_alias=True, mode="json"), indent=1, sort_keys=True)
    replace_file(path, f"{text}\n".encode())
