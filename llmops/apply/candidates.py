"""Pairs that are measured and never published. One engine stays up between evaluations that it can answer for.

Called by `workers`. Promises: at most one engine is up; it is ended as soon as no evaluation to come can use it, and
whenever something fails.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from llmops.apply.servers import PairHost, StartedEngine
from llmops.apply.sharing import answers_for, shared_engine
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload


@dataclass(kw_only=True)
class Candidates:
    pairs: PairHost
    _warm: StartedEngine | None = field(default=None, init=False)

    @contextmanager
    def pair(
        self,
        engine: EnginePayload,
        gateway: GatewayPayload,
        to_come: Sequence[EnginePayload],
        name: str,
        variables: Mapping[str, str],
    ) -> Generator[str]:
        """A pair for as long as the block runs; its engine stays for the engines `to_come` that it answers for.

        Yields the gateway's address. Raises: OperationFailed, where a process does not come up.
        """
        try:
            started = self._engine(engine, to_come, name, variables)
            with self.pairs.candidate_gateway(gateway, started, name, variables) as url:
                yield url
        except BaseException:
            self.end()
            raise
        if not any(answers_for(started.payload, one) for one in to_come):
            self.end()

    def end(self) -> None:
        """End what is still up."""
        if self._warm is not None:
            self.pairs.processes.end(self._warm.server.process)
            self._warm = None

    def _engine(
        self, engine: EnginePayload, to_come: Sequence[EnginePayload], name: str, variables: Mapping[str, str]
    ) -> StartedEngine:
        warm = self._warm
        if warm is not None and answers_for(warm.payload, engine) and warm.server.process.is_alive():
            return warm
        self.end()
        self._warm = self.pairs.start_engine(shared_engine(engine, to_come), name, variables)
        return self._warm
