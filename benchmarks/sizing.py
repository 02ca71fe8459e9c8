"""How long sizing one model takes, from the catalogue's lookup and from a configuration. Promise: below 1 ms.

    python -m benchmarks.sizing

Prints one Markdown table: the median and the worst of some thousand calls on this machine, warm. Where `accelerate` and
`transformers` are installed, a second one sets the weights beside what `accelerate estimate-memory` counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from compiler.sizing.architecture import read_architecture
from compiler.sizing.gpus import find_gpu
from compiler.sizing.json_values import Json
from compiler.sizing.models import all_models, find_model
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.serving.search import search
from compiler.sizing.serving.suggestions import suggest

CALLS = 1000
ENGINES = ("vllm", "sglang", "tgi", "tensorrt-llm")


def measured(call: Callable[[int], object], calls: int = CALLS) -> tuple[float, float]:
    """(median, worst) milliseconds of one call."""
    times: list[float] = []
    for index in range(calls):
        start = time.perf_counter()
        call(index)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times), max(times)


def peer_weights(config: Mapping[str, Json]) -> int:
    """Bytes of the weights in 16 bits as `accelerate estimate-memory` counts them: every module built without data."""
    import torch
    from accelerate import init_empty_weights
    from accelerate.utils import calculate_maximum_sizes
    from transformers import AutoConfig, AutoModelForCausalLM

    keys = {key: value for key, value in config.items() if key != "model_type"}
    with init_empty_weights():
        shape = AutoConfig.for_model(str(config["model_type"]), **keys)
        model = AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
    model.tie_weights()
    return calculate_maximum_sizes(model)[0] // 2


def compare() -> None:
    """Weights and time of one reading, ours over theirs."""
    print("\n| weights | GB | of accelerate's | times faster |\n|---|---|---|---|")
    for name in ("llama-3.1-8b", "qwen2.5-0.5b", "mistral-7b-v0.3"):
        found = find_model(name)
        if found is None:
            continue
        config = found.record.config
        peer_weights(config)  # what it imports is not its time
        started = time.perf_counter()
        theirs = peer_weights(config)
        took = (time.perf_counter() - started) * 1000
        ours = read_architecture(config, name=name).parameters * 2
        median, _ = measured(lambda _, config=config: read_architecture(config, name="model").parameters, 100)
        print(f"| {name} | {ours / 1e9:.3f} | {ours / theirs:.4f} | {took / median:,.0f} |")


def main() -> None:
    records = all_models()
    architectures = [record.architecture for record in records]
    gpu = find_gpu("H100 SXM")
    assert gpu is not None
    requests = [
        ServingRequest(architecture=one, gpu=gpu, engine=engine, tensor_parallel=2)
        for one in architectures
        for engine in ENGINES
    ]
    rows = {
        "read a configuration": lambda index: read_architecture(records[index % len(records)].config, name="model"),
        "find a model by name": lambda index: find_model(records[index % len(records)].name),
        "size one model": lambda index: size_serving(requests[index % len(requests)]),
    }
    few = {
        "suggest changes": lambda index: suggest(requests[4 * (index % len(architectures))]),
        "search cards": lambda index: search(requests[4 * (index % len(architectures))]),
    }
    print("| what | median ms | worst ms |\n|---|---|---|")
    for name, call in rows.items():
        median, worst = measured(call, max(CALLS, len(requests)))
        print(f"| {name} | {median:.3f} | {worst:.3f} |")
    for name, call in few.items():
        median, worst = measured(call, 50)
        print(f"| {name} | {median:.2f} | {worst:.2f} |")
    if find_spec("accelerate") and find_spec("transformers"):
        compare()


if __name__ == "__main__":
    main()
