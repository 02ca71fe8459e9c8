"""The thread that decodes: takes waiting requests into the batch between any two tokens, and tells their askers.

Called by the engine's server. Promises: at most `max_batch_size` rows at once; requests are admitted in the order in
which they came; a failure of the model fails the requests that were in the batch, and the next ones go on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from llmops_runtime.engines.batch import Batch, Row
from llmops_runtime.engines.weights import LoadedModel
from llmops_runtime.serving.replies import FinishReason

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    text: str


@dataclass(frozen=True)
class Finished:
    finish_reason: FinishReason
    tokens: int


@dataclass(frozen=True)
class Broken:
    """The model failed."""


News: TypeAlias = Piece | Finished | Broken


@dataclass(eq=False, kw_only=True)
class Job:
    """One request, and the queue through which its asker hears of it."""

    row: Row
    loop: asyncio.AbstractEventLoop
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue)
    abandoned: bool = False
    """Set by the asker, who has gone away."""

    async def listen(self) -> AsyncGenerator[Piece | Finished]:
        """What becomes of the request.

        Raises:
            ModelFailed: the model failed.
        """
        try:
            while True:
                match await self.news.get():
                    case Piece() as piece:
                        yield piece
                    case Finished() as finished:
                        yield finished
                        return
                    case Broken():
                        raise ModelFailed
        finally:
            self.abandoned = True


class ModelFailed(Exception):  # noqa: N818  # the model failed
    """The model raised while it decoded."""


class QueueFull(Exception):  # noqa: N818  # the queue is full
    """As many requests wait as may."""


class DecodingWorker:
    def __init__(self, loaded: LoadedModel, *, max_batch_size: int, max_queued: int) -> None:
        self._loaded = loaded
        self._max_batch_size = max_batch_size
        self._max_queued = max_queued
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._running: dict[int, Job] = {}
        """By the identity of their rows."""
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Put a request in the queue.

        Raises:
            QueueFull: as many wait as may.
        """
        with self._changed:
            if len(self._waiting) >= self._max_queued:
                raise QueueFull
            self._waiting.append(job)
            self._changed.notify()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def load(self) -> tuple[int, int]:
        """Requests that are decoded, and that wait."""
        return len(self._running), len(self._waiting)

    def close(self) -> None:
        """End after the current token."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        import torch

        pad = self._loaded.tokenizer.pad_token_id
        with torch.inference_mode():
            batch = Batch(self._loaded.model, pad if pad is not None else min(self._loaded.end_tokens))
            while (newcomers := self._next()) is not None:
                try:
                    self._advance(batch, newcomers)
                except RuntimeError:  # torch's own errors, such as too little memory
                    _LOG.exception("the model failed with %d requests in the batch", len(self._running))
                    batch = Batch(self._loaded.model, pad if pad is not None else min(self._loaded.end_tokens))
                    self._tell([(job, Broken()) for job in self._running.values()])
                    self._running.clear()

    def _next(self) -> list[Job] | None:
        """Requests to admit now, waiting for one if nothing runs; None at the end."""
        with self._changed:
            while not self._waiting and not self._running and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            newcomers: list[Job] = []
            while self._waiting and len(self._running) + len(newcomers) < self._max_batch_size:
                job = self._waiting.popleft()
                if not job.abandoned:
                    newcomers.append(job)
            return newcomers

    def _advance(self, batch: Batch, newcomers: list[Job]) -> None:
        """One token for everybody."""
        news: list[tuple[Job, News]] = []

        def deliver(row: Row, text: str) -> None:
            job = self._running[id(row)]
            if text:
                news.append((job, Piece(text)))
            if row.finish_reason is not None:
                del self._running[id(row)]
                news.append((job, Finished(row.finish_reason, len(row.tokens))))

        for row in [row for row in batch.rows if self._running[id(row)].abandoned]:
            del self._running[id(row)]
        batch.drop(lambda row: id(row) not in self._running)
        if batch.rows:
            batch.step(deliver)
        if newcomers:
            self._running |= {id(job.row): job for job in newcomers}
            batch.admit([job.row for job in newcomers], deliver)
        self._tell(news)

    def _tell(self, news: list[tuple[Job, News]]) -> None:
        """Wake each event loop once, whatever number of requests has news."""
        for loop in {job.loop for job, _ in news}:
            mine = [(job, one) for job, one in news if job.loop is loop]

            def hand_out(mine: list[tuple[Job, News]] = mine) -> None:
                for job, one in mine:
                    job.news.put_nowait(one)

            if not loop.is_closed():
                loop.call_soon_threadsafe(hand_out)
