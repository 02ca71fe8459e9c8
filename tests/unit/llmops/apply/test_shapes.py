"""Shapes of projects beside the quickstart's own: two services, baselines from a record, an adapter from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compiler.plan import Evaluate, Fetch, Provision, RollOut, step_id
from llmops.errors import Exit
from llmops_spec.payloads.evaluation import EvaluatePayload
from llmops_spec.store import make_ref, read_output
from tests.harness.desk import Desk

# --- two services


def _second_service(desk: Desk, name: str) -> Path:
    path = desk.root / f"{name}.yaml"
    path.write_text((desk.root / "service.yaml").read_text().replace("name: support\n", f"name: {name}\n"))
    return path


def _ports(desk: Desk) -> dict[str, int | None]:
    return {one.step.name: one.step.port for one in desk.plan().steps if isinstance(one.step, RollOut)}


def _live(desk: Desk) -> set[str]:
    with desk.site() as (site, _):
        return {name for name, pair in site.live_pairs().items() if pair.is_healthy()}


def test_two_services_of_one_environment_have_a_port_each_and_come_and_go_alone(desk: Desk) -> None:
    second = _second_service(desk, "answers")
    assert _ports(desk) == {"answers": 8080, "support": 8081}  # counted up by name

    assert desk.apply().exit_code is Exit.CLEAN
    ran = desk.ran()
    assert {"roll-out/answers", "roll-out/support", "ask/answers", "ask/support"} <= set(ran)
    assert len([one for one in ran if one.startswith("train/")]) == 2  # what both serve is made once
    assert _live(desk) == {"answers", "support"}
    assert desk.plan().changes == []

    desk.edit("environments/local.yaml", "{gatewayPort: 8080}", "{gatewayPort: 8080, ports: {support: 8081}}")
    second.unlink()
    assert desk.plan().removals == ["answers"]
    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == []  # the one that stays keeps its port and goes on
    assert _live(desk) == {"support"}


def test_a_gate_of_one_service_stops_the_release_before_any_of_two_is_rolled_out(desk: Desk) -> None:
    second = _second_service(desk, "answers")
    second.write_text(second.read_text().replace("gates: [support-quality, support-safety]", "gates: [support-safety]"))
    desk.edit("gates.yaml", "atLeast: 0.75", "atLeast: 0.97")
    assert desk.apply().exit_code is Exit.GATE_INCONCLUSIVE
    assert not [one for one in desk.ran() if one.startswith("roll-out/")]
    assert _live(desk) == set()


# --- a baseline that is a committed record

BASELINE = "    - {metric: exact-match, betterThan: {model: support-base}}\n"
RECORDED = "    - {metric: exact-match, nonInferiorTo: {record: baselines/support.jsonl}, margin: 0.05}\n"


def _record(desk: Desk) -> bytes:
    step = next(
        one.step for one in desk.plan().steps if isinstance(one.step, Evaluate) and one.step.name == "support-eval"
    )
    assert isinstance(step.payload, EvaluatePayload)
    with desk.site() as (site, _):
        return read_output(site.store, make_ref(step.key, "record.jsonl"))


def _compare_with(desk: Desk, record: bytes) -> None:
    (desk.root / "baselines").mkdir(exist_ok=True)
    (desk.root / "baselines" / "support.jsonl").write_bytes(record)


@pytest.fixture
def recorded(desk: Desk) -> Desk:
    """A desk whose own record of today is the baseline that it commits."""
    assert desk.apply().exit_code is Exit.CLEAN
    _compare_with(desk, _record(desk))
    desk.edit("gates.yaml", BASELINE, BASELINE + RECORDED)
    desk.ran()
    return desk


def test_a_record_in_git_is_a_baseline_and_asks_for_no_evaluation(recorded: Desk) -> None:
    fetched = [one.step for one in recorded.plan().changes if isinstance(one.step, Fetch)]
    assert any("baselines/support.jsonl" in {file.path for file in one.files.values()} for one in fetched)

    outcome = recorded.apply()
    assert outcome.exit_code is Exit.CLEAN, outcome.failure
    assert not [one for one in recorded.ran() if one.startswith(("train/", "evaluate/"))]
    assert outcome.verdicts["support-quality"].verdict == "pass"
    assert recorded.plan().changes == []


def test_a_worse_candidate_is_stopped_by_the_record(recorded: Desk) -> None:
    for line in ("atLeast: 0.75", "atLeast: 0.60", "atLeast: 0.80", "atLeast: 0.65"):
        recorded.edit("gates.yaml", line, "atLeast: 0.0001")
    recorded.edit("gates.yaml", BASELINE, "")
    recorded.edit("prompts.yaml", "Answer the question", "Say something about the question")
    assert recorded.apply().exit_code is Exit.GATE_FAILED


def test_a_record_that_was_measured_otherwise_is_refused_and_not_compared(recorded: Desk) -> None:
    header, *lines = _record(recorded).decode().splitlines()
    told = json.loads(header)
    told["sampling"]["temperature"] = 0.7
    _compare_with(recorded, "\n".join([json.dumps(told), *lines]).encode() + b"\n")
    outcome = recorded.apply()
    assert outcome.exit_code is Exit.GATE_INCONCLUSIVE
    assert "is refused: the sampling parameters differ" in json.dumps(outcome.verdicts["support-quality"].to_json())


def test_a_record_whose_lines_are_not_those_that_it_plans_is_refused(recorded: Desk) -> None:
    header, *lines = _record(recorded).decode().splitlines()
    told = json.loads(header)
    told["plannedItems"]["digest"] = "0" * 64
    _compare_with(recorded, "\n".join([json.dumps(told), *lines]).encode() + b"\n")
    outcome = recorded.apply()
    assert outcome.failure is not None
    assert "the items with lines are not those planned" in outcome.failure.what
    assert "roll-out/support" not in recorded.ran()


# --- an adapter that was trained elsewhere


def _adapter_by_path(desk: Desk, skill: str) -> None:
    folder = desk.root / "adapter"
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    (folder / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "weights").write_text(f"{skill} made elsewhere")
    if "{training: support-tune}" in (desk.root / "models.yaml").read_text():
        desk.edit("models.yaml", "{training: support-tune}", "{path: adapter}")


def test_an_adapter_in_a_folder_is_fetched_measured_and_served(desk: Desk) -> None:
    _adapter_by_path(desk, "good")
    outcome = desk.apply()

    assert outcome.exit_code is Exit.CLEAN, outcome.failure
    ran = desk.ran()
    assert {"train/support-pretrain", "evaluate/support-eval", "roll-out/support"} <= set(ran)
    steps = {step_id(one.step): one.step for one in desk.plan().steps}
    rolled_out = steps["roll-out/support"]
    assert isinstance(rolled_out, RollOut)
    assert isinstance(steps["provision/support"], Provision)
    assert rolled_out.engine.weights.adapter is not None
    with desk.site() as (site, _):
        served = read_output(site.store, rolled_out.engine.weights.adapter + "/adapter_config.json")
    assert served == (desk.root / "adapter" / "adapter_config.json").read_bytes()


def test_another_adapter_in_the_folder_is_measured_again_and_a_bad_one_is_stopped(desk: Desk) -> None:
    _adapter_by_path(desk, "good")
    desk.apply()
    desk.ran()
    _adapter_by_path(desk, "none")
    assert desk.apply().exit_code is Exit.GATE_FAILED
    assert desk.ran() == ["evaluate/support-eval"]
    assert _live(desk) == {"support"}
