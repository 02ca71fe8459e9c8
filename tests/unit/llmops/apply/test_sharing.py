"""Which evaluations share an engine, in which order they come, and how long the engine stays up."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from compiler.plan import Action, Evaluate, PlannedStep, Train, step_id
from llmops.apply.candidates import Candidates
from llmops.apply.journal import Journal
from llmops.apply.processes import ProcessHost, RunningProcess, Server, started_at
from llmops.apply.servers import PairHost, StartedEngine
from llmops.apply.sharing import answers_for, in_engine_order, shared_engine, sharers, shares
from llmops_spec.engine import TransformersEngine
from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.payloads.training import StoredModel
from llmops_spec.prompt import Message, PromptOutput, PromptSpec
from tests.harness.desk import Desk

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
PROMPT = PromptSpec(messages=[Message(role="user", content="hi")], output=PromptOutput(max_tokens=5))
GATEWAY = GatewayPayload(service="subject", model_name="tuned", prompt=PROMPT)


def engine(name: str, *, base: str = A, adapter: str | None = None, **more: object) -> EnginePayload:
    weights = StoredModel(model=f"store://{base}/model", adapter=f"store://{adapter}/adapter" if adapter else None)
    return EnginePayload.model_validate({"model_name": name, "weights": weights, "versions": {"torch": "2"}, **more})


BASE, TUNED, OTHER = engine("base"), engine("tuned", adapter=B), engine("other", base=C)


@pytest.mark.parametrize(
    "different",
    [
        engine("tuned", base=C, adapter=B),
        engine("tuned", adapter=B, transformers=TransformersEngine(dtype="bfloat16")),
        engine("tuned", adapter=B, transformers=TransformersEngine(threads=1)),
        engine("tuned", adapter=B, versions={"torch": "3"}),
        engine("base", adapter=B),  # its name already means the base alone
    ],
    ids=["weights", "dtype", "threads", "versions", "name"],
)
def test_an_engine_with_another_base_or_other_settings_is_another_engine(different: EnginePayload) -> None:
    assert shares(BASE, TUNED)
    assert not shares(BASE, different)
    assert shared_engine(BASE, [different]).others == []


def test_the_shared_engine_holds_every_state_once_and_moves_no_key() -> None:
    shared = shared_engine(TUNED, [BASE, TUNED, BASE, OTHER])

    assert [one.model_name for one in shared.others] == ["base"]
    assert all(answers_for(shared, one) for one in (BASE, TUNED))
    assert not answers_for(shared, OTHER)
    assert not answers_for(TUNED, BASE)
    assert step_key(BASE) == step_key(BASE.model_copy(update={"others": []}))


def evaluate(name: str, own: EnginePayload, *needs: str, action: Action = Action.RUN) -> PlannedStep:
    payload = EvaluatePayload.model_validate(
        {
            "evaluation": name,
            "splits": {},
            "targetColumn": "y",
            "inputVariables": [],
            "metrics": [],
            "sampling": {},
            "engine": own,
            "gateway": GATEWAY,
            "code": {},
        }
    )
    return PlannedStep(
        step=Evaluate(name=name, key=step_key(payload), payload=payload, needs=list(needs)), action=action, reason=""
    )


def train(name: str) -> PlannedStep:
    payload = {
        "method": "lora",
        "rows": {"ref": f"store://{A}/rows"},
        "hyperParameters": {"learningRate": 0.1, "steps": 1, "batchSize": 1, "sequenceLength": 8},
        "seed": 0,
        "recipe": 1,
        "versions": {},
    }
    return PlannedStep(
        step=Train.model_validate({"name": name, "key": A, "payload": payload}), action=Action.RUN, reason=""
    )


def names(steps: Sequence[PlannedStep]) -> list[str]:
    return [step_id(one.step).removeprefix("evaluate/") for one in steps]


def test_evaluations_on_one_engine_come_one_after_the_other() -> None:
    steps = [evaluate("a", TUNED), evaluate("b", OTHER), evaluate("a@base", BASE), evaluate("c", OTHER)]

    assert names(in_engine_order(steps)) == ["a", "a@base", "b", "c"]


def test_no_step_comes_before_what_it_needs() -> None:
    steps = [
        *(evaluate("a", BASE), evaluate("b", OTHER)),
        *(train("tune"), evaluate("a@tuned", TUNED, "train/tune"), evaluate("d", BASE)),
    ]

    assert names(in_engine_order(steps)) == ["a", "d", "b", "train/tune", "a@tuned"]


def test_an_evaluation_that_is_cached_keeps_nothing_up() -> None:
    steps = [evaluate("a", TUNED), evaluate("b", OTHER), evaluate("a@base", BASE, action=Action.CACHED)]

    assert names(in_engine_order(steps)) == ["a", "b", "a@base"]
    assert isinstance(steps[0].step, Evaluate)
    assert sharers(steps[0].step, steps[1:]) == []


def test_an_engine_is_shared_only_with_weights_that_are_made() -> None:
    first = evaluate("a", BASE)
    assert isinstance(first.step, Evaluate)
    waiting = [train("tune"), evaluate("a@tuned", TUNED, "train/tune")]

    assert sharers(first.step, waiting) == []
    assert sharers(first.step, waiting[1:]) == [TUNED]


def test_the_quickstart_measures_candidate_and_baseline_on_one_engine(desk: Desk) -> None:
    steps = in_engine_order(desk.plan().steps)
    place = names(steps).index("support-eval")
    candidate = steps[place].step
    assert isinstance(candidate, Evaluate)
    assert candidate.payload.engine is not None

    (baseline,) = sharers(candidate, steps[place + 1 :])

    assert baseline.model_name == "support-base"
    assert names(steps)[place + 1] == "support-eval@support-base"
    assert candidate.payload.engine.others == []


@dataclass(frozen=True, kw_only=True)
class FakePairs(PairHost):
    """Writes down what is started and ended; every process is this one."""

    said: list[str] = field(default_factory=list[str])

    def start_engine(self, payload: EnginePayload, name: str, variables: Mapping[str, str]) -> StartedEngine:
        states = [payload.model_name, *(one.model_name for one in payload.others)]
        self.said.append(f"start {name}: {', '.join(states)}")
        running = RunningProcess(pid=os.getpid(), started=started_at(os.getpid()))
        server = Server(name=name, process=running, result=Path(name), log=Path(name))
        return StartedEngine(payload=payload, server=server, port=1)

    @contextmanager
    def candidate_gateway(
        self, payload: GatewayPayload, engine: StartedEngine, name: str, variables: Mapping[str, str]
    ) -> Generator[str]:
        yield engine.server.name


@dataclass(frozen=True, kw_only=True)
class FakeProcesses(ProcessHost):
    said: list[str]

    def end(self, running: RunningProcess) -> None:
        self.said.append("end")


@pytest.fixture
def pairs(tmp_path: Path) -> FakePairs:
    said: list[str] = []
    processes = FakeProcesses(folder=tmp_path, journal=Journal(tmp_path / "journal.db"), said=said)
    return FakePairs(processes=processes, store_url="file:", said=said)


def measured(candidates: Candidates, own: EnginePayload, *to_come: EnginePayload) -> None:
    with candidates.pair(own, GATEWAY, to_come, own.model_name, {}):
        pass


def test_the_engine_stays_up_for_those_that_it_answers_for_and_no_longer(pairs: FakePairs) -> None:
    candidates = Candidates(pairs=pairs)

    measured(candidates, TUNED, BASE)
    measured(candidates, BASE)
    measured(candidates, OTHER)

    assert pairs.said == ["start tuned: tuned, base", "end", "start other: other", "end"]


def test_an_engine_of_no_use_is_ended_before_another_starts(pairs: FakePairs) -> None:
    candidates = Candidates(pairs=pairs)

    measured(candidates, TUNED, BASE)
    measured(candidates, OTHER, BASE)
    candidates.end()
    candidates.end()

    assert pairs.said == ["start tuned: tuned, base", "end", "start other: other", "end"]


def test_an_engine_that_died_between_two_evaluations_is_started_again(pairs: FakePairs) -> None:
    candidates = Candidates(pairs=pairs)
    measured(candidates, TUNED, BASE)
    assert candidates._warm is not None
    dead = replace(candidates._warm.server, process=RunningProcess(pid=os.getpid(), started=-1.0))
    candidates._warm = replace(candidates._warm, server=dead)

    measured(candidates, BASE)

    assert pairs.said == ["start tuned: tuned, base", "end", "start base: base", "end"]


def test_a_failed_evaluation_leaves_no_engine_up(pairs: FakePairs) -> None:
    candidates = Candidates(pairs=pairs)

    with pytest.raises(KeyboardInterrupt), candidates.pair(TUNED, GATEWAY, [BASE], "tuned", {}):
        raise KeyboardInterrupt

    assert pairs.said == ["start tuned: tuned, base", "end"]
