"""From a user's rows to a served model, one project of each task, and what happens to it afterwards.

The tests of one project share it and run in order: training takes most of a minute.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.alone import addresses, outside, way_alone
from tests.e2e.conftest import Project
from tests.e2e.rows import museum, town_hall

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

LABELS = {"Waste", "Parking", "Register", "Parks"}
REQUEST = {"request_text": "On Monday my bin was not emptied."}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[[Path], Project]) -> Project:
    return make_project(town_hall(tmp_path_factory.mktemp("data") / "town.csv"))


def test_an_apply_that_is_killed_in_the_middle_of_training_leaves_work_to_resume(town: Project) -> None:
    running = town.start("apply", "--env", "local")
    town.wait_for_log("train-town-pretrain.log")
    time.sleep(2)

    held = town.run("apply", "--env", "local", code=2)
    assert f"process {running.pid} on {socket.gethostname()}" in held

    running.send_signal(signal.SIGKILL)
    running.communicate()


def test_an_interrupt_stops_the_training_and_says_so(town: Project) -> None:
    running = town.start("apply", "--env", "local")
    town.wait_for_log("train-town-tune.log", seconds=300)
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)

    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert town.processes() == []


def test_the_next_run_goes_on_to_a_served_model(town: Project) -> None:
    said = town.run("apply", "--env", "local")

    assert "label-accuracy better than majority-class" in said
    assert "train/town-pretrain" in said
    assert next(line for line in said.splitlines() if "train/town-pretrain" in line).split()[:2] == [
        "cached",
        "train/town-pretrain",
    ]
    answer = town.ask("town", REQUEST)
    assert answer["answer"] in LABELS
    assert "healthy" in town.run("status", "--env", "local")


def test_a_second_run_finds_everything(town: Project) -> None:
    began = time.monotonic()
    said = town.run("apply", "--env", "local")

    assert "nothing to do" in said
    assert time.monotonic() - began < 30
    assert "nothing to do" in town.run("plan", "--env", "local", "--detailed-exitcode")
    assert "verified" in town.run("evidence", "verify", "--env", "local")


def test_a_learning_rate_of_zero_is_stopped_and_the_old_model_goes_on_answering(town: Project) -> None:
    before = town.ask("town", REQUEST)["answer"]
    tune = (town.root / "training.yaml").read_text()
    head, tuning = tune.split("name: town-tune")
    (town.root / "training.yaml").write_text(
        head + "name: town-tune" + tuning.replace("learningRate: 0.005", "learningRate: 0.0")
    )
    said = town.run("apply", "--env", "local", code=4)

    assert "town-quality" in said
    assert "fail" in said
    assert town.ask("town", REQUEST)["answer"] == before
    assert "learningRate: 0.005 -> 0.0" in town.run("why", "train/town-tune")
    (town.root / "training.yaml").write_text(tune)
    assert "nothing to do" in town.run("apply", "--env", "local")


def test_a_port_in_use_is_named_and_the_old_service_stays(town: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        town.edit("environments/local.yaml", f"gatewayPort: {town.port}", f"gatewayPort: {port}")
        said = town.run("apply", "--env", "local", code=8)

    assert str(port) in said
    assert "gatewayPort" in said
    assert town.ask("town", REQUEST)["answer"] in LABELS
    town.edit("environments/local.yaml", f"gatewayPort: {port}", f"gatewayPort: {town.port}")
    assert "nothing to do" in town.run("apply", "--env", "local")


def test_an_edited_record_is_refused(town: Project) -> None:
    plan = json.loads(town.run("plan", "--env", "local", "--format", "json"))
    key = next(one["step"]["key"] for one in plan["plan"]["steps"] if one["step"]["kind"] == "evaluate")
    folder = town.root / ".llmops/store" / key
    manifest = json.loads((folder / "manifest.json").read_bytes())
    record = folder / "objects" / manifest["outputs"]["record.jsonl"]["digest"]
    kept = record.read_bytes()
    record.chmod(0o644)
    record.write_bytes(kept.replace(b'"score": 0.0', b'"score": 1.0').replace(b'"score":0.0', b'"score":1.0') + b"\n")

    assert "evaluate/" in town.run("apply", "--env", "local", code=7)
    record.write_bytes(kept)
    assert "nothing to do" in town.run("apply", "--env", "local")


def test_a_canary_in_the_callers_environment_is_written_nowhere(town: Project) -> None:
    canary = b"canary-5f1b7c0e-not-a-secret"
    os.environ["AWS_SECRET_ACCESS_KEY"] = canary.decode()
    try:
        town.run("evidence", "discard", "evaluate/town-eval", "--env", "local")
        said = town.run("apply", "--env", "local")
    finally:
        del os.environ["AWS_SECRET_ACCESS_KEY"]

    assert canary.decode() not in said
    for path in (town.root / ".llmops").rglob("*"):
        assert not path.is_file() or canary not in path.read_bytes(), path


def test_destroy_keeps_artifacts_and_evidence(town: Project) -> None:
    town.run("destroy", "--env", "local")

    assert town.processes() == []
    plan = town.run("plan", "--env", "local")
    assert [line.split()[1] for line in plan.splitlines() if line.strip().startswith("run")] == [
        "provision/town",
        "roll-out/town",
        "verify/town",
        "record/local",
    ]


@dataclass(frozen=True, kw_only=True)
class Museum:
    project: Project
    said: str
    answer: dict[str, object]
    trace: Path | str
    """Of all that was asked of any network; or why that could not be told."""


@pytest.fixture(scope="module")
def museum_run(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[[Path], Project]) -> Museum:
    """An apply and one question, where possible in a network that ends at loopback."""
    folder = tmp_path_factory.mktemp("data")
    project = make_project(museum(folder / "museum.jsonl"))
    question = {"query": "What should I know about the cloakroom?"}
    way = way_alone(folder)
    if isinstance(way, str):
        said = project.run("apply", "--env", "local")
        return Museum(project=project, said=said, answer=project.ask("museum", question), trace=way)
    answer, trace = folder / "answer.json", folder / "trace"
    commands = [project.command("apply", "--env", "local"), project.question("museum", question, answer)]
    code, said = way.run(commands, trace, project.environment, timeout=900)
    assert code == 0, said
    return Museum(project=project, said=said, answer=json.loads(answer.read_text()), trace=trace)


def test_an_answer_task_is_decided_honestly(museum_run: Museum) -> None:
    assert "rouge-l better than museum-base" in museum_run.said
    assert "pass" in museum_run.said
    assert isinstance(museum_run.answer["answer"], str)
    assert museum_run.answer["answer"]
    report = (museum_run.project.root / ".llmops/local/report.html").read_text()
    assert "museum-quality" in report
    assert "http://" not in report.replace("http://127.0.0.1", "").replace("http://www.w3.org", "")


def test_a_whole_apply_speaks_to_nobody_outside(museum_run: Museum) -> None:
    if isinstance(museum_run.trace, str):
        pytest.skip(museum_run.trace)
    tried = addresses(museum_run.trace)
    assert len(tried) > 100  # the recorder records: evaluation alone asks the gateway, and the gateway the engine
    assert outside(tried) == []


def test_the_recorder_tells_who_asks_outside(tmp_path: Path) -> None:
    way = way_alone(tmp_path)
    if isinstance(way, str):
        pytest.skip(way)
    asks = "import socket, subprocess, sys\nsocket.socket().connect_ex(('192.0.2.1', 9))\n"
    inner = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.7', 9))"
    code = f"{asks}subprocess.run([sys.executable, '-c', {inner!r}], stderr=subprocess.DEVNULL)"
    ended, said = way.run([[sys.executable, "-c", code]], tmp_path / "trace", {}, timeout=60)
    assert ended == 0, said
    assert outside(addresses(tmp_path / "trace")) == ["192.0.2.1", "198.51.100.7"]
