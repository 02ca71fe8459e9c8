"""How long all checks take over one environment's graph, warm. Promise: 400 documents below 50 ms.

    python -m benchmarks.checks

Two projects of the same size: one that serves on a desk, and one whose services run vLLM on GPUs, each with a model
of its own. Every run has a graph of its own; what is kept by a file's content, the architecture in a `config.json`, is
kept between runs as between the environments of one project. The first run reads the catalogues, too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from benchmarks.projects import make_project
from compiler.checks import BUILT_IN
from compiler.diagnostics.model import DiagnosticSink
from compiler.passes.check import check
from compiler.passes.load import load
from compiler.passes.parse import parse
from compiler.passes.resolve import resolve
from compiler.ports import Check, Reader
from llmops import discovery
from llmops.io.files import ProjectFiles

RUNS = 20
DOCUMENTS = 400
BUDGET_MS = 50


def times(files: Reader, checks: tuple[Check, ...]) -> tuple[list[float], Mapping[str, float]]:
    """Milliseconds of each run, and those what each check takes of those after the first."""
    sink = DiagnosticSink()
    sources = load(files, sink)
    assert sources is not None  # the project was written just now
    parsed = parse(sources, sink)
    every: list[float] = []
    shares: defaultdict[str, float] = defaultdict(float)
    for number in range(RUNS + 1):
        graph = resolve(parsed, "local", sink)
        assert graph is not None
        began = time.perf_counter()
        for one in checks:
            started = time.perf_counter()
            check(graph, (one,), files, sink)
            if number:
                shares[one.name] += (time.perf_counter() - started) * 1000 / RUNS
        every.append((time.perf_counter() - began) * 1000)
    assert not sink.has_errors, sink.findings()
    return every, shares


def main() -> None:
    checks = tuple(discovery.checks())
    assert set(BUILT_IN) <= set(checks)
    for what, engines in (("on a desk", False), ("on GPUs", True)):
        with tempfile.TemporaryDirectory() as name:
            documents = make_project(Path(name) / "many", DOCUMENTS, engines=engines)
            (first, *every), shares = times(ProjectFiles(Path(name) / "many"), checks)
        figure = (
            f"{statistics.median(every):6.1f} ms (least {min(every):.1f}, worst {max(every):.1f}, first {first:.0f})"
        )
        print(f"{f'checks of {documents} documents {what}':40} {figure:52} (budget {BUDGET_MS} ms)")
        print(
            "  "
            + ", ".join(f"{name} {share:.1f}" for name, share in sorted(shares.items(), key=lambda one: -one[1])[:5])
        )


if __name__ == "__main__":
    main()
