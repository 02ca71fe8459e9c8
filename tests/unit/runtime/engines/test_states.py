"""One engine over several states of the same base weights: each answers as an engine of its own would."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from llmops_runtime.engines.counters import EngineCounters
from llmops_runtime.engines.server import Endpoints
from llmops_runtime.engines.transformers import TransformersServer
from llmops_runtime.engines.weights import load_states
from llmops_spec.digests import digest_bytes
from llmops_spec.engine import TransformersEngine
from llmops_spec.payloads.serving import Ready
from llmops_spec.payloads.training import StoredModel
from llmops_spec.store import publish, read_output

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
QUESTIONS = [f"{'where is my parcel ' * (n % 4)}number {n}?" for n in range(16)]
ADAPTERS = {
    "all-linear": {"target_modules": "all-linear"},
    "biases": {"target_modules": ["q_proj"], "bias": "all"},
    "saved-modules": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "norm"]},
}


@pytest.fixture(params=ADAPTERS, scope="module")
def states(request, model_folder, store, tmp_path_factory) -> dict[str, StoredModel]:
    """A random base whose layers have biases, and a random adapter on it."""
    made = tmp_path_factory.mktemp("made")
    shutil.copytree(model_folder, made / "model")
    save_base_and_adapter(made, ADAPTERS[request.param])
    key = digest_bytes(request.param.encode())
    publish(store, key, made)
    base = StoredModel(model=f"store://{key}/model")
    return {"base": base, "tuned": base.model_copy(update={"adapter": f"store://{key}/adapter"})}


def save_base_and_adapter(folder: Path, settings: dict) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder / "model", attention_bias=True, tie_word_embeddings=False)
    torch.manual_seed(2)
    base = AutoModelForCausalLM.from_config(config)
    base.save_pretrained(folder / "model")
    tuned = get_peft_model(base, LoraConfig(r=4, **settings))
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.4)
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)


@pytest.mark.parametrize("names", [("base", "tuned"), ("tuned", "base")], ids="-then-".join)
def test_each_state_computes_what_it_computes_alone(states, store, tmp_path, names) -> None:
    import torch

    settings = TransformersEngine()
    together = load_states(store, [states[name] for name in names], settings, tmp_path / "together")
    alone = [load_states(store, [states[name]], settings, tmp_path / name)[0] for name in names]
    ids = torch.tensor([[5, 6, 7, 80, 90]])
    with torch.inference_mode():
        logits = [one.model(ids).logits for one in together]
        assert all(torch.equal(one, own.model(ids).logits) for one, own in zip(logits, alone, strict=True))
    assert not torch.allclose(*logits, atol=0.1)
    first, second = ({one.data_ptr() for one in loaded.model.parameters() if one.dim() > 1} for loaded in together)
    assert first & second  # what the adapter leaves as it is lies in memory once
    assert first != second


def test_one_engine_answers_under_each_name_as_that_state(states, store, tmp_path) -> None:
    loaded = load_states(store, list(states.values()), TransformersEngine(), tmp_path / "work")
    servers = {name: TransformersServer(one, TransformersEngine()) for name, one in zip(states, loaded, strict=True)}

    async def go():
        endpoints = Endpoints(servers=servers, counters=EngineCounters(lambda: (0, 0)), started=1)
        runner = web.AppRunner(endpoints.application(), access_log=None, shutdown_timeout=5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
            mixed = await asyncio.gather(*(ask(http, name, text) for text in QUESTIONS for name in servers))
            apart = [await ask(http, name, text) for text in QUESTIONS for name in servers]
            unknown = await ask(http, "other", "hi")
            listed = await (await http.get("/v1/models")).json()
        await runner.cleanup()
        return mixed, apart, unknown, listed

    try:
        mixed, apart, unknown, listed = asyncio.run(go())
    finally:
        for server in servers.values():
            server.worker.close()
    assert mixed == apart  # requests to the two at once do not touch each other
    assert {name for name, _ in mixed} == {"base", "tuned"}
    assert sum(base != tuned for (_, base), (_, tuned) in zip(mixed[::2], mixed[1::2], strict=True)) > 8
    assert unknown == (None, "the model `other` does not exist; there is `base`, `tuned`")
    assert [one["id"] for one in listed["data"]] == ["base", "tuned"]


async def ask(http: aiohttp.ClientSession, model: str, text: str) -> tuple[str | None, str]:
    message = {"role": "user", "content": text}
    body = {"model": model, "messages": [message], "temperature": 0, "max_tokens": 24}
    async with http.post("/v1/chat/completions", json=body) as response:
        found = await response.json()
    if response.status != 200:
        return None, found["error"]["message"]
    return found["model"], found["choices"][0]["message"]["content"]


@pytest.mark.parametrize("states", ["all-linear"], indirect=True)
def test_a_shared_engine_leaves_the_records_that_engines_of_their_own_leave(states, store, tmp_path) -> None:
    """Engine, gateway and `evaluate` as processes. A record's bytes hold latencies; all else must be the same."""
    made = tmp_path / "made"
    made.mkdir()
    rows = [{"intent": "refund", "question": question} for question in QUESTIONS]
    (made / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    publish(store, "c" * 64, made)
    others = [{"modelName": "base", "weights": plain(states["base"])}]

    with processes(tmp_path, store) as start:
        shared = start("engine", {**engine("tuned", states), "others": others})
        together = {name: record(start, store, states, name, shared) for name in states}
    for name in states:
        with processes(tmp_path, store) as start:
            own = record(start, store, states, name, start("engine", engine(name, states)), again=True)
        assert together[name] == own
    assert together["base"] != together["tuned"]


def engine(name: str, states: dict[str, StoredModel]) -> dict:
    return {"modelName": name, "weights": plain(states[name]), "versions": {}}


def plain(weights: StoredModel) -> dict:
    return weights.model_dump(mode="json", by_alias=True)


def record(start, store, states, name: str, engine_url: str, *, again: bool = False) -> list[dict]:
    """The lines of the record of one state, without what a clock says."""
    prompt = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"maxTokens": 100}},
        "output": {"maxTokens": 12},
    }
    gateway = {"service": "subject", "modelName": name, "prompt": prompt}
    payload = {
        "evaluation": "answers" + ("-again" if again else ""),  # under a key of its own
        "splits": {"heldout": {"ref": f"store://{'c' * 64}/heldout.jsonl"}},
        "targetColumn": "intent",
        "inputVariables": ["question"],
        "metrics": [{"name": "rouge-l"}],
        "sampling": {},
        "engine": engine(name, states),
        "gateway": gateway,
        "code": {},
    }
    url = start("gateway", gateway, LLMOPS_ENGINE_URL=engine_url)
    key = start("evaluate", payload, LLMOPS_GATEWAY_URL=url)
    lines = [json.loads(line) for line in read_output(store, f"store://{key}/record.jsonl").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("latencySeconds", "evaluation")} for line in lines]


