"""The workers of a desk: tasks and server pairs as child processes. Implements `executor.Workers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.plan import Evaluate, Plan, RollOut, step_id
from llmops.apply.candidates import Candidates
from llmops.apply.processes import ProcessHost
from llmops.apply.servers import LivePair, PairHost, ask, refuse_taken
from llmops.apply.site import Site
from llmops_spec.payloads import process
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.results import Progress, TaskResult
from llmops_spec.payloads.serving import EnginePayload
from llmops_spec.secret import Variables


@dataclass(frozen=True, kw_only=True)
class LocalWorkers:
    processes: ProcessHost
    pairs: PairHost
    candidates: Candidates

    @classmethod
    def of(cls, site: Site) -> LocalWorkers:
        processes = ProcessHost(folder=site.folder, journal=site.journal)
        pairs = PairHost(processes=processes, store_url=site.store_url)
        return cls(processes=processes, pairs=pairs, candidates=Candidates(pairs=pairs))

    def end_leftovers(self, live: Mapping[str, LivePair]) -> list[str]:
        """End what a killed run has left; what serves is kept."""
        keep = frozenset(pid for pair in live.values() for pid in (pair.engine_pid, pair.gateway_pid))
        return self.processes.end_leftovers(keep)

    def refuse_taken_ports(self, plan: Plan, live: Mapping[str, LivePair]) -> None:
        """Notice a taken port before hours of training, and not after.

        Raises:
            OperationFailed: a service that is to be rolled out cannot have its port.
        """
        for one in plan.changes:
            if isinstance(one.step, RollOut) and one.step.port is not None:
                refuse_taken(one.step.port, one.step.name, live.get(one.step.name))

    def run_task(
        self, payload: Payload, name: str, variables: Variables, on_progress: Callable[[Progress], None]
    ) -> TaskResult:
        return self.processes.run_task(payload, name, variables, on_progress)

    def evaluate(
        self,
        step: Evaluate,
        to_come: Sequence[EnginePayload],
        variables: Mapping[str, str],
        on_progress: Callable[[Progress], None],
    ) -> TaskResult:
        """Start the candidate pair and measure through its gateway. The engine stays up for those `to_come`."""
        name = step_id(step)
        engine, gateway = step.payload.engine, step.payload.gateway
        if engine is None or gateway is None:  # a constant answers
            return self.run_task(step.payload, name, variables, on_progress)
        on_progress(Progress(phase="starting the candidate", done=0, total=1, unit="servers"))
        with self.candidates.pair(engine, gateway, to_come, step.name.replace("@", "-"), variables) as url:
            return self.run_task(step.payload, name, {**variables, process.GATEWAY_URL: url}, on_progress)

    def end_candidates(self) -> None:
        self.candidates.end()

    def roll_out(self, step: RollOut, variables: Mapping[str, str], old: LivePair | None) -> LivePair:
        assert step.port is not None  # the local target gives every service one
        return self.pairs.roll_out(step, step.port, variables, old)

    def stop(self, pair: LivePair) -> None:
        self.pairs.stop(pair)

    def ask(self, url: str, service: str, variables: Mapping[str, str], seconds: float) -> str:
        return ask(url, service, variables, seconds)
