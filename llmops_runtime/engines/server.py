"""The `engine` task: one set of weights behind the OpenAI API, until it is told to stop.

Called by the task runner. Promises: it is ready only after it has decoded something; requests that came before
SIGTERM are answered. One extension: `structured_outputs: {"choice": [texts]}` gives exactly one of the texts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from llmops_runtime.context import TaskContext
from llmops_runtime.engines.counters import EngineCounters
from llmops_runtime.engines.transformers import TransformersServer
from llmops_runtime.engines.weights import load_model
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
    loaded = load_model(context.store(), payload.weights, payload.transformers, context.work)
    context.progress("loading the model", 1, 1, "models")
    asyncio.run(_serve(payload, context, TransformersServer(loaded, payload.transformers)))


async def _serve(payload: EnginePayload, context: TaskContext, server: TransformersServer) -> None:
    endpoints = Endpoints(
        model_name=payload.model_name,
        server=server,
        counters=EngineCounters(server.worker.load),
        started=int(time.time()),
    )
    ready = Ready(task="engine", pid=os.getpid(), port=0)
    standing = StandingProcess(endpoints.application(), context, ready, drain_seconds=_DRAIN_SECONDS)

    async def warm_up() -> None:
        try:
            await server.warm_up()
        except ModelFailed as error:
            raise TaskFailed("bad-model", "the model cannot decode; the engine's log says why") from error

    try:
        await standing.run(healthy=warm_up)
    finally:
        server.worker.close()


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    model_name: str
    server: TransformersServer
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
        if chat.model != self.model_name:
            raise unknown_model(chat.model, self.model_name)
        job = self.server.start(chat)
        async with aclosing(job.listen()) as news:
            try:
                return await (self._stream(request, chat, job, news) if chat.stream else self._whole(job, news))
            except ModelFailed as error:
                raise ApiError(500, "the model failed; the engine's log says why", code="model_failed") from error

    async def tokenize(self, request: web.Request) -> web.Response:
        """`/tokenize`: how many tokens a text has."""
        body = await read_body(request)
        text = body.get("prompt")
        if not isinstance(text, str) or not is_unicode(text):
            raise bad_request("`prompt` must be a text", "prompt")
        if body.get("model", self.model_name) != self.model_name:
            raise unknown_model(str(body["model"]), self.model_name)
        special = body.get("add_special_tokens", True)
        count = self.server.count_tokens(text, add_special_tokens=special is True)
        return web.json_response({"count": count})

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(model_list(self.model_name, self.started))

    async def health(self, _request: web.Request) -> web.Response:
        alive = self.server.worker.alive
        return web.json_response({"status": "ok" if alive else "stopped decoding"}, status=200 if alive else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.counters.text(), content_type="text/plain", charset="utf-8")

    async def _whole(self, job: Job, news: AsyncIterator[Piece | Finished]) -> web.Response:
        text = ""
        async for one in news:
            if isinstance(one, Finished):
                usage = self._finished(job, one)
                return web.json_response(Reply(model=self.model_name).whole(text, one.finish_reason, usage))
            text += one.text
        raise ModelFailed

    async def _stream(
        self, request: web.Request, chat: ChatRequest, job: Job, news: AsyncIterator[Piece | Finished]
    ) -> web.StreamResponse:
        """Server-sent events. A failure after the first one can only be told as an event."""
        reply = Reply(model=self.model_name)
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
