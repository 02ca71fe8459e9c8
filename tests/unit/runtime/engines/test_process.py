"""The whole serving pair as processes: engine and gateway, a client of OpenAI's, evaluation, and a stop that drains."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmops_spec.payloads.results import TaskResult
from llmops_spec.payloads.serving import Ready
from llmops_spec.store import publish, read_output

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
GATEWAY = {
    "service": "support",
    "modelName": "tiny",
    "prompt": {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"maxTokens": 60}},
        "output": {"maxTokens": 20, "labels": ["refund", "refunds", "shipping"]},
    },
}


@pytest.fixture
def task(tmp_path, store):
    """Starts tasks as child processes; ends those that are left."""
    children = []

    def started(name: str, content: dict, **environment: str):
        payload, result = tmp_path / f"{name}.json", tmp_path / f"{name}.result.json"
        payload.write_text(json.dumps({"formatVersion": 1, "task": name, **content}))
        environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LLMOPS_STORE": f"file:{store.root}"}
        command = [sys.executable, "-m", "llmops_runtime", name, "--payload", payload, "--result", result]
        child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child, result

    yield started
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.communicate()


def ready(child: subprocess.Popen, result: Path) -> str:
    for _ in range(1200):
        if result.exists():
            return f"http://127.0.0.1:{Ready.model_validate_json(result.read_bytes()).port}"
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.1)
    raise AssertionError("not ready")


def test_engine_gateway_client_and_evaluation(task, engine_payload, tmp_path, store) -> None:
    import openai

    engine, engine_result = task("engine", engine_payload)
    engine_url = ready(engine, engine_result)
    gateway, gateway_result = task("gateway", GATEWAY, LLMOPS_ENGINE_URL=engine_url)
    gateway_url = ready(gateway, gateway_result)

    with openai.OpenAI(base_url=f"{gateway_url}/v1", api_key="x", max_retries=0) as client:
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
        whole = client.chat.completions.create(**chat)
        stream = client.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True})
        pieces = list(stream)
        assert "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
        assert pieces[-1].usage == whole.usage

    rows = [{"intent": "refund", "question": f"number {n}"} for n in range(40)]
    made = tmp_path / "made"
    made.mkdir()
    (made / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    publish(store, "e" * 64, made)
    payload = {
        "evaluation": "labels",
        "splits": {"heldout": {"ref": f"store://{'e' * 64}/heldout.jsonl"}},
        "targetColumn": "intent",
        "inputVariables": ["question"],
        "metrics": [{"name": "label-accuracy"}],
        "sampling": {},
        "engine": engine_payload,
        "gateway": GATEWAY,
        "code": {},
    }
    evaluate, result = task("evaluate", payload, LLMOPS_GATEWAY_URL=gateway_url)
    progress, log = evaluate.communicate(timeout=120)
    assert evaluate.returncode == 0, log
    assert json.loads(progress.splitlines()[-1])["done"] == 40
    done = TaskResult.model_validate_json(result.read_bytes())
    head, *lines = read_output(store, f"store://{done.key}/record.jsonl").splitlines()
    assert json.loads(head)["subject"]["facts"].keys() == {"model", "engine", "prompt", "guardrails"}
    assert {json.loads(line)["status"] for line in lines} == {"scored"}

    running: list[object] = []
    with openai.OpenAI(base_url=f"{engine_url}/v1", api_key="x", max_retries=0) as client:

        def ask() -> None:
            running.append(client.chat.completions.create(**chat, max_tokens=100))

        asking = [threading.Thread(target=ask) for _ in range(8)]
        for one in asking:
            one.start()
        time.sleep(0.1)
        engine.send_signal(signal.SIGTERM)
        for one in asking:
            one.join()
    assert engine.wait(30) == 0
    assert len(running) == 8
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(30) == 0


def test_a_model_that_is_not_there(task, engine_payload) -> None:
    engine_payload["weights"]["model"] = f"store://{'f' * 64}/model"
    engine, result = task("engine", engine_payload)
    _, log = engine.communicate(timeout=120)
    assert engine.returncode == 1
    assert "Traceback" not in log
    failure = TaskResult.model_validate_json(result.read_bytes()).failure
    assert failure is not None
    assert (failure.code, failure.help) == ("store", "run `llmops apply` again: it makes what is missing")
