"""Sizing from outside: one model as a person asks for it, and a table of 10,000 rows.

`llmops size model` has to answer in 250 ms and the table in 10 s, on an otherwise idle machine.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from benchmarks.commands import LLMOPS, Cost, cost

MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "google/gemma-2-9b-it",
    "deepseek-ai/DeepSeek-V3",
)
COLUMNS = (
    "task", "engine", "engine_version", "model", "gpu", "tp", "max_model_len", "method", "seq_len", "micro_batch",
    "input_len", "output_len",
)  # fmt: skip
ROWS = 10_000


def write_rows(path: Path, count: int) -> None:
    """No two rows alike, every third of another task."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for number in range(count):
            model = MODELS[number % len(MODELS)]
            served = ("vllm", f"0.{8 + number % 3}.0", model, "H100", 8)
            writer.writerow(
                (
                    ("serving", *served, 1024 + number, "", "", "", "", ""),
                    ("training", "", "", model, "H100", "", "", "lora", 128 + number, 1, "", ""),
                    ("throughput", *served, "", "", "", "", 128 + number, 256),
                )[number % 3]
            )


def main() -> None:
    """Print wall time and peak memory of the commands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.csv", ROWS)
        asked = ("size", "model", MODELS[0], "--gpu", "L4", "--max-model-len", "8192")
        _line("size one model", cost(*LLMOPS, *asked))
        _line("  --search", cost(*LLMOPS, *asked, "--search"))
        table = ("size", "batch", str(folder / "rows.csv"), "--out", str(folder / "out.csv"))
        _line(f"size {ROWS:,} rows", cost(*LLMOPS, *table))


def _line(what: str, one: Cost) -> None:
    print(f"{what:32} {one.seconds * 1000:8.0f} ms  {one.peak_mib:6.0f} MiB")


if __name__ == "__main__":
    main()
