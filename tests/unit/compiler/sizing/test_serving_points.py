"""vLLM's budgets against public start-up logs. Constants were fitted on the rows marked `fit` alone."""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from compiler.sizing.budget import GIB, ServingBudget
from compiler.sizing.engines import version_number
from compiler.sizing.gpus import find_gpu
from compiler.sizing.models import find_model
from compiler.sizing.serving import ServingRequest, size_serving

ROWS = list(csv.DictReader((Path(__file__).parent / "points" / "serving.csv").read_text("utf-8").splitlines()))


@dataclass(frozen=True, kw_only=True)
class Point:
    row: dict[str, str]
    budget: ServingBudget

    @property
    def error(self) -> float:
        """Of the pool, as a share of the budget."""
        return abs(self.budget.pool_bytes / GIB - float(self.row["measured_kv_gib"])) / (self.budget.budget_bytes / GIB)


def point(row: dict[str, str]) -> Point:
    found = find_model(row["model"])
    memory = int(float(row["gpu_mem_gib"]) * GIB)
    card = find_gpu(row["gpu"], memory_bytes=memory)
    assert found is not None, row["model"]
    assert card is not None, row["gpu"]
    request = ServingRequest(
        architecture=found.architecture,
        gpu=card,
        gpu_memory_bytes=memory,
        engine=row["engine"],
        engine_version=row["engine_version"],
        tensor_parallel=int(row["tp"]),
        pipeline_parallel=int(row["pp"]),
        dtype=row["dtype"] or None,
        quantization=row["quant"] or found.quantization,
        kv_cache_dtype=row["kv_cache_dtype"] or None,
        max_model_len=int(row["max_model_len"]) if row["max_model_len"] else None,
        max_num_seqs=int(row["max_num_seqs"]) if row["max_num_seqs"] else None,
        gpu_memory_utilisation=float(row["gpu_mem_util"]) if row["gpu_mem_util"] else None,
    )
    return Point(row=row, budget=size_serving(request))


POINTS = [point(row) for row in ROWS]


@pytest.mark.parametrize("use", ["fit", "held-aside"])
def test_pools_of_started_engines_since_0_8(use: str) -> None:
    errors = sorted(
        one.error
        for one in POINTS
        if one.row["use"] == use
        and one.row["measured_outcome"] == "started"
        and one.row["measured_kv_gib"]
        and version_number(one.row["engine_version"]) >= (0, 8)
    )
    assert len(errors) >= 15
    assert statistics.median(errors) <= 0.003
    assert errors[int(0.9 * (len(errors) - 1))] <= 0.025


def test_no_failure_at_start_is_said_to_fit() -> None:
    failures = [one for one in POINTS if one.row["measured_outcome"] == "refused"]
    assert len(failures) >= 5
    assert [one.row["model"] for one in failures if one.budget.verdict == "fits"] == []


def test_what_started_is_not_refused() -> None:
    started = [one for one in POINTS if one.row["measured_outcome"] == "started"]
    assert [one.row["model"] for one in started if one.budget.verdict == "does-not-fit"] == []


def test_printed_weights() -> None:
    """Llama-3.1-405B is apart: its first release had twice the key-value heads of today's configuration."""
    errors = [
        abs(
            sum(item.bytes for item in one.budget.items if item.name in {"weights", "derived tables"}) / GIB
            - float(one.row["measured_weights_gib"])
        )
        / float(one.row["measured_weights_gib"])
        for one in POINTS
        if one.row["measured_weights_gib"] and "405B" not in one.row["model"]
    ]
    assert statistics.median(errors) <= 0.001
    assert max(errors) <= 0.012
