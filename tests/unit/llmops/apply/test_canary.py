"""A secret that is really used: who is given it, that it moves nothing, and that it is written down nowhere."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from compiler.plan import step_id
from llmops.apply.journal import Journal
from llmops.apply.processes import ProcessHost
from llmops.errors import Exit
from llmops.io.files import write_atomically
from llmops.report.gather import write_report
from llmops_runtime.stores.file import FileStore
from llmops_spec.catalogue.versions import RECIPES, TRAIN
from llmops_spec.payloads import process
from llmops_spec.payloads.results import Progress
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.secret import SecretValue
from llmops_spec.store import load_manifest, make_ref, publish
from tests.harness.desk import Desk

CANARY = "canary-8d41c7-tracking"
NAME = "TRACKING_TOKEN_OF_A_TEST"
PLACE = "  tracking: {mlflow: {experiment: quickstart}}"


def _with_token(desk: Desk, reference: str) -> None:
    desk.edit(
        "environments/local.yaml", PLACE, f"  tracking: {{mlflow: {{uri: http://127.0.0.1:9, token: {reference}}}}}"
    )


def _holding(text: str, *folders: Path) -> list[Path]:
    """Files below the folders that hold the text, of at least a dozen."""
    every = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(every) > 12
    return [path for path in every if text.encode() in path.read_bytes()]


def _keys(desk: Desk) -> dict[str, str]:
    return {step_id(one.step): getattr(one.step, "key", "") for one in desk.plan().steps}


@pytest.mark.parametrize("place", ["env", "file"])
def test_trainings_alone_are_given_the_secret_and_nothing_is_written_of_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "token").write_text(CANARY + "\n")
    monkeypatch.setenv(NAME, CANARY)
    _with_token(desk, f"{{env: {NAME}}}" if place == "env" else f"{{file: {outside / 'token'}}}")

    outcome = desk.apply()
    assert outcome.exit_code is Exit.CLEAN, outcome.failure
    assert desk.workers is not None
    given = {
        name: value.reveal()
        for name, variables in desk.workers.given.items()
        for value in variables.values()
        if isinstance(value, SecretValue)
    }
    assert given == {"train/support-pretrain": CANARY, "train/support-tune": CANARY}
    assert CANARY not in str(desk.workers.given)
    with desk.site() as (site, _):
        write_report(site, desk.plan(), outcome)
        write_atomically(tmp_path / "plan.json", desk.plan().model_dump_json().encode())
    assert _holding(CANARY, tmp_path) == [outside / "token"]
    assert CANARY not in "".join(capfd.readouterr())


def test_another_value_or_another_place_of_a_secret_moves_no_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _keys(desk)
    _with_token(desk, f"{{env: {NAME}}}")
    monkeypatch.setenv(NAME, CANARY)
    assert _keys(desk) == before
    desk.apply()
    desk.ran()
    monkeypatch.setenv(NAME, "another")
    assert desk.plan().changes == []
    assert desk.apply().exit_code is Exit.CLEAN
    monkeypatch.delenv(NAME)
    assert desk.apply().exit_code is Exit.CLEAN  # nothing that needs it is left to do
    assert desk.ran() == []


def test_a_secret_that_is_missing_stops_an_apply_before_its_first_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    _with_token(desk, f"{{env: {NAME}}}")
    outcome = desk.apply()
    assert outcome.failure is not None
    assert (outcome.failure.exit_code, NAME in outcome.failure.what) == (Exit.MISUSE, True)
    assert {one.state for one in outcome.steps} == {"not-run"}
    assert desk.ran() == []


class _Refusing(BaseHTTPRequestHandler):
    """A tracking server that lets nobody in, and repeats what it was sent."""

    seen: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        self.seen.append(given)
        body = f'{{"error_code": "PERMISSION_DENIED", "message": "no entry for {given}"}}'.encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # the base class's


@contextmanager
def _refusing_server() -> Generator[tuple[str, list[str]]]:
    handler = type("Refusing", (_Refusing,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.seen
    finally:
        server.shutdown()
        server.server_close()


def _tiny(store: FileStore, folder: Path) -> TrainPayload:
    """One step of a training from scratch, on rows that are put into the store."""
    (folder / "rows.jsonl").write_text('{"text": "press the red key"}\n' * 8)
    publish(store, "0" * 64, folder)
    rows = {"ref": make_ref("0" * 64, "rows.jsonl"), "format": "jsonl"}
    llama = {"hiddenSize": 16, "layers": 1, "heads": 2, "keyValueHeads": 1, "feedForwardSize": 24}
    tokenizer = {"vocabularySize": 300, "rows": rows, "columns": ["text"]}
    return TrainPayload.model_validate(
        {
            "method": "pretrain",
            "rows": rows,
            "scratch": {"llama": llama, "tokenizer": tokenizer, "contextLength": 64, "seed": 0},
            "textColumn": "text",
            "hyperParameters": {"learningRate": 0.01, "steps": 1, "batchSize": 2, "sequenceLength": 32},
            "seed": 1,
            "compute": {"threads": 1},
            "recipe": RECIPES["train"],
            "versions": {name: version(name) for name in TRAIN},
        }
    )


@pytest.mark.slow
def test_a_tracking_server_that_repeats_the_secret_gets_it_into_no_log(tmp_path: Path) -> None:
    store, rows = FileStore(tmp_path / "store"), tmp_path / "rows"
    rows.mkdir()
    payload = _tiny(store, rows)
    journal = Journal(tmp_path / "journal.db")
    host = ProcessHost(folder=tmp_path / "state", journal=journal)
    progress: list[Progress] = []
    with _refusing_server() as (uri, seen):
        variables: Mapping[str, str | SecretValue] = {
            process.STORE: f"file:{tmp_path / 'store'}",
            process.TRACKING_URI: uri,
            process.TRACKING_TOKEN: SecretValue(CANARY),
        }
        result = host.run_task(payload, "train/tiny", variables, progress.append)
    journal.close()

    assert load_manifest(store, result.key) is not None  # a tracker that fails never fails a training
    assert f"Bearer {CANARY}" in seen
    assert "no entry for Bearer (secret)" in host.log_path("train/tiny").read_text()
    assert CANARY not in result.model_dump_json() + "".join(one.model_dump_json() for one in progress)
    assert _holding(CANARY, tmp_path) == []
