"""Engine and gateway pairs on this machine: candidates for an evaluation, and what serves.

A new pair starts beside the old one on ports of its own. It takes the service's port over once it is healthy, and
only then is the old pair stopped; if anything fails before, the old pair never noticed.
"""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from compiler.plan import RollOut
from llmops.apply.processes import ProcessHost, RunningProcess, Server
from llmops.errors import Exit, OperationFailed
from llmops_spec.base import SpecModel
from llmops_spec.payloads import process
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload

_LOOPBACK = "127.0.0.1"
_ENGINE_START_SECONDS = 180.0
_GATEWAY_START_SECONDS = 60.0
_HANDOVER_SECONDS = 15.0
_HEALTH_SECONDS = 3.0


class LivePair(SpecModel):
    """What is known of a pair that serves; kept in the journal."""

    service: str
    model_name: str
    port: int
    engine_pid: int
    engine_started: float
    engine_port: int
    gateway_pid: int
    gateway_started: float

    @property
    def engine(self) -> RunningProcess:
        return RunningProcess(pid=self.engine_pid, started=self.engine_started)

    @property
    def gateway(self) -> RunningProcess:
        return RunningProcess(pid=self.gateway_pid, started=self.gateway_started)

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"

    def is_healthy(self) -> bool:
        """Both processes are the ones that were started, and both answer."""
        if not (self.engine.is_alive() and self.gateway.is_alive()):
            return False
        return _answers(f"{self.url}/health") and _answers(f"http://{_LOOPBACK}:{self.engine_port}/health")


@dataclass(frozen=True, kw_only=True)
class PairHost:
    """Starts and hands over pairs for one environment."""

    processes: ProcessHost
    store_url: str

    @contextmanager
    def candidate(
        self, engine: EnginePayload, gateway: GatewayPayload, name: str, variables: Mapping[str, str]
    ) -> Generator[str]:
        """An unpublished pair for as long as the block runs. Yields the gateway's address."""
        with self._pair(engine, gateway, name, variables) as pair:
            try:
                yield pair.gateway_url
            finally:
                pair.end(self.processes)

    def roll_out(self, step: RollOut, port: int, variables: Mapping[str, str], old: LivePair | None) -> LivePair:
        """Start a new pair and hand the port over to it. The old one still answers too, until the caller stops it.

        Raises:
            OperationFailed: the new pair did not become healthy, or the port is taken; the old one still serves.
        """
        gateway = step.gateway
        refuse_taken(port, gateway.service, old)
        name = f"{gateway.service}-{step.revision[:8]}"
        taking = {**variables, process.PUBLIC_LISTEN: f"{_LOOPBACK}:{port}"}
        with self._pair(step.engine, gateway, name, taking) as pair:
            pair.gateway.process.send(signal.SIGUSR1)
            ready = pair.gateway.wait_for(
                lambda one: one.public_port is not None or one.public_error is not None, _HANDOVER_SECONDS
            )
            if ready.public_error is not None:
                raise _port_taken(port, gateway.service, ready.public_error)
            return LivePair(
                service=gateway.service,
                model_name=gateway.model_name,
                port=port,
                engine_pid=pair.engine.process.pid,
                engine_started=pair.engine.process.started,
                engine_port=pair.engine_port,
                gateway_pid=pair.gateway.process.pid,
                gateway_started=pair.gateway.process.started,
            )

    def stop(self, pair: LivePair) -> None:
        """Drain and end a pair, the gateway first."""
        self.processes.end(pair.gateway)
        self.processes.end(pair.engine)

    @contextmanager
    def _pair(
        self, engine: EnginePayload, gateway: GatewayPayload, name: str, variables: Mapping[str, str]
    ) -> Generator[_StartedPair]:
        """A healthy pair; if the block raises, or the pair does not come up, it is stopped."""
        started: list[Server] = []
        try:
            yield self._start(engine, gateway, name, variables, started)
        except BaseException:
            for server in reversed(started):
                self.processes.end(server.process)
            raise

    def _start(
        self,
        engine: EnginePayload,
        gateway: GatewayPayload,
        name: str,
        variables: Mapping[str, str],
        started: list[Server],
    ) -> _StartedPair:
        listen = {**variables, process.STORE: self.store_url, process.LISTEN: f"{_LOOPBACK}:0"}
        own = self.processes.start_server(engine, f"engine-{name}", listen)
        started.append(own)
        engine_port = own.wait_ready(_ENGINE_START_SECONDS).port
        facing = {**listen, process.ENGINE_URL: f"http://{_LOOPBACK}:{engine_port}"}
        face = self.processes.start_server(gateway, f"gateway-{name}", facing)
        started.append(face)
        gateway_port = face.wait_ready(_GATEWAY_START_SECONDS).port
        return _StartedPair(
            engine=own, gateway=face, engine_port=engine_port, gateway_url=f"http://{_LOOPBACK}:{gateway_port}"
        )


def refuse_taken(port: int, service: str, old: LivePair | None) -> None:
    """Gateways share a port while they hand over, so one that is not our predecessor must be noticed before.

    Raises:
        OperationFailed: somebody else has the port.
    """
    if old is not None and old.port == port and old.gateway.is_alive():
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise _port_taken(port, service, error.strerror or str(error)) from error


def _port_taken(port: int, service: str, why: str) -> OperationFailed:
    return OperationFailed(
        f"service `{service}` cannot take port {port}: {why}",
        help="free the port, or set another `gatewayPort` on the environment's target",
        exit_code=Exit.STEP_FAILED,
    )


@dataclass(frozen=True, kw_only=True)
class _StartedPair:
    engine: Server
    gateway: Server
    engine_port: int
    gateway_url: str

    def end(self, processes: ProcessHost) -> None:
        processes.end(self.gateway.process)
        processes.end(self.engine.process)


def ask(url: str, service: str, variables: Mapping[str, str], seconds: float) -> str:
    """Send one request to a service's own endpoint. Returns the answer.

    Raises:
        OperationFailed: it answered with an error, with nothing, or not at all.
    """
    request = urllib.request.Request(  # noqa: S310  # the address is ours, on loopback
        f"{url}/v1/services/{service}",
        data=json.dumps({"variables": dict(variables)}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with _DIRECT.open(request, timeout=seconds) as response:
            answer = json.load(response)["answer"]
    except (OSError, ValueError, KeyError) as error:
        detail = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else str(error)
        raise OperationFailed(
            f"service `{service}` did not answer the smoke request: {detail}", exit_code=Exit.STEP_FAILED
        ) from error
    if not isinstance(answer, str) or not answer.strip():
        raise OperationFailed(
            f"service `{service}` answered the smoke request with nothing", exit_code=Exit.STEP_FAILED
        )
    return answer


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=_HEALTH_SECONDS) as response:
            return response.status == 200
    except OSError:
        return False


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Ignores proxy settings: every address here is on loopback."""
