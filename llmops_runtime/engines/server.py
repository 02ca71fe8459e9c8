"""The `engine` task: one set of weights, in one or several states, behind the OpenAI API, until it is told to stop.

Called by the task runner. Promises: it is ready only after it has decoded something; requests that came before
SIGTERM are answered. One extension: `structured_outputs: {"choice": [texts]}` gives exactly one of the texts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from llmops_runtime.context import TaskContext
from llmops_runtime.engines.counters import EngineCounters
from llmops_runtime.engines.transformers import TransformersServer
from llmops_runtime.engines.weights import load_states
from llmops_runtime.engines.worker import Finished, Job, ModelFailed, Piece
from llmops_runtime.failures import TaskFailed
from llmops_runtime.serving.errors import ApiError, bad_request, shape_errors
from llmops_runtime.serving.replies import STREAM_HEADERS, Reply, Usage, event, model_list
from llmops_runtime.serving.requests import ChatRequest, is_unicode, parse_chat, read_body, unknown_model
from llmops_runtime.serving.standing import StandingProcess, log_to_stderr
from llmops_spec.payloads.serving import EnginePayload, Ready

_BODY_BYTES: Final = 64 << 20
"""The gateway's own limit is what callers meet."""
_DRAIN_SECONDS: Final = 60.0


def serve_engine(payload: EnginePayload, context: TaskContext) -> None:
    """Serve until SIGTERM.

    Raises:
        TaskFailed: the model cannot be loaded, cannot decode, or the port is taken.
    """
    log_to_stderr()
    context.progress("loading the model", 0, 1, "models")
    states = {payload.model_name: payload.weights, **{one.model_name: one.weights for one in payload.others}}
    loaded = load_states(context.store(), list(states.values()), payload.transformers, context.work)
    context.progress("loading the model", 1, 1, "models")
    servers = [TransformersServer(one, payload.transformers) for one in loaded]
    asyncio.run(_serve(context, dict(zip(states, servers, strict=True))))


async def _serve(context: TaskContext, servers: Mapping[str, TransformersServer]) -> None:
    def load() -> tuple[int, int]:
        loads = [one.worker.load() for one in servers.values()]
        return sum(running for running, _ in loads), sum(waiting for _, waiting in loads)

    endpoints = Endpoints(servers=servers, counters=EngineCounters(load), started=int(time.time()))
    ready = Ready(task="engine", pid=os.getpid(), port=0)
    standing = StandingProcess(endpoints.application(), context, ready, drain_seconds=_DRAIN_SECONDS)

    async def warm_up() -> None:
        try:
            for server in servers.values():
                await server.warm_up()
        except ModelFailed as error:
            raise TaskFailed("bad-model", "the model cannot decode; the engine's log says why") from error

    try:
        await standing.run(healthy=warm_up)
    finally:
        for server in servers.values():
            server.worker.close()


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    servers: Mapping[str, TransformersServer]
    """By model name. Each state decodes in batches of its own."""
    counters: EngineCounters
    started: int
    """Unix time."""

    def application(self) -> web.Application:
        app = web.Application(middlewares=[shape_errors], client_max_size=_BODY_BYTES)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.post("/tokenize", self.tokenize),
                web.get("/v1/models", self.models),
                web.get("/health", self.health),
                web.get("/metrics", self.metrics),
            ]
        )
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`/v1/chat/completions`."""
        chat = parse_chat(await read_body(request), choices=True)
        job = self._server(chat.model).start(chat)
        async with aclosing(job.listen()) as news:
            try:
                return await (self._stream(request, chat, job, news) if chat.stream else self._whole(chat, job, news))
            except ModelFailed as error:
                raise ApiError(500, "the model failed; the engine's log says why", code="model_failed") from error

    async def tokenize(self, request: web.Request) -> web.Response:
        """`/tokenize`: how many tokens a text has."""
        body = await read_body(request)
        text = body.get("prompt")
        if not isinstance(text, str) or not is_unicode(text):
            raise bad_request("`prompt` must be a text", "prompt")
        server = self._server(str(body.get("model", next(iter(self.servers)))))
        special = body.get("add_special_tokens", True)
        count = server.count_tokens(text, add_special_tokens=special is True)
        return web.json_response({"count": count})

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(model_list(self.servers, self.started))

    async def health(self, _request: web.Request) -> web.Response:
        alive = all(one.worker.alive for one in self.servers.values())
        return web.json_response({"status": "ok" if alive else "stopped decoding"}, status=200 if alive else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.counters.text(), content_type="text/plain", charset="utf-8")

    def _server(self, model: str) -> TransformersServer:
        if model not in self.servers:
            raise unknown_model(model, self.servers)
        return self.servers[model]

    async def _whole(self, chat: ChatRequest, job: Job, news: AsyncIterator[Piece | Finished]) -> web.Response:
        text = ""
        async for one in news:
            if isinstance(one, Finished):
                usage = self._finished(job, one)
                return web.json_response(Reply(model=chat.model).whole(text, one.finish_reason, usage))
            text += one.text
        raise ModelFailed

    async def _stream(
        self, request: web.Request, chat: ChatRequest, job: Job, news: AsyncIterator[Piece | Finished]
    ) -> web.StreamResponse:
        """Server-sent events. A failure after the first one can only be told as an event."""
        reply = Reply(model=chat.model)
        response = web.StreamResponse(headers=dict(STREAM_HEADERS))
        await response.prepare(request)
        await response.write(reply.beginning())
        try:
            async for one in news:
                if isinstance(one, Piece):
                    await response.write(reply.piece(one.text))
                    continue
                usage = self._finished(job, one)
                for piece in reply.ending(one.finish_reason, usage if chat.include_usage else None):
                    await response.write(piece)
        except ModelFailed:
            await response.write(event(ApiError(500, "the model failed", code="model_failed").body()))
        await response.write_eof()
        return response

    def _finished(self, job: Job, finished: Finished) -> Usage:
        usage = Usage(prompt_tokens=len(job.row.prompt), completion_tokens=finished.tokens)
        self.counters.finished(finished.finish_reason, usage)
        return usage
