"""The `gateway` task: serves until it is told to stop.

Called by the task runner. Promises: it is not ready before every rail has caught its canary and let its benign text
through; it stands beside its predecessor and takes over the service's port when it gets SIGUSR1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Final

from llmops_runtime.context import TaskContext
from llmops_runtime.failures import TaskFailed
from llmops_runtime.gateway.counters import GatewayCounters
from llmops_runtime.gateway.endpoints import Gateway
from llmops_runtime.gateway.engine_client import EngineClient
from llmops_runtime.rails.chain import build_rails, prove
from llmops_runtime.serving.standing import StandingProcess, log_to_stderr
from llmops_spec.payloads import process
from llmops_spec.payloads.serving import GatewayPayload, Ready

_LOG: Final = logging.getLogger(__name__)


def serve_gateway(payload: GatewayPayload, context: TaskContext) -> None:
    """Serve until SIGTERM.

    Raises:
        TaskFailed: no engine is named, a rail does not do what it should, or the port is taken.
    """
    log_to_stderr()
    asyncio.run(_serve(payload, context))


async def _serve(payload: GatewayPayload, context: TaskContext) -> None:
    engine_url = context.environment.get(process.ENGINE_URL)
    if not engine_url:
        raise TaskFailed("internal", f"the gateway has no engine: `{process.ENGINE_URL}` is not set")
    rails = build_rails(payload.guardrails, _LOG.info)
    timeout_seconds = payload.requests.timeout_seconds
    engine = EngineClient(engine_url, timeout_seconds)
    gateway = Gateway(payload=payload, rails=rails, engine=engine, counters=GatewayCounters(), started=int(time.time()))
    ready = Ready(task="gateway", pid=os.getpid(), port=0)
    standing = StandingProcess(gateway.application(), context, ready, drain_seconds=timeout_seconds + 1)
    try:
        await standing.run(healthy=lambda: prove(rails))
    finally:
        await engine.close()
