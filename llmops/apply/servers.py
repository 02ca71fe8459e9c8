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
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload, Supervision

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
    name: str = ""
    """Of the pair's folders and logs, after `engine-` and `gateway-`."""

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
class StartedEngine:
    """An engine that was started for whoever keeps this."""

    payload: EnginePayload
    server: Server
    port: int


@dataclass(frozen=True, kw_only=True)
class PairHost:
    """Starts and hands over pairs for one environment."""

    processes: ProcessHost
    store_url: str

    def start_engine(
        self, payload: EnginePayload, name: str, variables: Mapping[str, str], *, supervised: bool = False
    ) -> StartedEngine:
        """An engine that can take requests.

        Raises:
            OperationFailed: it did not come up, and is ended.
        """
        server = self.processes.start_server(
            payload, f"engine-{name}", self._listening(variables), supervised=supervised
        )
        with self._ended_on_error(server):
            return StartedEngine(payload=payload, server=server, port=server.wait_ready(_ENGINE_START_SECONDS).port)

    @contextmanager
    def candidate_gateway(
        self, payload: GatewayPayload, engine: StartedEngine, name: str, variables: Mapping[str, str]
    ) -> Generator[str]:
        """An unpublished gateway before an engine, for as long as the block runs. Yields its address.

        Raises:
            OperationFailed: it did not come up.
        """
        gateway, port = self._start_gateway(payload, engine, name, variables)
        try:
            yield f"http://{_LOOPBACK}:{port}"
        finally:
            self.processes.end(gateway.process)

    def roll_out(self, step: RollOut, port: int, variables: Mapping[str, str], old: LivePair | None) -> LivePair:
        """Start a new pair and hand the port over to it. The old one still answers too, until the caller stops it.

        Raises:
            OperationFailed: the new pair did not become healthy, or the port is taken; the old one still serves.
        """
        gateway = step.gateway
        refuse_taken(port, gateway.service, old)
        name = _pair_name(gateway.service, step.revision, old)
        taking = {**variables, process.PUBLIC_LISTEN: f"{_LOOPBACK}:{port}"}
        engine = self.start_engine(step.engine, name, variables, supervised=True)
        with self._ended_on_error(engine.server):
            face, _ = self._start_gateway(gateway, engine, name, taking, supervised=True)
            with self._ended_on_error(face):
                self._take_over(face, port, gateway.service)
        return LivePair(
            service=gateway.service,
            model_name=gateway.model_name,
            port=port,
            engine_pid=engine.server.process.pid,
            engine_started=engine.server.process.started,
            engine_port=engine.port,
            gateway_pid=face.process.pid,
            gateway_started=face.process.started,
            name=name,
        )

    def supervision(self, pair: LivePair) -> dict[str, Supervision]:
        """How often `engine` and `gateway` had to be started again, and whether that was given up."""
        return {role: self.processes.supervision(f"{role}-{pair.name}") for role in ("engine", "gateway")}

    def stop(self, pair: LivePair) -> None:
        """Drain and end a pair, the gateway first."""
        self.processes.end(pair.gateway)
        self.processes.end(pair.engine)

    def _take_over(self, gateway: Server, port: int, service: str) -> None:
        gateway.process.send(signal.SIGUSR1)
        ready = gateway.wait_for(
            lambda one: one.public_port is not None or one.public_error is not None, _HANDOVER_SECONDS
        )
        if ready.public_error is not None:
            raise _port_taken(port, service, ready.public_error)

    def _start_gateway(
        self,
        payload: GatewayPayload,
        engine: StartedEngine,
        name: str,
        variables: Mapping[str, str],
        *,
        supervised: bool = False,
    ) -> tuple[Server, int]:
        """A gateway that can take requests, and the port of its own."""
        facing = {**self._listening(variables), process.ENGINE_URL: f"http://{_LOOPBACK}:{engine.port}"}
        server = self.processes.start_server(payload, f"gateway-{name}", facing, supervised=supervised)
        with self._ended_on_error(server):
            return server, server.wait_ready(_GATEWAY_START_SECONDS).port

    def _listening(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**variables, process.STORE: self.store_url, process.LISTEN: f"{_LOOPBACK}:0"}

    @contextmanager
    def _ended_on_error(self, server: Server) -> Generator[None]:
        try:
            yield
        except BaseException:
            self.processes.end(server.process)
            raise


def _pair_name(service: str, revision: str, old: LivePair | None) -> str:
    """A name that the old pair does not have: its supervisors still use what lies under it."""
    name = f"{service}-{revision[:8]}"
    return name if old is None or old.name != name else f"{name}-again"


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
