"""Threads for validators that may be slow or hang.

A thread cannot be stopped. These are daemons, so that one that hangs does not hold up the end of the process, and
their number is fixed, so that hanging validators cannot multiply: when all of them hang, every further judgement is
late, which `onError` decides, and which is `closed` wherever nobody said otherwise.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Final

from llmops_runtime.rails.validator import Judgement

_THREADS: Final = 8


class RailThreads:
    """A few daemon threads that judge texts for an event loop."""

    def __init__(self, count: int = _THREADS) -> None:
        self._waiting: queue.SimpleQueue[tuple[asyncio.Future[Judgement], Callable[[], Judgement]]]
        self._waiting = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"rail-{number}", daemon=True).start()

    async def run(self, judge: Callable[[], Judgement], timeout_seconds: float) -> Judgement:
        """The result of `judge`, called in one of the threads.

        Raises:
            TimeoutError: it took longer; the result is thrown away.
            Exception: whatever `judge` raises.
        """
        future: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
        self._waiting.put((future, judge))
        async with asyncio.timeout(timeout_seconds):
            return await future

    def _work(self) -> None:
        while True:
            future, judge = self._waiting.get()
            if future.cancelled():
                continue
            try:
                judgement = judge()
            except BaseException as error:  # noqa: BLE001  # plug-in boundary; the thread must outlive it
                self._tell(future, future.set_exception, error)
            else:
                self._tell(future, future.set_result, judgement)

    @staticmethod
    def _tell(future: asyncio.Future[Judgement], setter: Callable[..., None], value: object) -> None:
        def tell() -> None:
            if not future.done():
                setter(value)

        loop = future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell)
