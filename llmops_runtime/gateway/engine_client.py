"""The gateway's side of the engine's OpenAI API.

Promises: one pool of kept-alive connections; an engine's 4xx and 429 reach the caller as the engine said them; an
engine that cannot be reached is 503, one that answers nonsense or breaks off is 502.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp

from llmops_runtime.serving.errors import ApiError
from llmops_runtime.serving.replies import FinishReason, Usage
from llmops_runtime.serving.requests import ChatRequest

_CONNECTIONS: Final = 512
_HEADERS: Final = {"Content-Type": "application/json"}
_FINISHED: Final[tuple[FinishReason, ...]] = ("stop", "length", "content_filter")


@dataclass(frozen=True, kw_only=True)
class Completion:
    text: str
    finish_reason: FinishReason
    usage: Usage


class EngineClient:
    """Use as an asynchronous context manager, within a running loop."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._session.close()

    async def complete(self, request: ChatRequest) -> Completion:
        """The engine's whole answer.

        Raises:
            ApiError: there is none.
        """
        async with self._post("/v1/chat/completions", request.to_json()) as response:
            return _completion(_object(await response.read()))

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[aiohttp.StreamReader]:
        """The engine's stream of events, as it sends them.

        Raises:
            ApiError: it did not begin one.
        """
        async with self._post("/v1/chat/completions", request.to_json()) as response:
            yield response.content

    async def count_tokens(self, model: str, text: str) -> int:
        """Tokens of a text in the served model's own tokenizer. Raises: ApiError."""
        async with self._post("/tokenize", {"model": model, "prompt": text, "add_special_tokens": False}) as response:
            count = _object(await response.read()).get("count")
        if not isinstance(count, int):
            raise _nonsense()
        return count

    async def healthy(self) -> bool:
        try:
            async with self._session.get("/health", timeout=aiohttp.ClientTimeout(total=2)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    @asynccontextmanager
    async def _post(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[aiohttp.ClientResponse]:
        try:
            async with self._session.post(path, data=json.dumps(body).encode(), headers=_HEADERS) as response:
                if response.status != 200:
                    raise _passed_on(response.status, await response.read())
                yield response
        except TimeoutError as error:
            raise ApiError(504, "the model took too long", code="timeout") from error
        except aiohttp.ClientConnectorError as error:
            raise ApiError(503, "the model's engine cannot be reached", code="engine_unavailable") from error
        except aiohttp.ClientError as error:
            raise ApiError(502, "the model's engine broke off its answer", code="engine_broke_off") from error


def _passed_on(status: int, content: bytes) -> ApiError:
    try:
        error = _object(content).get("error")
    except ApiError:
        error = None
    said = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    code, param = said.get("code"), said.get("param")
    if status in {400, 429, 503, 504}:
        return ApiError(
            status,
            str(said.get("message") or "the model's engine refused the request"),
            code=code if isinstance(code, str) else "engine_refused",
            param=param if isinstance(param, str) else None,
            headers={"Retry-After": "1"} if status in {429, 503} else {},
        )
    return ApiError(502, f"the model's engine failed with HTTP {status}", code="engine_failed")


def _object(content: bytes) -> dict[str, Any]:
    try:
        data: object = json.loads(content)
    except ValueError as error:
        raise _nonsense() from error
    if not isinstance(data, dict):
        raise _nonsense()
    return cast("dict[str, Any]", data)


def _completion(data: Mapping[str, Any]) -> Completion:
    match data:
        case {
            "choices": [{"message": {"content": str(text)}, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": int(tokens_in), "completion_tokens": int(tokens_out)},
        } if finish_reason in _FINISHED:
            usage = Usage(prompt_tokens=tokens_in, completion_tokens=tokens_out)
            return Completion(text=text, finish_reason=finish_reason, usage=usage)
        case _:
            raise _nonsense()


def _nonsense() -> ApiError:
    return ApiError(502, "the model's engine gave an answer that cannot be read", code="engine_failed")
