"""Asks a service its questions over HTTP, many at a time, and brings back answers or honest errors.

Called by `llmops_runtime.evaluate`. Promises: at most `IN_FLIGHT` requests at once and, while there is work, no fewer;
a busy service (429, or 503 of an engine) is tried again a bounded number of times; whatever else goes wrong with one
question is that question's error. A service that cannot be reached at all ends the task: an outage is no result.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import aiohttp

from llmops_runtime.failures import TaskFailed
from llmops_spec.digests import canonical
from llmops_spec.prompt_language import Value

IN_FLIGHT: Final = 32
_PAUSES_SECONDS: Final = (0.05, 0.2, 0.8, 2.0)
"""Before the second, third, … attempt."""
_FINAL_CODES: Final = frozenset({"guardrail_unavailable"})
"""Kinds of 503 that are the service's answer, and not a sign of load."""


@dataclass(frozen=True, kw_only=True)
class Question:
    key: tuple[str, int]
    """Item id and draw."""
    variables: dict[str, Value]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Answered:
    text: str
    latency_seconds: float | None = None
    """None where no request was sent."""
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    reason: str


Reply: TypeAlias = Answered | Failed


@dataclass(frozen=True, kw_only=True)
class ServiceAddress:
    url: str
    """Of the gateway."""
    service: str
    temperature: float
    timeout_seconds: float


async def ask_all(
    address: ServiceAddress, questions: Iterable[Question], progressed: Callable[[int], None]
) -> dict[tuple[str, int], Reply]:
    """Every question's reply by its key.

    Raises:
        TaskFailed: the gateway cannot be reached.
    """
    replies: dict[tuple[str, int], Reply] = {}
    waiting = iter(questions)
    timeout = aiohttp.ClientTimeout(total=address.timeout_seconds)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(address.url, connector=connector, timeout=timeout) as session:
        asker = _Asker(session=session, address=address)

        async def work(mine: Iterator[Question]) -> None:
            for question in mine:
                replies[question.key] = await asker.ask(question)
                progressed(len(replies))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(IN_FLIGHT):
                    group.create_task(work(waiting))
        except* TaskFailed as failures:
            raise failures.exceptions[0] from None
    return replies


@dataclass(frozen=True, kw_only=True)
class _Asker:
    session: aiohttp.ClientSession
    address: ServiceAddress

    async def ask(self, question: Question) -> Reply:
        body = canonical(
            {"variables": question.variables, "temperature": self.address.temperature, "seed": question.seed}
        )
        unreachable = ""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                reply = await self._once(body)
            except TimeoutError:
                return Failed(reason=f"no answer within {self.address.timeout_seconds:g} s")
            except aiohttp.ClientConnectionError as error:
                unreachable = str(error) or type(error).__name__
            except aiohttp.ClientError as error:
                return Failed(reason=f"the answer broke off: {type(error).__name__}")
            else:
                unreachable = ""
                if not isinstance(reply, _Busy):
                    return reply
                if pause is None:
                    return Failed(reason=reply.reason)
            if pause is not None:
                await asyncio.sleep(pause)
        raise TaskFailed(
            "internal",
            f"the gateway at {self.address.url} cannot be reached: {unreachable}",
            "run the same command again; the log of the gateway says why it went away",
        )

    async def _once(self, body: bytes) -> Reply | _Busy:
        started = time.perf_counter()
        async with self.session.post(
            f"/v1/services/{self.address.service}", data=body, headers={"Content-Type": "application/json"}
        ) as response:
            content = await response.read()
            latency_seconds = time.perf_counter() - started
            if response.status == HTTPStatus.OK:
                return _answer(content, latency_seconds)
            return _refused(response.status, content)


@dataclass(frozen=True, kw_only=True)
class _Busy:
    reason: str


def _answer(content: bytes, latency_seconds: float) -> Reply:
    data = _json(content)
    text = data.get("answer")
    if not isinstance(text, str):
        return Failed(reason="the service's reply has no answer in it")
    usage = data.get("usage") or {}
    return Answered(
        text=text,
        latency_seconds=latency_seconds,
        tokens_in=usage.get("prompt_tokens"),
        tokens_out=usage.get("completion_tokens"),
    )


def _refused(status: int, content: bytes) -> Failed | _Busy:
    error = _json(content).get("error") or {}
    reason = f"HTTP {status}: {error.get('message') or 'no reason given'}"
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and error.get("code") not in _FINAL_CODES
    )
    return _Busy(reason=reason) if busy else Failed(reason=reason)


def _json(content: bytes) -> dict[str, Any]:
    try:
        data: object = json.loads(content)
    except ValueError:
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}
