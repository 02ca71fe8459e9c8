"""Training for real, as small as it gets: every method, twice the same, loadable, and honest about bad input."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from llmops_spec.catalogue.versions import RECIPES, TRAIN
from llmops_spec.store import load_manifest, make_ref, materialise, read_output

pytestmark = pytest.mark.slow

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
    "variables": {"q": {"maxTokens": 40}},
    "output": {"maxTokens": 8},
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


def outputs(bench: Any, run: Any) -> dict[str, str]:
    manifest = load_manifest(bench.store, run.result["key"])
    return {name: one.digest for name, one in manifest.outputs.items()}


@pytest.fixture(scope="module")
def base(module_bench: Any) -> dict[str, Any]:
    """A pretrained base in a store, its run, and the rows."""
    rows = module_bench.put_rows(ROWS)
    payload = payload_of("pretrain", rows, scratch=scratch(rows), textColumn="q", settings={"warmupSteps": 1})
    run = module_bench.run(payload)
    assert run.code == 0, run.err
    return {"bench": module_bench, "rows": rows, "run": run, "payload": payload}


def tuned(base: dict[str, Any], method: str, /, **changes: Any) -> dict[str, Any]:
    model = {"model": make_ref(base["run"].result["key"], "model")}
    lora = {"rank": 2, "alpha": 4, "savedModules": ["embed_tokens"]} if method == "lora" else None
    given: dict[str, Any] = {"base": model, "prompt": PROMPT, "targetColumn": "a", "lora": lora} | changes
    return payload_of(method, base["rows"], **given)


def load(base: dict[str, Any], key: str, folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    materialise(base["bench"].store, make_ref(key, "model"), folder)
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_pretraining_writes_a_model_that_loads(base: dict[str, Any], tmp_path: Path) -> None:
    made = outputs(base["bench"], base["run"])
    assert {"curve.jsonl", "model/config.json", "model/model.safetensors", "model/tokenizer.json"} <= set(made)
    assert not any(name.endswith((".bin", ".pt", ".py")) for name in made)
    model, tokenizer = load(base, base["run"].result["key"], tmp_path / "model")
    assert model.config.vocab_size == len(tokenizer)
    text = "what about pump number 3? Ünïcode ☂  two  spaces\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer("<|user|>")["input_ids"] == [tokenizer.convert_tokens_to_ids("<|user|>")]


def test_the_curve_falls_and_progress_is_json_lines(base: dict[str, Any]) -> None:
    lines = read_output(base["bench"].store, make_ref(base["run"].result["key"], "curve.jsonl")).decode().splitlines()
    points = [json.loads(line) for line in lines]
    assert [one["step"] for one in points] == [1, 2, 3]
    assert points[-1]["loss"] < points[0]["loss"]
    assert points[0]["learningRate"] == 0.01
    progress = [json.loads(line) for line in base["run"].out.splitlines()]
    assert progress[-1]["phase"] == "saving"
    assert any(one["phase"] == "pretraining" and one["done"] == one["total"] == 3 for one in progress)


@pytest.mark.parametrize("method", ["pretrain", "full", "lora"])
def test_training_twice_gives_the_same_bytes(base: dict[str, Any], bench: Any, method: str) -> None:
    first = base["bench"]
    payload = base["payload"] if method == "pretrain" else tuned(base, method)
    run = first.run(payload)
    assert run.code == 0, run.err
    for name in first.store.names():  # another store with the same inputs, so that nothing is adopted
        if not name.startswith(run.result["key"]):
            copy = bench.root / "copy"
            with first.store.get(name) as stream:
                copy.write_bytes(stream.read())
            bench.store.put_if_absent(name, copy)
    again = bench.run(payload)
    assert again.code == 0, again.err
    assert outputs(bench, again) == outputs(first, run)
    assert again.result["manifest"] == run.result["manifest"]


def test_a_learning_rate_of_zero_changes_nothing(base: dict[str, Any]) -> None:
    run = base["bench"].run(tuned(base, "full", settings={"learningRate": 0.0, "weightDecay": 0.1}))
    assert run.code == 0, run.err
    assert (
        outputs(base["bench"], run)["model/model.safetensors"]
        == outputs(base["bench"], base["run"])["model/model.safetensors"]
    )


def test_an_adapter_computes_after_reloading_what_it_learned(base: dict[str, Any], tmp_path: Path) -> None:
    """Enough steps to learn three answers by heart: an adapter that lost its embedding would not know them."""
    import torch
    from peft import PeftModel

    settings = {"steps": 60, "batchSize": 12, "learningRate": 0.05, "warmupSteps": 3}
    run = base["bench"].run(tuned(base, "lora", settings=settings))
    assert run.code == 0, run.err
    made = outputs(base["bench"], run)
    assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= set(made)
    model, tokenizer = load(base, base["run"].result["key"], tmp_path / "model")
    folder = materialise(base["bench"].store, make_ref(run.result["key"], "adapter"), tmp_path / "adapter")
    both = PeftModel.from_pretrained(model, str(folder)).eval()
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": ROWS[0]["q"]}, {"role": "assistant", "content": ROWS[0]["a"]}], tokenize=False
    )
    tokens = tokenizer(text, return_tensors="pt")["input_ids"]
    start = tokenizer(text.split("<|assistant|>")[0] + "<|assistant|>", return_tensors="pt")["input_ids"].shape[1]
    with torch.inference_mode():
        logits = both(input_ids=tokens).logits[0, start - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits, tokens[0, start:]).item()
    assert loss < run.result["notes"]["finalLoss"] * 1.5 + 0.1


def test_a_template_without_marks_trains_on_answers_alone(base: dict[str, Any]) -> None:
    plain = TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    model = {"model": make_ref(base["run"].result["key"], "model"), "chatTemplate": plain}
    marked, unmarked = base["bench"].run(tuned(base, "full")), base["bench"].run(tuned(base, "full", base=model))
    assert unmarked.code == 0, unmarked.err
    weights = "model/model.safetensors"
    # the unmarked one counts the same tokens: the answer and its end
    assert outputs(base["bench"], unmarked)[weights] == outputs(base["bench"], marked)[weights]


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"versions": {"torch": "1.0.0"}}, "version-mismatch", "torch is"),
        ({"targetColumn": "absent"}, "bad-data", "target column `absent`"),
        ({"settings": {"sequenceLength": 8}}, "bad-data", "leave no room for an answer"),
        ({"settings": {"sequenceLength": 65}}, "bad-model", "reads at most 64 tokens"),
        ({"prompt": PROMPT | {"variables": {"q": {"type": "integer", "maxTokens": 4}}}}, "bad-data", "line 1"),
    ],
)
def test_foreseeable_trouble_is_named(base: dict[str, Any], changes: dict[str, Any], code: str, part: str) -> None:
    run = base["bench"].run(tuned(base, "full", **changes))
    assert run.code == 1
    assert run.result["failure"]["code"] == code, run.result
    assert part in run.result["failure"]["message"]
    assert "Traceback" not in run.err


def test_tracking_keeps_the_curve_and_its_failure_changes_nothing(base: dict[str, Any]) -> None:
    bench = base["bench"]
    database = bench.root / "tracking.db"
    bench.environment |= {"LLMOPS_TRACKING_URI": f"sqlite:///{database}", "LLMOPS_RUN_NAME": "tiny"}
    try:
        tracked = bench.run(tuned(base, "full", seed=3))
        bench.environment["LLMOPS_TRACKING_URI"] = "sqlite:////dev/null/none.db"
        untracked = bench.run(tuned(base, "full", seed=4))
    finally:
        del bench.environment["LLMOPS_TRACKING_URI"], bench.environment["LLMOPS_RUN_NAME"]
    assert tracked.code == untracked.code == 0, untracked.err
    assert "not tracked" in untracked.err
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from metrics where key = 'loss'").fetchone() == (3,)
        assert connection.execute("select name, status from runs").fetchone() == ("tiny", "FINISHED")
        assert ("learningRate", "0.01") in connection.execute("select key, value from params").fetchall()
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_training_at_once_and_leaves_nothing(base: dict[str, Any], number: int) -> None:
    bench = base["bench"]
    child = bench.start(tuned(base, "full", seed=int(number) + 10, settings={"steps": 1_000_000}))
    for line in child.stdout or ():
        if json.loads(line)["phase"] == "fine-tuning":
            break
    child.send_signal(number)
    told = time.monotonic()
    child.communicate(timeout=20)
    assert time.monotonic() - told < 10  # in fact well under a second, on an idle machine
    assert child.returncode == 130
    assert not bench.result_path.exists()
    assert list(bench.temporary.iterdir()) == []
