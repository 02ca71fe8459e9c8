"""Whole commands, from outside: time and peak memory of several runs, beside a peer that does less.

Processor time says more than wall time where other things run too: these commands wait for nothing.

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

RUNS = 20
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
    """Median of the wall."""
    least: float
    """Of the wall, seconds."""
    processor: float
    """Median of user and system, seconds."""
    peak_mib: float


def cost(*command: str) -> Cost:
    """What a command takes, after one run that warms the disk and leaves compiled modules on it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: list[float] = []
    processor: list[float] = []
    peaks: list[float] = []
    for number in range(RUNS + 1):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if number:
            times.append(time.perf_counter() - began)
            processor.append(usage.ru_utime + usage.ru_stime)
            peaks.append(usage.ru_maxrss / 1024)
        assert os.waitstatus_to_exitcode(status) == 0, command
    return Cost(
        seconds=statistics.median(times),
        least=min(times),
        processor=statistics.median(processor),
        peak_mib=max(peaks),
    )


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
    wall = f"{one.seconds * 1000:6.0f} ms (least {one.least * 1000:.0f}, processor {one.processor * 1000:.0f})"
    print(f"{what:32} {wall:40} {one.peak_mib:4.0f} MiB{beside}")


def _pair(what: str, ours: Cost, peer: Cost, *, budget_ms: int) -> None:
    _line(what, ours, budget_ms=budget_ms)
    _line("  peer: load and JSON Schema", peer)
    print(f"{'  ratio':32} {ours.seconds / peer.seconds:8.2f}")
