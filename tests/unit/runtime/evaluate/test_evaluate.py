"""The evaluate task against a real gateway process-shape on loopback: records, retries, honesty about errors."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llmops_runtime.context import ProgressLines, TaskContext
from llmops_runtime.evaluate import run_evaluate
from llmops_runtime.failures import TaskFailed
from llmops_runtime.stores import open_store
from llmops_spec.digests import digest, digest_bytes
from llmops_spec.payloads.evaluation import EvaluatePayload, RecordHeader, RecordLine
from llmops_spec.store import publish

KEY = "d" * 64
ROWS = [
    {"id": f"q{n:02}", "intent": ["refund", "parcel"][n % 2], "cluster": n // 2, "question": f"number {n}"}
    for n in range(20)
]


@contextmanager
def service(answer: Callable[[dict[str, Any]], web.Response], delay_seconds: float = 0.006) -> Iterator[str]:
    """A service at `/v1/services/support` in a thread of its own."""
    loop = asyncio.new_event_loop()

    async def handle(request: web.Request) -> web.Response:
        reply = answer(await request.json())
        await asyncio.sleep(delay_seconds)
        return reply

    app = web.Application()
    app.router.add_post("/v1/services/support", handle)
    runner = web.AppRunner(app, access_log=None)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answered(text: str) -> web.Response:
    return web.json_response({"answer": text, "usage": {"prompt_tokens": 4, "completion_tokens": 2}, "rails": []})


def refused(status: int, code: str = "x") -> web.Response:
    return web.json_response({"error": {"message": "no", "code": code}}, status=status)


@pytest.fixture
def evaluate(tmp_path: Path):
    """Runs the task over rows; gives header and lines."""

    def run(url: str | None, splits: dict[str, list[dict]] | None = None, **changes: Any):
        splits = splits or {"heldout": ROWS}
        made = tmp_path / "made"
        made.mkdir()
        for name, rows in {**splits, "train": ROWS[:5]}.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (made / f"{name}.jsonl").write_text(text)
        store = tmp_path / "store"
        publish(open_store(f"file:{store}"), KEY, made)
        content = {
            "evaluation": "support-eval",
            "splits": {name: {"ref": f"store://{KEY}/{name}.jsonl"} for name in splits},
            "itemColumn": "id",
            "clusterColumn": "cluster",
            "targetColumn": "intent",
            "inputVariables": ["question"],
            "metrics": [{"name": "rouge-l"}, {"name": "exact-match"}],
            "sampling": {"temperature": 0.5, "seed": 7},
            "gateway": {
                "service": "support",
                "modelName": "m",
                "prompt": {
                    "messages": [{"role": "user", "content": "{{ question }}"}],
                    "variables": {"question": {"maxTokens": 50}},
                    "output": {"maxTokens": 5},
                },
            },
            "code": {},
            **changes,
        }
        context = TaskContext(
            key=KEY,
            work=tmp_path,
            outputs=tmp_path,
            result=tmp_path / "result.json",
            environment={"LLMOPS_STORE": f"file:{store}", **({"LLMOPS_GATEWAY_URL": url} if url else {})},
            progress=ProgressLines(stream=io.StringIO()),
        )
        run_evaluate(EvaluatePayload.model_validate(content), context)
        head, *lines = (tmp_path / "record.jsonl").read_bytes().splitlines()
        return RecordHeader.model_validate_json(head), [RecordLine.model_validate_json(line) for line in lines]

    return run


def test_record_holds_every_item_draw_and_metric(evaluate) -> None:
    asked: list[dict] = []

    def answer(body):
        asked.append(body)
        return answered("refund")

    with service(answer) as url:
        header, lines = evaluate(url, draws=2)
    assert header.model_dump(by_alias=True, mode="json", exclude={"subject"}) == {
        "formatVersion": 1,
        "evaluation": "support-eval",
        "plannedItems": {"count": 20, "digest": digest(sorted([row["id"], digest(row)] for row in ROWS))},
        "draws": 2,
        "metrics": [
            {"name": "exact-match", "version": "1", "parameters": {}},
            {"name": "rouge-l", "version": "1", "parameters": {}},
        ],
        "sampling": {"temperature": 0.5, "seed": 7},
        "itemColumn": "id",
        "clusterColumn": "cluster",
    }
    assert header.subject.facts.keys() == {"prompt", "guardrails"}
    wanted = [(row["id"], draw, name) for row in ROWS for draw in (0, 1) for name in ("exact-match", "rouge-l")]
    assert [(line.item, line.draw, line.metric) for line in lines] == wanted
    first = lines[0]
    assert first.latency_seconds is not None
    assert first.latency_seconds > 0.005
    assert first == RecordLine(
        item="q00",
        item_digest=digest(ROWS[0]),
        cluster="0",
        slices=["heldout"],
        draw=0,
        seed=7,
        metric="exact-match",
        status="scored",
        score=1.0,
        output_digest=digest_bytes(b"refund"),
        latency_seconds=first.latency_seconds,
        tokens_in=4,
        tokens_out=2,
    )
    assert {line.score for line in lines if line.item == "q01"} == {0.0}
    assert sorted((one["variables"]["question"], one["seed"]) for one in asked) == sorted(
        (row["question"], seed) for row in ROWS for seed in (7, 8)
    )
    assert {one["temperature"] for one in asked} == {0.5}


def test_sixteen_or_more_are_in_flight(evaluate) -> None:
    asked: list[float] = []

    def answer(_body):
        asked.append(time.monotonic())
        return answered("x")

    with service(answer, delay_seconds=0.5) as url:
        evaluate(url)
    assert sum(one < asked[0] + 0.5 for one in asked) >= 16


def test_a_busy_service_is_asked_again(evaluate) -> None:
    tries: dict[str, int] = {}

    def answer(body):
        question = body["variables"]["question"]
        tries[question] = tries.get(question, 0) + 1
        return answered("refund") if tries[question] == 3 else refused((429, 503)[tries[question] % 2], "queue_full")

    with service(answer) as url:
        _, lines = evaluate(url)
    assert set(tries.values()) == {3}
    assert {line.status for line in lines} == {"scored"}


@pytest.mark.parametrize(
    ("reply", "reason", "most"),
    [
        (lambda: refused(400), "HTTP 400: no", 1),
        (lambda: refused(503, "guardrail_unavailable"), "HTTP 503: no", 1),
        (lambda: refused(504), "HTTP 504: no", 1),
        (lambda: refused(429), "HTTP 429: no", 5),
        (lambda: web.Response(text="<html>"), "the service's reply has no answer in it", 1),
        (lambda: web.json_response({"answer": None}), "the service's reply has no answer in it", 1),
    ],
)
def test_what_cannot_be_answered_is_errored_and_counted(evaluate, reply, reason, most) -> None:
    asked = [0]

    def answer(body):
        if body["variables"]["question"] == "number 3":
            asked[0] += 1
            return reply()
        return answered("refund")

    with service(answer) as url:
        header, lines = evaluate(url)
    assert header.planned_items.count == 20
    errored = [line for line in lines if line.status == "errored"]
    assert {(line.item, line.reason, line.score, line.output_digest) for line in errored} == {
        ("q03", reason, None, None)
    }
    assert len(errored) == 2
    assert asked[0] == most


def test_an_outage_is_no_result(evaluate, tmp_path) -> None:
    with pytest.raises(TaskFailed, match=r"the gateway at http://127.0.0.1:9 cannot be reached"):
        evaluate("http://127.0.0.1:9")
    assert not (tmp_path / "record.jsonl").exists()


def test_labels(evaluate) -> None:
    with service(
        lambda body: answered({"number 0": "refund", "number 1": "refund"}.get(body["variables"]["question"], "?"))
    ) as url:
        _, lines = evaluate(url, metrics=[{"name": "label-accuracy"}])
    assert [(line.status, line.score, line.reason) for line in lines[:3]] == [
        ("scored", 1.0, None),
        ("scored", 0.0, None),
        ("unscorable", None, "the answer is no label"),
    ]


def test_constant_answers_with_the_commonest_target_and_needs_no_gateway(evaluate) -> None:
    changes = {"gateway": None, "constant": {"trainingRows": {"ref": f"store://{KEY}/train.jsonl"}}}
    header, lines = evaluate(None, metrics=[{"name": "label-accuracy"}, {"name": "latency-seconds"}], **changes)
    assert header.subject.facts.keys() == {"constant"}
    accuracy = [line.score for line in lines if line.metric == "label-accuracy"]
    assert accuracy == [1.0, 0.0] * 10
    assert {line.status for line in lines if line.metric == "latency-seconds"} == {"unscorable"}


def test_a_row_in_two_splits_is_one_item_with_two_slices(evaluate) -> None:
    with service(lambda _body: answered("x")) as url:
        header, lines = evaluate(url, {"heldout": ROWS[:3], "strict": ROWS[2:4]})
    assert header.planned_items.count == 4
    assert {line.item: line.slices for line in lines} == {
        "q00": ["heldout"],
        "q01": ["heldout"],
        "q02": ["heldout", "strict"],
        "q03": ["strict"],
    }


def test_one_id_for_different_rows_of_two_splits(evaluate) -> None:
    with pytest.raises(TaskFailed, match="line 1 of the split `strict` has the id `q00` of another row in `heldout`"):
        evaluate("http://127.0.0.1:9", {"heldout": ROWS[:1], "strict": [ROWS[0] | {"question": "other"}]})


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        (
            [ROWS[0], ROWS[1] | {"id": "q00"}],
            {},
            "line 2 of the split `heldout` has the id `q00` of another row in `heldout`",
        ),
        ([ROWS[0], ROWS[0]], {"itemColumn": None}, "line 2 of the split `heldout` repeats an earlier row"),
        ([{"id": "a", "intent": "b", "cluster": 1}], {}, "line 1 of the split `heldout` has no column `question`"),
        ([ROWS[0] | {"intent": None}], {}, "line 1 of the split `heldout` has no value in `intent`"),
    ],
)
def test_rows_that_do_not_fit(evaluate, rows, changes, message) -> None:
    with pytest.raises(TaskFailed) as caught:
        evaluate("http://127.0.0.1:9", {"heldout": rows}, **changes)
    assert str(caught.value) == message
    assert caught.value.failure.code == "bad-data"


def test_equal_answers_make_equal_records_but_for_latency(evaluate, tmp_path) -> None:
    with service(lambda body: answered(body["variables"]["question"])) as url:
        _, once = evaluate(url)
    for name in ("made", "store", "record.jsonl"):
        path = tmp_path / name
        path.rename(tmp_path / f"old-{name}")
    with service(lambda body: answered(body["variables"]["question"])) as url:
        _, again = evaluate(url)
    assert [one.model_copy(update={"latency_seconds": None}) for one in once] == [
        one.model_copy(update={"latency_seconds": None}) for one in again
    ]


def test_nothing_heavy_is_imported() -> None:
    import subprocess
    import sys

    heavy = ("torch", "transformers", "nltk", "guardrails")
    code = f"import sys, llmops_runtime.evaluate; print([one for one in {heavy} if one in sys.modules])"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
