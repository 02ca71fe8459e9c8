"""Training for real, as small as it gets: every method, twice the same, loadable, and honest about bad input."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from llmops_runtime.environment import QUIET
from llmops_runtime.failures import TaskFailed
from llmops_spec.catalogue.versions import RECIPES, TRAIN
from llmops_spec.payloads.base import step_key
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.store import load_manifest, make_ref, materialise, publish, read_output

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
"""Most trainings run in this process, which loads torch once; what the libraries warn of is theirs."""

TEMPLATE = (
    "{%- for m in messages -%}{%- if m['role'] == 'assistant' -%}"
    "<|assistant|>{% generation %}{{ m['content'] }}<|end|>{% endgeneration %}"
    "{%- else -%}<|{{ m['role'] }}|>{{ m['content'] }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
ANSWERS = ("open the lid", "press the red key", "wait a minute")
ROWS = [{"q": f"what about {word} number {n}?", "a": ANSWERS[n % 3]} for n in range(12) for word in ("lamp", "pump")]
PROMPT = {
    "messages": [{"role": "user", "content": "{{ q }}"}],
    "variables": {"q": {}},
}


def payload_of(method: str, rows: Any, **changes: Any) -> dict[str, Any]:
    settings = {"learningRate": 0.01, "steps": 3, "batchSize": 4, "sequenceLength": 48} | changes.pop("settings", {})
    return {
        "task": "train",
        "method": method,
        "rows": rows.model_dump(),
        "hyperParameters": settings,
        "seed": 1,
        "compute": {"threads": 1},
        "recipe": RECIPES["train"],
        "versions": {name: version(name) for name in TRAIN},
        **changes,
    }


def scratch(rows: Any, **changes: Any) -> dict[str, Any]:
    llama = {"hiddenSize": 16, "layers": 1, "heads": 2, "keyValueHeads": 1, "feedForwardSize": 24}
    return {
        "llama": llama,
        "tokenizer": {"vocabularySize": 300, "rows": rows.model_dump(), "columns": ["q", "a"]},
        "contextLength": 64,
        "chatTemplate": TEMPLATE,
        "seed": 0,
        **changes,
    }


def key_of(payload: dict[str, Any]) -> str:
    return step_key(TrainPayload.model_validate(payload))


def outputs(bench: Any, payload: dict[str, Any]) -> dict[str, str]:
    manifest = load_manifest(bench.store, key_of(payload))
    return {name: one.digest for name, one in manifest.outputs.items()}


def train_here(bench: Any, payload: dict[str, Any]) -> Any:
    """Train in this process and publish, as the runner does; returns the notes."""
    from llmops_runtime.train.run import run_train

    parsed = TrainPayload.model_validate(payload)
    context = bench.context(parsed)
    notes = run_train(parsed, context)
    publish(bench.store, context.key, context.outputs)
    return notes


def train_apart(base: dict[str, Any], bench: Any, payload: dict[str, Any]) -> dict[str, str]:
    """Train in a process of its own, on a store that has the inputs alone; returns the outputs' digests.

    Nothing is asked of the network.
    """
    inputs = base["bench"].store
    for name in inputs.names():
        if not name.startswith(key_of(payload)):
            copy = bench.root / "copy"
            with inputs.get(name) as stream:
                copy.write_bytes(stream.read())
            bench.store.put_if_absent(name, copy)
    run = bench.run(payload, code=bench.RECORD_SOCKETS)
    assert run.code == 0, run.err
    assert "OUTSIDE" not in run.err
    assert list(bench.temporary.iterdir()) == []
    progress = [json.loads(line) for line in run.out.splitlines()]
    assert progress[-1]["phase"] == "saving"
    assert any(one["done"] == one["total"] == 3 and one["unit"] == "steps" for one in progress)
    return outputs(bench, payload)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def base(module_bench: Any) -> dict[str, Any]:
    """A pretrained base in a store, its payload, and the rows."""
    rows = module_bench.put_rows(ROWS)
    payload = payload_of("pretrain", rows, scratch=scratch(rows), textColumn="q", settings={"warmupSteps": 1})
    train_here(module_bench, payload)
    return {"bench": module_bench, "rows": rows, "payload": payload, "key": key_of(payload)}


def tuned(base: dict[str, Any], method: str, /, **changes: Any) -> dict[str, Any]:
    model = {"model": make_ref(base["key"], "model")}
    lora = {"rank": 2, "alpha": 4, "savedModules": ["embed_tokens"]} if method == "lora" else None
    given: dict[str, Any] = {"base": model, "prompt": PROMPT, "targetColumn": "a", "lora": lora} | changes
    return payload_of(method, base["rows"], **given)


def load(base: dict[str, Any], key: str, folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    materialise(base["bench"].store, make_ref(key, "model"), folder)
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_pretraining_writes_a_model_that_loads(base: dict[str, Any], tmp_path: Path) -> None:
    made = outputs(base["bench"], base["payload"])
    assert {"curve.jsonl", "model/config.json", "model/model.safetensors", "model/tokenizer.json"} <= set(made)
    assert not any(name.endswith((".bin", ".pt", ".py")) for name in made)
    model, tokenizer = load(base, base["key"], tmp_path / "model")
    assert model.config.vocab_size == len(tokenizer)
    text = "what about pump number 3? Ünïcode ☂  two  spaces\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer("<|user|>")["input_ids"] == [tokenizer.convert_tokens_to_ids("<|user|>")]


def test_the_curve_falls(base: dict[str, Any]) -> None:
    lines = read_output(base["bench"].store, make_ref(base["key"], "curve.jsonl")).decode().splitlines()
    points = [json.loads(line) for line in lines]
    assert [one["step"] for one in points] == [1, 2, 3]
    assert points[-1]["loss"] < points[0]["loss"]
    assert points[0]["learningRate"] == 0.01


@pytest.mark.parametrize("method", ["pretrain", "full", "lora"])
def test_two_processes_make_the_same_bytes(base: dict[str, Any], bench: Any, method: str) -> None:
    payload = base["payload"] if method == "pretrain" else tuned(base, method)
    if method != "pretrain":
        train_here(base["bench"], payload)
    assert train_apart(base, bench, payload) == outputs(base["bench"], payload)


def test_the_seed_decides(base: dict[str, Any]) -> None:
    payload = base["payload"] | {"seed": 2}
    train_here(base["bench"], payload)
    weights = "model/model.safetensors"
    assert outputs(base["bench"], payload)[weights] != outputs(base["bench"], base["payload"])[weights]


def test_a_learning_rate_of_zero_changes_nothing(base: dict[str, Any]) -> None:
    payload = tuned(base, "full", settings={"learningRate": 0.0, "weightDecay": 0.1})
    train_here(base["bench"], payload)
    weights = "model/model.safetensors"
    assert outputs(base["bench"], payload)[weights] == outputs(base["bench"], base["payload"])[weights]


def test_an_adapter_computes_after_reloading_what_it_learned(base: dict[str, Any], tmp_path: Path) -> None:
    """Enough steps to learn three answers by heart: an adapter that lost its embedding would not know them."""
    import torch
    from peft import PeftModel

    settings = {"steps": 60, "batchSize": 12, "learningRate": 0.05, "warmupSteps": 3}
    payload = tuned(base, "lora", settings=settings)
    notes = train_here(base["bench"], payload)
    assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= set(outputs(base["bench"], payload))
    model, tokenizer = load(base, base["key"], tmp_path / "model")
    folder = materialise(base["bench"].store, make_ref(key_of(payload), "adapter"), tmp_path / "adapter")
    both = PeftModel.from_pretrained(model, str(folder)).eval()
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": ROWS[0]["q"]}, {"role": "assistant", "content": ROWS[0]["a"]}], tokenize=False
    )
    tokens = tokenizer(text, return_tensors="pt")["input_ids"]
    start = tokenizer(text.split("<|assistant|>")[0] + "<|assistant|>", return_tensors="pt")["input_ids"].shape[1]
    with torch.inference_mode():
        logits = both(input_ids=tokens).logits[0, start - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits, tokens[0, start:]).item()
    assert notes["finalLoss"] < 0.7
    assert loss < notes["finalLoss"] * 1.5 + 0.1


def test_a_template_without_marks_trains_on_answers_alone(base: dict[str, Any]) -> None:
    plain = TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    model = {"model": make_ref(base["key"], "model"), "chatTemplate": plain}
    marked, unmarked = tuned(base, "full", seed=5), tuned(base, "full", seed=5, base=model)
    for payload in (marked, unmarked):
        train_here(base["bench"], payload)
    # the unmarked one counts the same tokens: the answer and its end
    weights = "model/model.safetensors"
    assert outputs(base["bench"], unmarked)[weights] == outputs(base["bench"], marked)[weights]


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"targetColumn": "absent"}, "bad-data", "target column `absent`"),
        ({"settings": {"sequenceLength": 8}}, "bad-data", "leave no room for an answer"),
        ({"settings": {"sequenceLength": 65}}, "bad-model", "reads at most 64 tokens"),
        ({"prompt": PROMPT | {"variables": {"q": {"type": "integer"}}}}, "bad-data", "line 1"),
        ({"lora": {"rank": 1, "alpha": 1, "targetModules": ["no_proj"]}}, "bad-model", "no module `no_proj`"),
    ],
)
def test_foreseeable_trouble_is_named(base: dict[str, Any], changes: dict[str, Any], code: str, part: str) -> None:
    method = "lora" if "lora" in changes else "full"
    with pytest.raises(TaskFailed, match=part) as caught:
        train_here(base["bench"], tuned(base, method, **changes))
    assert caught.value.failure.code == code


def test_weights_that_lack_a_tensor_are_refused(base: dict[str, Any], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = materialise(base["bench"].store, make_ref(base["key"], "model"), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    short = {"model": base["bench"].put_folder(folder, "model")}
    with pytest.raises(TaskFailed, match=r"lack `model\.norm\.weight`"):
        train_here(base["bench"], tuned(base, "full", base=short))


def test_a_full_training_on_an_adapter_writes_it_into_the_weights(base: dict[str, Any]) -> None:
    adapter = tuned(base, "lora", seed=6)
    train_here(base["bench"], adapter)
    both = {"model": make_ref(base["key"], "model"), "adapter": make_ref(key_of(adapter), "adapter")}
    merged = tuned(base, "full", base=both, settings={"learningRate": 0.0})
    train_here(base["bench"], merged)
    weights = "model/model.safetensors"
    assert outputs(base["bench"], merged)[weights] != outputs(base["bench"], base["payload"])[weights]
    with pytest.raises(TaskFailed, match="adapter on an adapter"):
        train_here(base["bench"], tuned(base, "lora", base=both))


def test_tracking_keeps_the_curve(base: dict[str, Any], bench: Any) -> None:
    database = bench.root / "tracking.db"
    bench.environment |= {"LLMOPS_TRACKING_URI": f"sqlite:///{database}", "LLMOPS_RUN_NAME": "tiny"}
    payload = tuned(base, "full")
    train_apart(base, bench, payload)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from metrics where key = 'loss'").fetchone() == (3,)
        assert connection.execute("select name, status from runs").fetchone() == ("tiny", "FINISHED")
        assert ("learningRate", "0.01") in connection.execute("select key, value from params").fetchall()
        assert ("llmops.stepKey", key_of(payload)) in connection.execute("select key, value from tags").fetchall()


def test_a_tracker_that_fails_changes_nothing(base: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    bench = base["bench"]
    bench.environment["LLMOPS_TRACKING_URI"] = "nothing-like-this://host/1"
    payload = tuned(base, "full", seed=4)
    try:
        train_here(bench, payload)
    finally:
        del bench.environment["LLMOPS_TRACKING_URI"]
    assert "not tracked any further" in capfd.readouterr().err
    assert "model/model.safetensors" in outputs(bench, payload)


def test_a_signal_stops_training_at_once_and_leaves_nothing(base: dict[str, Any]) -> None:
    bench = base["bench"]
    child = bench.start(tuned(base, "full", seed=7, settings={"steps": 1_000_000}))
    for line in child.stdout or ():
        if json.loads(line)["phase"] == "fine-tuning":
            break
    child.send_signal(signal.SIGTERM)
    told = time.monotonic()
    child.communicate(timeout=20)
    assert time.monotonic() - told < 10  # in fact well under a second, on an idle machine
    assert child.returncode == 130
    assert not bench.result_path.exists()
    assert list(bench.temporary.iterdir()) == []
