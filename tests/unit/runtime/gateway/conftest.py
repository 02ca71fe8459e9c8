"""A small engine with real sockets, and gateways before it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmops_runtime.gateway.counters import GatewayCounters
from llmops_runtime.gateway.endpoints import Gateway
from llmops_runtime.gateway.engine_client import EngineClient
from llmops_runtime.rails.chain import Chain, ServiceRails, build_rails
from llmops_runtime.rails.validator import Validator
from llmops_runtime.serving.replies import STREAM_HEADERS, Reply, Usage
from llmops_runtime.serving.requests import parse_chat, read_body
from llmops_spec.payloads.serving import GatewayPayload

PAYLOAD: dict[str, Any] = {
    "service": "support",
    "modelName": "support-model",
    "prompt": {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q: {{ question }}"}],
        "variables": {"question": {"maxTokens": 40}},
        "output": {"maxTokens": 30},
    },
}


@dataclass
class EchoEngine:
    """Answers with the last message, or with `text`; remembers what it was asked."""

    text: str | None = None
    status: int = 200
    delay_seconds: float = 0.0
    tokens: int = 7
    asked: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes | None = None

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request)
        self.asked.append(dict(body))
        chat = parse_chat(body, choices=True)
        await asyncio.sleep(self.delay_seconds)
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        if self.status != 200:
            error = {"message": "engine says no", "type": "x", "param": None, "code": "engine_code"}
            return web.json_response({"error": error}, status=self.status)
        text = self.text if self.text is not None else chat.messages[-1].content
        reply, usage = Reply(model=chat.model), Usage(prompt_tokens=3, completion_tokens=2)
        if not chat.stream:
            return web.json_response(reply.whole(text, "stop", usage))
        response = web.StreamResponse(headers=dict(STREAM_HEADERS))
        await response.prepare(request)
        for piece in (reply.beginning(), *(reply.piece(one) for one in text), *reply.ending("stop", usage)):
            await response.write(piece)
        return response

    async def tokenize(self, _request: web.Request) -> web.Response:
        return web.json_response({"count": self.tokens})

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.post("/tokenize", self.tokenize),
                web.get("/health", self.health),
            ]
        )
        return app


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Asked:
    """A gateway and its engine, for one test."""

    http: aiohttp.ClientSession
    url: str
    engine: EchoEngine
    log: list[str]

    async def post(self, path: str, body: object) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(path, data=data) as response:
            return response.status, await response.json()

    async def service(self, question: object, **more: object) -> tuple[int, dict[str, Any]]:
        return await self.post("/v1/services/support", {"variables": {"question": question}, **more})

    async def chat(self, text: str, **more: object) -> tuple[int, dict[str, Any]]:
        body = {"model": "support-model", "messages": [{"role": "user", "content": text}], **more}
        return await self.post("/v1/chat/completions", body)


def _with(chain: Chain, validator: Validator) -> Chain:
    return replace(chain, rails=tuple(replace(one, validator=validator) for one in chain.rails))


@pytest.fixture
def engine() -> EchoEngine:
    return EchoEngine()


@pytest.fixture
def gateway_payload() -> dict[str, Any]:
    return json.loads(json.dumps(PAYLOAD))


@pytest.fixture
def serving(engine: EchoEngine) -> Callable[..., Any]:
    """`async with serving(payload)`: a gateway before the small engine."""

    @asynccontextmanager
    async def served(
        content: dict[str, Any], engine_url: str | None = None, validator: Validator | None = None
    ) -> AsyncIterator[Asked]:
        payload = GatewayPayload.model_validate(content)
        log: list[str] = []
        async with listening(engine.application()) as url:
            client = EngineClient(engine_url or url, payload.requests.timeout_seconds)
            rails = build_rails(payload.guardrails, log.append)
            if validator is not None:
                rails = ServiceRails(input=_with(rails.input, validator), output=_with(rails.output, validator))
            gateway = Gateway(payload=payload, rails=rails, engine=client, counters=GatewayCounters(), started=1)
            async with listening(gateway.application()) as own, aiohttp.ClientSession(own) as http:
                yield Asked(http=http, url=own, engine=engine, log=log)
            await client.close()

    return served
