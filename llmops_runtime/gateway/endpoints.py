"""The gateway's handlers: chat completions, the service by its prompt's variables, models, health, metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

from aiohttp import web

from llmops_runtime.gateway.budgets import hold_to_budgets
from llmops_runtime.gateway.counters import GatewayCounters
from llmops_runtime.gateway.engine_client import Completion, EngineClient
from llmops_runtime.gateway.railed import Passage, Refused, refusal
from llmops_runtime.rails.chain import ServiceRails
from llmops_runtime.serving.errors import ApiError, bad_request, shape_errors
from llmops_runtime.serving.replies import STREAM_HEADERS, Reply, model_list
from llmops_runtime.serving.requests import (
    Body,
    ChatMessage,
    ChatRequest,
    Role,
    integer,
    number,
    parse_chat,
    read_body,
    unknown_model,
)
from llmops_spec.payloads.serving import GatewayPayload
from llmops_spec.prompt_language import PromptError, Value, check_values, render_messages

_SERVICE_PARAMETERS = frozenset({"variables", "temperature", "seed"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Gateway:
    payload: GatewayPayload
    rails: ServiceRails
    engine: EngineClient
    counters: GatewayCounters
    started: int
    """Unix time."""

    def application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._counted(), shape_errors], client_max_size=self.payload.requests.body_bytes
        )
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/services/{service}", self.service),
                web.get("/v1/models", self.models),
                web.get("/health", self.health),
                web.get("/metrics", self.metrics),
            ]
        )
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`/v1/chat/completions`, as OpenAI's clients ask it."""
        chat = self._bounded(parse_chat(await read_body(request)))
        passage = Passage(rails=self.rails, count=self.counters.rail)
        async with self._in_time():
            try:
                admitted = await passage.admit_messages(chat)
            except Refused as refused:
                return await self._send(request, chat, refusal(str(refused)), passage)
            if not chat.stream or self.rails.output.rails:
                return await self._send(request, chat, await passage.answer(self.engine, admitted), passage)
        return await self._forward(request, admitted, passage)

    async def service(self, request: web.Request) -> web.Response:
        """`/v1/services/<service>`: the prompt's variables in, the answer out."""
        name = request.match_info["service"]
        if name != self.payload.service:
            raise ApiError(404, f"there is no service `{name}` here", code="service_not_found", param="service")
        body = await read_body(request)
        unknown = sorted(body.keys() - _SERVICE_PARAMETERS)
        if unknown:
            raise bad_request(f"`{unknown[0]}` is not supported here", unknown[0], code="unsupported_parameter")
        passage = Passage(rails=self.rails, count=self.counters.rail)
        async with self._in_time():
            try:
                completion = await passage.answer(self.engine, await self._asked(body, passage))
            except Refused as refused:
                completion = refusal(str(refused))
        content = {
            "answer": completion.text,
            "model": self.payload.model_name,
            "finish_reason": completion.finish_reason,
            "usage": completion.usage.to_json(),
            "rails": passage.told(),
        }
        return web.json_response(content, headers=passage.headers())

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(model_list([self.payload.model_name], self.started))

    async def health(self, _request: web.Request) -> web.Response:
        """200 where a question would reach the model."""
        engine = await self.engine.healthy()
        return web.json_response({"status": "ok" if engine else "engine unavailable"}, status=200 if engine else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.counters.text(), content_type="text/plain", charset="utf-8")

    def _bounded(self, chat: ChatRequest) -> ChatRequest:
        if chat.model != self.payload.model_name:
            raise unknown_model(chat.model, [self.payload.model_name])
        most = self.payload.prompt.output.max_tokens
        if chat.max_tokens is not None and chat.max_tokens > most:
            raise bad_request(f"`max_tokens` is {chat.max_tokens}; this service gives at most {most}", "max_tokens")
        return replace(chat, max_tokens=chat.max_tokens or most)

    async def _asked(self, body: Body, passage: Passage) -> ChatRequest:
        """The chat request that the service's prompt makes of a body."""
        prompt, output = self.payload.prompt, self.payload.prompt.output
        values = _values(body)
        try:
            check_values(prompt.variables, values)
            await hold_to_budgets(self.engine, self.payload.model_name, prompt, values)
            for name, variable in prompt.variables.items():
                if variable.trust == "untrusted":
                    values[name] = await _admitted(passage, values[name])
            messages = render_messages(prompt, values)
        except PromptError as error:
            param = f"variables.{error.variable}" if error.variable else "variables"
            raise bad_request(str(error), param) from error
        return ChatRequest(
            model=self.payload.model_name,
            messages=tuple(ChatMessage(role=cast("Role", one["role"]), content=one["content"]) for one in messages),
            temperature=number(body, "temperature", 0.0, 2.0, default=0.0),
            seed=integer(body, "seed", -(2**63), 2**63 - 1),
            max_tokens=output.max_tokens,
            choices=tuple(output.labels),
        )

    async def _send(
        self, request: web.Request, chat: ChatRequest, completion: Completion, passage: Passage
    ) -> web.StreamResponse:
        """A released answer, whole or as the stream that was asked for."""
        reply = Reply(model=self.payload.model_name)
        if not chat.stream:
            whole = reply.whole(completion.text, completion.finish_reason, completion.usage)
            return web.json_response(whole, headers=passage.headers())
        pieces = [reply.beginning(), reply.piece(completion.text)] if completion.text else [reply.beginning()]
        pieces += reply.ending(completion.finish_reason, completion.usage if chat.include_usage else None)
        return await _stream(request, passage, _each(pieces))

    async def _forward(self, request: web.Request, chat: ChatRequest, passage: Passage) -> web.StreamResponse:
        """The engine's stream as it comes: no output rail has to see it first."""
        async with self.engine.stream(chat) as events:
            return await _stream(request, passage, events.iter_any())

    def _in_time(self) -> _Deadline:
        return _Deadline(self.payload.requests.timeout_seconds)

    def _counted(self):  # noqa: ANN202  # aiohttp's middleware type
        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = time.perf_counter()
            response = await handler(request)
            resource = request.match_info.route.resource
            path = resource.canonical if resource else "unknown"
            self.counters.answered(path, response.status, time.perf_counter() - started)
            return response

        return counted


class _Deadline:
    """Gives up with 504 after some seconds. Not for streams, whose first byte ends the time in which one may."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._seconds = seconds

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._timeout.__aexit__(*error)  # pyright: ignore[reportArgumentType]
        except TimeoutError as late:
            raise ApiError(504, f"no answer within {self._seconds:g} s", code="timeout") from late


def _values(body: Body) -> dict[str, Value]:
    values = body.get("variables")
    if not isinstance(values, dict):
        raise bad_request("`variables` must be an object", "variables")
    return cast("dict[str, Value]", dict(cast("Body", values)))  # their types are checked against the prompt's


async def _admitted(passage: Passage, value: Value) -> Value:
    """A value as the input rails leave it. One that is no text can only pass or be refused."""
    if isinstance(value, str):
        return await passage.admit(value)
    spelled = str(value)
    if await passage.admit(spelled) != spelled:
        raise Refused("this value cannot be taken")
    return value


async def _each(pieces: Iterable[bytes]) -> AsyncIterable[bytes]:
    for piece in pieces:
        yield piece


async def _stream(request: web.Request, passage: Passage, pieces: AsyncIterable[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**STREAM_HEADERS, **passage.headers()})
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response
