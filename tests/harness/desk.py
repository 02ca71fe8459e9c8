"""The quickstart on a desk whose workers are quick: no torch, no servers, and everything else real.

Store, journal, plan, decisions, signatures and verification are the product's own. The workers stand in for child
processes: training writes a few bytes that follow from its payload, evaluation writes a record whose scores follow
from the weights, so that a bad training makes a bad record.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from compiler.pipeline import Compilation
from compiler.plan import Evaluate, Plan, RollOut
from llmops.apply.executor import Executor, RunOutcome
from llmops.apply.integrity import verify_stored
from llmops.apply.judge import open_judge
from llmops.apply.planning import make_plan
from llmops.apply.processes import started_at
from llmops.apply.servers import LivePair
from llmops.apply.site import Site, open_site
from llmops.apply.tombstones import honour
from llmops.judging import Judged, compile_judged
from llmops.workspace import open_workspace
from llmops_spec.digests import digest, digest_bytes
from llmops_spec.payloads.base import Payload, step_key
from llmops_spec.payloads.data import CheckDataPayload
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.payloads.results import Progress, TaskResult
from llmops_spec.payloads.serving import EnginePayload
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.secret import Variables
from llmops_spec.store import Store, publish, read_output
from policies.gates.records import planned_digest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
ENVIRONMENT = "local"


class QuietDisplay:
    def begin(self, step: str, number: int, total: int) -> None: ...

    def update(self, progress: Progress) -> None: ...

    def end(self, step: str, outcome: str, seconds: float) -> None: ...


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # the base class's


@dataclass(kw_only=True)
class QuickWorkers:
    """Implements `executor.Workers`; remembers what it was asked to do."""

    store: Store
    ran: list[str] = field(default_factory=list[str])
    given: dict[str, Variables] = field(default_factory=dict[str, Variables])
    """What each task was told beside its payload, last time."""
    serving: dict[int, ThreadingHTTPServer] = field(default_factory=dict[int, ThreadingHTTPServer])
    """By port."""

    def run_task(
        self, payload: Payload, name: str, variables: Variables, on_progress: Callable[[Progress], None]
    ) -> TaskResult:
        self.ran.append(name)
        self.given[name] = variables
        on_progress(Progress(phase="working", done=1, total=1, unit="steps"))
        with TemporaryDirectory() as folder:
            self._write(payload, Path(folder) / "outputs")
            manifest = publish(self.store, step_key(payload), Path(folder) / "outputs")
        return TaskResult(task="task", key=step_key(payload), manifest=manifest.digest(), seconds=0.0)

    def evaluate(
        self,
        step: Evaluate,
        to_come: Sequence[EnginePayload],
        variables: Mapping[str, str],
        on_progress: Callable[[Progress], None],
    ) -> TaskResult:
        return self.run_task(step.payload, f"evaluate/{step.name}", variables, on_progress)

    def end_candidates(self) -> None: ...

    def roll_out(self, step: RollOut, variables: Mapping[str, str], old: LivePair | None) -> LivePair:
        self.ran.append(f"roll-out/{step.name}")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, started = server.server_address[1], started_at(os.getpid())
        self.serving[port] = server
        return LivePair(
            service=step.name,
            model_name=step.engine.model_name,
            port=port,
            engine_pid=os.getpid(),
            engine_started=started,
            engine_port=port,
            gateway_pid=os.getpid(),
            gateway_started=started,
        )

    def stop(self, pair: LivePair) -> None:
        server = self.serving.pop(pair.port)
        server.shutdown()
        server.server_close()

    def ask(self, url: str, service: str, variables: Mapping[str, str], seconds: float) -> str:
        self.ran.append(f"ask/{service}")
        return "an answer"

    def _write(self, payload: Payload, outputs: Path) -> None:
        outputs.mkdir()
        match payload:
            case CheckDataPayload():
                (outputs / "profile.json").write_text(json.dumps({"formatVersion": 1, "splits": {}}))
            case TrainPayload():
                folder = outputs / ("adapter" if payload.method == "lora" else "model")
                folder.mkdir()
                skill = "good" if payload.hyper_parameters.learning_rate > 0 and payload.method == "lora" else "none"
                (folder / "weights").write_text(f"{skill} {digest(payload.key_view())}")
            case EvaluatePayload():
                (outputs / "record.jsonl").write_text(self._record(payload))
            case _:
                raise AssertionError(payload)

    def _record(self, payload: EvaluatePayload) -> str:
        rows = {
            split: [json.loads(line) for line in read_output(self.store, one.ref).splitlines()]
            for split, one in payload.splits.items()
        }
        skilled = self._is_skilled(payload)
        items = [(row, split) for split, some in rows.items() for row in some]
        header = {
            "formatVersion": 1,
            "evaluation": payload.evaluation,
            "plannedItems": {
                "count": len(items),
                "digest": planned_digest((row["item_id"], _row_digest(row)) for row, _ in items),
            },
            "draws": 1,
            "metrics": [{"name": one.name, "version": "1"} for one in payload.metrics],
            "sampling": payload.sampling.model_dump(mode="json", by_alias=True),
            "itemColumn": payload.item_column,
            "clusterColumn": payload.cluster_column,
            "subject": {"facts": {"engine": "quick"}, "digest": digest(payload.key_view())},
        }
        lines = [json.dumps(header)]
        for number, (row, split) in enumerate(items):
            for metric in payload.metrics:
                right = skilled and number % 20 != 0
                score = 0.1 if metric.name == "latency-seconds" else float(right)
                lines.append(
                    json.dumps(
                        {
                            "item": row["item_id"],
                            "itemDigest": _row_digest(row),
                            "cluster": row["question_id"],
                            "slices": [split],
                            "draw": 0,
                            "seed": 0,
                            "metric": metric.name,
                            "status": "scored",
                            "score": 1.0 if row["item_id"] in NEVER_FAIL and skilled else score,
                        }
                    )
                )
        return "\n".join(lines) + "\n"

    def _is_skilled(self, payload: EvaluatePayload) -> bool:
        """Good weights, asked in the words that they were tuned on."""
        if payload.engine is None or payload.engine.weights.adapter is None or payload.gateway is None:
            return False
        weights = read_output(self.store, payload.engine.weights.adapter + "/weights").decode()
        return weights.startswith("good") and "Answer the question" in payload.gateway.prompt.messages[0].content


NEVER_FAIL = frozenset(
    item
    for item in (QUICKSTART / "gates.yaml").read_text().replace("[", " ").replace("]", " ").replace(",", " ").split()
)


def _row_digest(row: Mapping[str, object]) -> str:
    return digest_bytes(json.dumps(row, sort_keys=True).encode())


@dataclass(kw_only=True)
class Desk:
    """A project folder with quick workers."""

    root: Path
    workers: QuickWorkers | None = None
    told: list[str] = field(default_factory=list[str])
    """What `apply` said about results that others gave up."""

    @classmethod
    def of_quickstart(cls, root: Path) -> Desk:
        shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".llmops", "build", "__pycache__"))
        return cls(root=root)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert old in text, (file, old)
        path.write_text(text.replace(old, new))

    def compiled(self, against: str | None = None) -> Judged:
        judged = compile_judged(open_workspace(self.root), ENVIRONMENT, against)
        assert judged.compilation.sound, judged.compilation.findings
        return judged

    @contextmanager
    def site(self, against: str | None = None) -> Iterator[tuple[Site, Compilation]]:
        judged = self.compiled(against)
        compiled = judged.compilation.environments[ENVIRONMENT]
        with open_site(judged.project, compiled, base=judged.base) as site:
            yield site, judged.compilation

    def plan(self, against: str | None = None) -> Plan:
        with self.site(against) as (site, compilation):
            return make_plan(site, compilation)

    def apply(
        self, change_site: Callable[[Site], Site] = lambda site: site, *, against: str | None = None
    ) -> RunOutcome:
        """What `llmops apply` does, with quick workers in place of processes."""
        with self.site(against) as (site, compilation):
            plan = make_plan(site, compilation)
            judge = open_judge(site, lambda _: None)
            honour(site.store, site.journal, judge.trust, self.told.append, under=plan.digest())
            verified = verify_stored(site, [one.step for one in plan.steps], judge.trust)
            if self.workers is None:
                self.workers = QuickWorkers(store=site.store)
            self.workers.store = site.store
            changed = change_site(site)
            return Executor(
                site=changed, workers=self.workers, judge=judge, display=QuietDisplay(), verified=verified
            ).run(plan)

    def ran(self) -> list[str]:
        """What the workers were asked since the last time that this was asked."""
        assert self.workers is not None
        done, self.workers.ran = self.workers.ran, []
        return done

    def close(self) -> None:
        for server in (self.workers.serving if self.workers else {}).values():
            server.shutdown()
            server.server_close()
