"""Pairs as the processes that they are: rolled out, killed, started again, handed over, stopped; measured in turn."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from compiler.plan import Evaluate, RollOut
from llmops.apply.candidates import Candidates
from llmops.apply.journal import Journal
from llmops.apply.processes import ProcessHost
from llmops.apply.servers import LivePair, PairHost, ask
from llmops.apply.workers import LocalWorkers
from llmops_runtime.stores import open_store
from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.store import publish, read_output
from tests.harness.tiny_model import save_tiny_model

pytestmark = [
    pytest.mark.slow,
    # Servers outlive the object that started them: that is what they are for.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY, ROWS = "a" * 64, "b" * 64
QUESTION = {"question": "where is my parcel?"}


def engine(name: str = "tiny") -> EnginePayload:
    weights = {"model": f"store://{KEY}/model"}
    return EnginePayload.model_validate({"modelName": name, "weights": weights, "versions": {}})


def gateway(name: str = "tiny") -> GatewayPayload:
    prompt = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"maxTokens": 60}},
        "output": {"maxTokens": 8, "labels": ["refund", "shipping"]},
    }
    return GatewayPayload.model_validate({"service": "support", "modelName": name, "prompt": prompt})


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("made")
    (made / "model").mkdir()
    save_tiny_model(made / "model")
    url = f"file:{tmp_path_factory.mktemp('store')}"
    publish(open_store(url), KEY, made)
    rows = tmp_path_factory.mktemp("rows")
    (rows / "rows.jsonl").write_text(
        "".join(json.dumps({"question": f"number {n}", "intent": "refund"}) + "\n" for n in range(5))
    )
    publish(open_store(url), ROWS, rows)
    return url


@pytest.fixture
def workers(tmp_path: Path, store_url: str) -> Iterator[LocalWorkers]:
    processes = ProcessHost(folder=tmp_path, journal=Journal(tmp_path / "journal.db"))
    pairs = PairHost(processes=processes, store_url=store_url)
    yield LocalWorkers(processes=processes, pairs=pairs, candidates=Candidates(pairs=pairs))
    processes.end_leftovers(frozenset())
    assert children_of(tmp_path) == []


def children_of(folder: Path) -> list[int]:
    """Processes of the runtime that were started below a folder."""
    found = [(one.info["pid"], one.info["cmdline"] or []) for one in psutil.process_iter(["pid", "cmdline"])]
    return [pid for pid, words in found if any(word.startswith(str(folder)) for word in words)]


def rolled_out(workers: LocalWorkers, revision: str, port: int, old: LivePair | None) -> LivePair:
    step = RollOut(name="support", revision=revision * 64, engine=engine(), gateway=gateway(), port=port)
    return workers.roll_out(step, {}, old)


def served_by(supervisor: int) -> int:
    """The process that a supervisor keeps up."""
    (child,) = until(lambda: psutil.Process(supervisor).children())
    return child.pid


def until(look: Callable[[], list[psutil.Process]], seconds: float = 60.0) -> list[psutil.Process]:
    """What there is to see, as soon as there is anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


def came_back(workers: LocalWorkers, pair: LivePair, role: str, supervisor: int) -> None:
    """Kill what a supervisor keeps up, and wait until the pair is healthy again."""
    os.kill(served_by(supervisor), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while workers.pairs.supervision(pair)[role].restarts == 0 or not pair.is_healthy():
        assert time.monotonic() < deadline, workers.processes.log_path(f"{role}-{pair.name}").read_text()
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_what_dies_comes_back_and_nothing_outlives_a_hand_over_or_a_stop(workers: LocalWorkers, tmp_path: Path) -> None:
    port = free_port()
    first = rolled_out(workers, "1", port, None)
    assert ask(first.url, "support", QUESTION, 30.0) in ("refund", "shipping")

    came_back(workers, first, "engine", first.engine_pid)
    came_back(workers, first, "gateway", first.gateway_pid)
    assert ask(first.url, "support", QUESTION, 30.0) in ("refund", "shipping")
    assert {role: one.restarts for role, one in workers.pairs.supervision(first).items()} == {"engine": 1, "gateway": 1}
    assert workers.end_leftovers({"support": first}) == []
    assert first.is_healthy()

    again = rolled_out(workers, "1", port, first)  # as after a child that was given up: beside the old pair
    workers.stop(first)
    assert again.name != first.name
    assert again.is_healthy()
    assert ask(again.url, "support", QUESTION, 30.0) in ("refund", "shipping")
    assert {role: one.restarts for role, one in workers.pairs.supervision(again).items()} == {"engine": 0, "gateway": 0}
    assert len(children_of(tmp_path)) == 4  # two supervisors, engine and gateway

    workers.stop(again)
    assert children_of(tmp_path) == []


def test_what_a_killed_supervisor_leaves_ends_with_it(workers: LocalWorkers, tmp_path: Path) -> None:
    pair = rolled_out(workers, "1", free_port(), None)
    for supervisor in (pair.engine_pid, pair.gateway_pid):
        os.kill(supervisor, signal.SIGKILL)

    deadline = time.monotonic() + 10
    while len(children_of(tmp_path)) > 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not pair.is_healthy()


def test_one_engine_measures_both_and_ends(workers: LocalWorkers, tmp_path: Path, store_url: str) -> None:
    log: list[str] = []
    for name, to_come in (("tiny", [engine("plain")]), ("plain", [])):
        payload = EvaluatePayload.model_validate(
            {
                "evaluation": name,
                "splits": {"heldout": {"ref": f"store://{ROWS}/rows.jsonl"}},
                "targetColumn": "intent",
                "inputVariables": ["question"],
                "metrics": [{"name": "label-accuracy"}],
                "sampling": {},
                "engine": engine(name),
                "gateway": gateway(name),
                "code": {},
            }
        )
        step = Evaluate(name=f"labels@{name}", key=step_key(payload), payload=payload)
        workers.evaluate(step, to_come, {"LLMOPS_STORE": store_url}, lambda _: None)
        log.append(str(sum("engine" in Path(one).name for one in started(tmp_path))))
        lines = read_output(open_store(store_url), f"store://{step.key}/record.jsonl").splitlines()
        assert {json.loads(line)["status"] for line in lines[1:]} == {"scored"}
        assert json.loads(lines[0])["subject"]["facts"]["model"].startswith(name)

    assert log == ["1", "1"]
    assert children_of(tmp_path) == []


def started(folder: Path) -> list[str]:
    return [one.name for one in (folder / "run").iterdir()]
