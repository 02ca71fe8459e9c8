"""Whole commands, from outside: wall time and peak memory, medians of several runs, beside a peer that does less.

The peer of `validate` reads the same files with PyYAML's C loader and validates them against the exported JSON Schema
with jsonschema-rs: no positions, no references, no checks, no policies.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.projects import make_project

RUNS = 7
QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"
LLMOPS = (str(Path(sys.executable).with_name("llmops")),)

_PEER = """
import json, sys
from pathlib import Path
import jsonschema_rs, yaml
validator = jsonschema_rs.validator_for(json.loads(Path(sys.argv[2]).read_text()))
for path in sorted(Path(sys.argv[1]).rglob("*.yaml")):
    for document in yaml.load_all(path.read_bytes(), yaml.CSafeLoader):
        validator.validate(document)
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    seconds: float
    peak_mib: float


def cost(*command: str) -> Cost:
    """Median wall seconds and the largest peak of a command, after one run to warm the disk."""
    times: list[float] = []
    peaks: list[float] = []
    for number in range(RUNS + 1):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if number:
            times.append(time.perf_counter() - began)
            peaks.append(usage.ru_maxrss / 1024)
        assert os.waitstatus_to_exitcode(status) == 0, command
    return Cost(seconds=statistics.median(times), peak_mib=max(peaks))


def report() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        schema = folder / "schema.json"
        schema.write_bytes(subprocess.run([*LLMOPS, "schema"], capture_output=True, check=True).stdout)
        documents = make_project(folder / "many", 400)
        peer = (sys.executable, "-c", _PEER)
        _line("python -c pass", cost(sys.executable, "-c", "pass"))
        _line("llmops --version", cost(*LLMOPS, "--version"), budget_ms=100)
        _pair("validate the quickstart", cost(*LLMOPS, "-C", str(QUICKSTART), "validate"),
              cost(*peer, str(QUICKSTART), str(schema)), budget_ms=300)  # fmt: skip
        _pair(f"validate {documents} documents", cost(*LLMOPS, "-C", str(folder / "many"), "validate"),
              cost(*peer, str(folder / "many"), str(schema)), budget_ms=600)  # fmt: skip
    print(json.dumps({"own peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def _line(what: str, one: Cost, *, budget_ms: int | None = None) -> None:
    """The budgets are of two idle cores."""
    beside = f"  (budget {budget_ms} ms)" if budget_ms is not None else ""
    print(f"{what:32} {one.seconds * 1000:8.0f} ms  {one.peak_mib:6.0f} MiB{beside}")


def _pair(what: str, ours: Cost, peer: Cost, *, budget_ms: int) -> None:
    _line(what, ours, budget_ms=budget_ms)
    _line("  peer: load and JSON Schema", peer)
    print(f"{'  ratio':32} {ours.seconds / peer.seconds:8.2f}")
