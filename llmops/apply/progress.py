"""Progress on stderr: a bar with rate and time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, Self

from llmops.cli.console import is_terminal, tell
from llmops_spec.payloads.results import Progress

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BEFORE_A_RATE = 3.0
"""The first items wait for libraries; a rate over them would promise hours."""


class Display(Protocol):
    """What the executor tells while it runs."""

    def begin(self, step: str, number: int, total: int) -> None: ...

    def update(self, progress: Progress) -> None: ...

    def end(self, step: str, outcome: str, seconds: float) -> None: ...


@contextmanager
def open_display() -> Generator[Display]:
    """The display that fits stderr."""
    if not is_terminal():
        yield PlainDisplay()
        return
    with BarDisplay() as display:
        yield display


class PlainDisplay:
    """A line when a step begins and ends, and one every few seconds between."""

    def __init__(self) -> None:
        self._head = self._phase = ""
        self._began = self._told = time.monotonic()

    def begin(self, step: str, number: int, total: int) -> None:
        self._head, self._phase = f"[{number}/{total}] {step}", ""
        self._told = time.monotonic()
        tell(self._head)

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.phase != self._phase:
            self._phase, self._began = progress.phase, now
        if now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            tell(f"{self._head}: {describe(progress, now - self._began)}")

    def end(self, step: str, outcome: str, seconds: float) -> None:  # noqa: ARG002  # the head names it
        tell(f"{self._head}: {outcome} ({seconds:.1f} s)")


def describe(progress: Progress, elapsed: float) -> str:
    """`pretraining 120/250 steps, 14.2/s, 9 s left, loss 2.31`."""
    text = f"{progress.phase} {progress.done}/{progress.total} {progress.unit}"
    if progress.done and elapsed >= _SECONDS_BEFORE_A_RATE:
        rate = progress.done / elapsed
        text += f", {rate:.1f}/s, {(progress.total - progress.done) / rate:.0f} s left"
    return f"{text}, {progress.note}" if progress.note else text


class BarDisplay:
    """One bar for the running step."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._head = ""
        self._task = self._bars.add_task("", total=None, rate="", note="", visible=False)
        self._phase = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, step: str, number: int, total: int) -> None:
        self._head, self._phase = f"[{number}/{total}] {step}", ""
        self._bars.reset(self._task, total=None, description=self._head, rate="", note="", visible=True)

    def update(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self._phase, self._began = progress.phase, time.monotonic()
            self._bars.reset(self._task, total=progress.total, description=f"{self._head} {progress.phase}")
        elapsed = time.monotonic() - self._began
        rate = f"{progress.done / elapsed:.1f} {progress.unit}/s" if progress.done and elapsed else ""
        self._bars.update(self._task, completed=progress.done, rate=rate, note=progress.note)

    def end(self, step: str, outcome: str, seconds: float) -> None:
        self._bars.update(self._task, visible=False)
        self._bars.console.print(f"{step}: {outcome} ({seconds:.1f} s)", highlight=False)