class processes:  # noqa: N801  # reads as a function
    """Runs tasks as children. Gives the address of a standing one, and the key of one that ends."""

    def __init__(self, folder: Path, store) -> None:
        self._folder, self._store, self._children = folder, store, []

    def __enter__(self):
        return self.start

    def start(self, name: str, content: dict, **environment: str) -> str:
        place = self._folder / f"{name}-{time.monotonic_ns()}"
        place.mkdir()
        (place / "payload.json").write_text(json.dumps({"formatVersion": 1, "task": name, **content}))
        environment |= {"PATH": os.environ["PATH"], "LLMOPS_STORE": f"file:{self._store.root}"}
        result = place / "result.json"
        command = [sys.executable, "-m", "llmops_runtime", name, "--payload", place / "payload.json"]
        with (place / "log").open("wb") as log:
            child = subprocess.Popen(
                [*command, "--result", result], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log
            )
        self._children.append(child)
        deadline = time.monotonic() + 120
        while not result.exists():
            assert time.monotonic() < deadline, (place / "log").read_text()
            assert child.poll() in (None, 0), (place / "log").read_text()
            time.sleep(0.05)
        found = json.loads(result.read_text())
        if name == "evaluate":
            assert found["failure"] is None, found
            return found["key"]
        return f"http://127.0.0.1:{Ready.model_validate(found).port}"

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.send_signal(signal.SIGTERM)
        for child in self._children:
            child.wait(30)
