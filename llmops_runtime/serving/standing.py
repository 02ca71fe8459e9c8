"""The life of a standing process: listen, say so, take over a public port when told, drain and end when told.

Used by engine and gateway. Promises: `Ready` is written only after the listening socket is open; SIGTERM and SIGINT
stop accepting, let running requests end, and return; a port that is in use is a clear failure.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from llmops_runtime.context import TaskContext
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads import process
from llmops_spec.payloads.serving import Ready

_LOG: Final = logging.getLogger(__name__)
_LOOPBACK: Final = "127.0.0.1:0"


@dataclass(frozen=True, kw_only=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`host:port`, where the host may be an IPv6 address in brackets.

        Raises:
            TaskFailed: it is not that.
        """
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise TaskFailed("internal", f"`{text}` is not an address to listen on", "write it as `host:port`")
        return cls(host=host.removeprefix("[").removesuffix("]"), port=int(port))


class StandingProcess:
    """One application behind one or two listening sockets."""

    def __init__(self, app: web.Application, context: TaskContext, ready: Ready, drain_seconds: float) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=drain_seconds
        )
        self._context = context
        self._ready = ready
        self._stop = asyncio.Event()
        self._taking_over: asyncio.Task[None] | None = None

    async def run(self, *, healthy: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serve until told to stop. `healthy` is awaited before anybody is told that requests are taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._runner.setup()
            if healthy is not None:
                await healthy()
            port = await self._listen(self._own_address(), shared=False)
            self._ready = self._ready.model_copy(update={"port": port, "pid": os.getpid()})
            if process.PUBLIC_LISTEN in self._context.environment:
                loop.add_signal_handler(signal.SIGUSR1, self._start_taking_over)
            self._context.say_ready(self._ready)
            _LOG.info("listening on port %d", port)
            await self._stop.wait()
            _LOG.info("stopping: letting running requests end")
        finally:
            await self._runner.cleanup()

    def stop(self) -> None:
        """End as if a signal had come."""
        self._stop.set()

    def _own_address(self) -> Address:
        return Address.parse(self._context.environment.get(process.LISTEN) or _LOOPBACK)

    def _start_taking_over(self) -> None:
        if self._taking_over is None or self._taking_over.done():
            self._taking_over = asyncio.get_running_loop().create_task(self._take_over())

    async def _take_over(self) -> None:
        """Listen on the public address too, beside the process that listens there until it is told to stop."""
        if self._ready.public_port is not None:
            self._context.say_ready(self._ready)
            return
        try:
            address = Address.parse(self._context.environment[process.PUBLIC_LISTEN])
            port = await self._listen(address, shared=True)
        except TaskFailed as error:
            self._ready = self._ready.model_copy(update={"public_error": str(error)})
        else:
            self._ready = self._ready.model_copy(update={"public_port": port, "public_error": None})
        self._context.say_ready(self._ready)

    async def _listen(self, address: Address, *, shared: bool) -> int:
        listener = _bind(address, shared=shared)
        await web.SockSite(self._runner, listener).start()
        return int(listener.getsockname()[1])


def _bind(address: Address, *, shared: bool) -> socket.socket:
    """A bound socket. A shared one may stand beside another shared one of the same user.

    Raises:
        TaskFailed: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message, advice = f"port {address.port} is in use by another process", "stop it, or name another port"
        else:
            message = f"cannot listen on {address.host} port {address.port}: {error.strerror or error}"
            advice = "name an address of this machine"
        raise TaskFailed("internal", message, advice) from error
    return listener


def log_to_stderr() -> None:
    """The process's log is its standard error, which its starter keeps in a file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
