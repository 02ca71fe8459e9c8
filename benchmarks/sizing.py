"""How long sizing one model takes, from the catalogue's lookup and from a configuration. Promise: below 1 ms.

    python -m benchmarks.sizing

Prints one Markdown table: the median and the worst of some thousand calls on this machine, warm.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from compiler.sizing.architecture import read_architecture
from compiler.sizing.gpus import find_gpu
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


if __name__ == "__main__":
    main()
