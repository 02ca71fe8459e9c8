"""The public points are what they claim: rows that can be read, each with its source, split into two uses.

How well predictions meet them: `test_serving_points.py` term by term for vLLM, and every file as `llmops size batch`
predicts it in `tests/unit/llmops/sizing/test_public_points.py`.
"""

import csv
from pathlib import Path

import pytest

from compiler.sizing.engines import engine_name, find_engine
from compiler.sizing.gpus import GIB, find_gpu
from compiler.sizing.models import find_model

POINTS = Path(__file__).parent / "points"
FILES = ("serving.csv", "throughput.csv", "training_fms.csv")
Row = dict[str, str]


def rows(file: str) -> list[Row]:
    """The file's rows."""
    with (POINTS / file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


ROWS = [(file, number, row) for file in FILES for number, row in enumerate(rows(file), start=2)]


@pytest.mark.parametrize(
    ("file", "number", "row"), ROWS, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_every_point_names_what_the_catalogue_knows(file: str, number: int, row: Row) -> None:
    place = f"{file}:{number}"
    assert find_model(row["model"]) is not None, place
    memory = row.get("gpu_mem_gib")
    assert find_gpu(row["gpu"], memory_bytes=int(float(memory) * GIB) if memory else None) is not None, place
    assert row["use"] in {"fit", "held-aside"}, place
    assert "/" in row["source"], place
    assert None not in row, place
    if "engine" in row:
        name = engine_name(row["engine"])
        assert name is not None, place
        assert find_engine(name, row["engine_version"]).known, place


def test_no_model_has_start_ups_in_both_uses() -> None:
    """Else a constant fitted on one card would be confirmed by the same model on the same card."""
    found = rows("serving.csv")
    fit, aside = ({row["model"] for row in found if row["use"] == use} for use in ("fit", "held-aside"))
    assert fit.isdisjoint(aside)


def test_stated_memory_is_near_the_catalogues() -> None:
    """An official figure of the catalogue and what a log printed differ by drivers, not by more."""
    for row in rows("serving.csv"):
        card = find_gpu(row["gpu"], memory_bytes=int(float(row["gpu_mem_gib"]) * GIB))
        assert card is not None
        assert abs(card.visible_bytes / GIB / float(row["gpu_mem_gib"]) - 1) < 0.05, row["source"]


def test_printed_items_sum_to_the_share_of_the_card() -> None:
    """Weights, peak, non-torch and pool of one log make up utilisation times total, as vLLM's rule has it."""
    checked = 0
    for row in rows("serving.csv"):
        cells = [row[f"measured_{name}_gib"] for name in ("weights", "peak", "non_torch", "kv")]
        if not all(cells) or not row["gpu_mem_util"]:
            continue
        budget = float(row["gpu_mem_util"]) * float(row["gpu_mem_gib"])
        assert abs(sum(map(float, cells)) - budget) < 0.12, row["source"]
        checked += 1
    assert checked > 30


def test_both_uses_and_both_outcomes_are_there() -> None:
    found = rows("serving.csv")
    assert len(found) >= 40
    for use in ("fit", "held-aside"):
        mine = [row for row in found if row["use"] == use]
        assert len(mine) >= 20
        assert {row["measured_outcome"] for row in mine} == {"started", "refused"}
