"""The gateway as the process that it is: ready, takes over the public port, refuses a foreign one, drains and ends."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmops_spec.payloads.results import TaskResult
from llmops_spec.payloads.serving import Ready

ROOT = Path(__file__).parents[4]


class SlowEngine(BaseHTTPRequestHandler):
    """Answers `slow` after a while and anything else at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        time.sleep(1.0 if "slow" in text else 0.0)
        message = {"message": {"content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        content = json.dumps({"choices": [message], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def engine_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowEngine)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(tmp_path, engine_url, gateway_payload):
    """Starts gateways as child processes; ends those that are left."""
    children = []

    def started(name: str, **changes: object):
        payload, result = tmp_path / f"{name}.json", tmp_path / f"{name}.result.json"
        payload.write_text(
            json.dumps({"formatVersion": 1, "task": "gateway", **gateway_payload, **changes.pop("payload", {})})
        )
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LLMOPS_ENGINE_URL": engine_url, **changes}
        command = [sys.executable, "-m", "llmops_runtime", "gateway", "--payload", payload, "--result", result]
        child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child, result

    yield started
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.communicate()


def wait_for(result: Path, wanted=lambda _ready: True) -> Ready:
    for _ in range(400):
        if result.exists() and wanted(ready := Ready.model_validate_json(result.read_bytes())):
            return ready
        time.sleep(0.05)
    raise AssertionError("the gateway did not become ready")


def ask(port: int, question: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/services/support", json.dumps({"variables": {"question": question}}))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_old_and_new_gateway_share_the_public_port_and_the_old_one_drains(start) -> None:
    public = free_port()
    children = []
    for name in ("old", "new"):
        child, result = start(name, LLMOPS_PUBLIC_LISTEN=f"127.0.0.1:{public}")
        ready = wait_for(result)
        assert (ready.task, ready.pid, ready.public_port) == ("gateway", child.pid, None)
        child.send_signal(signal.SIGUSR1)
        ready = wait_for(result, lambda ready: ready.public_port or ready.public_error)
        assert (ready.public_port, ready.public_error) == (public, None)
        children.append((child, ready))
    (old, old_ready), (new, _) = children
    answers: list[tuple[int, dict]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(old_ready.port, "slow")))
    asking.start()
    time.sleep(0.3)
    old.send_signal(signal.SIGTERM)
    asking.join()
    assert answers[0][0] == 200  # what ran was answered
    assert old.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(old_ready.port, "hi")
    for _ in range(20):
        assert ask(public, "hi")[1]["answer"] == "Q: hi"
    new.send_signal(signal.SIGTERM)
    assert new.wait(10) == 0


def test_a_foreign_process_keeps_its_port(start) -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        taken = foreign.getsockname()[1]
        child, result = start("one", LLMOPS_PUBLIC_LISTEN=f"127.0.0.1:{taken}")
        wait_for(result)
        child.send_signal(signal.SIGUSR1)
        ready = wait_for(result, lambda ready: ready.public_error)
        assert (ready.public_port, ready.public_error) == (None, f"port {taken} is in use by another process")
        assert ask(ready.port, "hi")[0] == 200

        child, result = start("two", LLMOPS_LISTEN=f"127.0.0.1:{taken}")
        assert child.wait(20) == 1
        failure = TaskResult.model_validate_json(result.read_bytes()).failure
        assert failure is not None
        assert failure.message == f"port {taken} is in use by another process"


def test_a_rail_that_misses_its_canary_is_never_ready(start) -> None:
    rail = {"maxLength": {"characters": 100}, "onError": "closed", "canary": "short"}
    child, result = start("one", payload={"guardrails": [{"input": [rail]}]})
    assert child.wait(20) == 1
    failure = TaskResult.model_validate_json(result.read_bytes()).failure
    assert failure is not None
    assert failure.message == "the guardrail 1.input.1 maxLength did not catch its canary"
    assert "Traceback" not in child.communicate()[1]


def test_without_an_engine_it_says_so(start) -> None:
    child, result = start("one", LLMOPS_ENGINE_URL="")
    assert child.wait(20) == 1
    failure = TaskResult.model_validate_json(result.read_bytes()).failure
    assert failure is not None
    assert "LLMOPS_ENGINE_URL" in failure.message
