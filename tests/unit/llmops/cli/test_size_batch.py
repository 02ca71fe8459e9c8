"""`llmops size batch`: every row comes back at its place, with a prediction or a reason."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.sizing.models import find_model
from llmops.cli.main import run
from llmops.errors import Exit
from llmops.sizing.predictions import OUTPUT_COLUMNS, Predictions
from llmops.sizing.rows import read_table, write_table
from llmops.sizing.subjects import Subject, find_subject

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
SERVING = {"task": "serving", "engine": "vllm", "engine_version": "0.8.5", "model": LLAMA, "gpu": "L4",
           "max_model_len": "8192"}  # fmt: skip
TRAINING = {"task": "training", "model": LLAMA, "gpu": "A100", "gpu_mem_gib": "80", "method": "lora", "seq_len": "2048",
            "micro_batch": "1"}  # fmt: skip
THROUGHPUT = {"task": "throughput", "engine": "vllm", "model": LLAMA, "gpu": "H100", "input_len": "1000",
              "output_len": "500"}  # fmt: skip
COLUMNS = (
    "task", "engine", "engine_version", "model", "dtype", "quant", "gpu", "gpu_mem_gib", "tp", "pp", "max_model_len",
    "max_num_seqs", "gpu_mem_util", "kv_cache_dtype", "method", "n_gpus", "sharding", "seq_len", "micro_batch",
    "optimizer", "grad_ckpt", "lora_r", "input_len", "output_len", "concurrency",
)  # fmt: skip


def _table(*rows: Mapping[str, str], columns: tuple[str, ...] = COLUMNS) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _predict(folder: Path, text: str | bytes, *, code: int = Exit.CLEAN) -> list[dict[str, str]]:
    rows, out = folder / "rows.csv", folder / "out.csv"
    rows.write_bytes(text.encode() if isinstance(text, str) else text)
    assert run(["size", "batch", str(rows), "--out", str(out)]) == code
    if not out.exists():
        return []
    with out.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def _one(folder: Path, base: Mapping[str, str], **cells: str) -> dict[str, str]:
    (row,) = _predict(folder, _table({**base, **cells}))
    return row


def test_each_task_fills_its_own_columns(tmp_path: Path) -> None:
    serving, training, throughput = _predict(tmp_path, _table(SERVING, TRAINING, THROUGHPUT))

    assert serving["verdict"] == "fits"
    assert float(serving["weights_gib_per_gpu"]) == pytest.approx(14.96, abs=0.01)
    assert 0 < float(serving["available_kv_gib"]) < float(serving["budget_gib"]) < 22.16
    assert int(serving["kv_tokens"]) > 8192
    assert float(serving["max_concurrency"]) == pytest.approx(int(serving["kv_tokens"]) / 8192, rel=0.01)
    assert serving["peak_gib"] == serving["regime"] == serving["missing"] == ""
    assert training["verdict"] == "fits"
    assert float(training["peak_gib_low"]) == pytest.approx(0.75 * float(training["peak_gib"]), rel=0.01)
    assert training["dominant_term"] == "weights"
    assert throughput["regime"] == "saturated"
    assert float(throughput["output_tok_s_low"]) < float(throughput["output_tok_s_high"])
    assert float(throughput["total_tok_s_low"]) == pytest.approx(3 * float(throughput["output_tok_s_low"]), rel=0.01)


def test_input_columns_come_first_as_they_were(tmp_path: Path) -> None:
    row = {**SERVING, "note": ' kept, as "it" was\nwritten ', "gpu": " L4 "}
    _predict(tmp_path, _table(row, columns=(*COLUMNS, "note")))

    with (tmp_path / "out.csv").open(newline="") as stream:
        head, cells = list(csv.reader(stream))
    assert tuple(head) == (*COLUMNS, "note", *OUTPUT_COLUMNS)
    assert dict(zip(head, cells, strict=True))["note"] == row["note"]
    assert dict(zip(head, cells, strict=True))["gpu"] == " L4 "
    assert dict(zip(head, cells, strict=True))["verdict"] == "fits"


@pytest.mark.parametrize(
    ("base", "cells", "reason"),
    [
        (SERVING, {"tp": "NaN"}, "tp: `NaN` is not a number"),
        (SERVING, {"tp": "-1"}, "tp: `-1`"),
        (SERVING, {"tp": "0"}, "tp: `0`"),
        (SERVING, {"tp": "1.5"}, "tp: `1.5`"),
        (SERVING, {"max_model_len": "1e309"}, "max_model_len: `1e309`"),
        (SERVING, {"max_model_len": "9" * 5000}, "max_model_len"),
        (SERVING, {"max_model_len": "٨١٩٢"}, "max_model_len"),
        (SERVING, {"max_model_len": "8k"}, "max_model_len"),
        (SERVING, {"gpu_mem_gib": "inf"}, "gpu_mem_gib"),
        (SERVING, {"gpu_mem_util": "90"}, "gpu_mem_util"),
        (SERVING, {"gpu": ""}, "gpu is not given"),
        (SERVING, {"gpu": "L5"}, "gpu `L5` is not in the catalogue"),
        (SERVING, {"gpu": "A100"}, "A100-40 or A100-80"),
        (SERVING, {"engine": ""}, "engine is not given"),
        (SERVING, {"engine": "llama.cpp"}, "`llama.cpp`"),
        (SERVING, {"engine": "triton", "engine_version": "25.6"}, "backend"),
        (THROUGHPUT, {"engine": "triton"}, "backend"),
        (SERVING, {"model": ""}, "model is not given"),
        (SERVING, {"model": "nobody/nothing"}, "config.json"),
        (SERVING, {"model": "meta-llama/Llama-3.1-8B-Instrukt"}, "Instrukt` is not in the catalogue"),
        (SERVING, {"model": "./none.json"}, "there is no file"),
        (SERVING, {"task": ""}, "task is not given"),
        (SERVING, {"task": "serve"}, "task `serve`"),
        (TRAINING, {"method": ""}, "method is not given"),
        (TRAINING, {"method": "magic"}, "method: `magic`"),
        (TRAINING, {"sharding": "zero9"}, "sharding: `zero9`"),
        (TRAINING, {"optimizer": "magic"}, "optimizer"),
        (TRAINING, {"quant": "magic"}, "quant"),
        (TRAINING, {"seq_len": ""}, "seq_len"),
        (THROUGHPUT, {"input_len": ""}, "input_len"),
        (THROUGHPUT, {"model": "mistralai/Mixtral-8x7B-Instruct-v0.1", "tp": "2"}, "benchmark it"),
        (THROUGHPUT, {"gpu": "MI300X"}, "benchmark it"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_unknown_with_its_reason(
    tmp_path: Path, base: Mapping[str, str], cells: dict[str, str], reason: str
) -> None:
    row = _one(tmp_path, base, **cells)

    assert reason in row["missing"]
    assert "unknown" in (row["verdict"], row["regime"])
    if base is not TRAINING:
        assert all(row[column] == "" for column in OUTPUT_COLUMNS if column not in ("verdict", "regime", "missing"))


def test_an_odd_row_neither_drops_nor_shifts_the_others(tmp_path: Path) -> None:
    good = _table(SERVING).splitlines()
    broken = 'serving,"vllm" 0.8.5,x'
    open_quote = 'serving,"vllm,0.8.5,never closed'
    lines = [*good, "serving,vllm", broken, good[1], open_quote, good[1] + ",,extra", good[1]]

    rows = _predict(tmp_path, "\n".join(lines) + "\n")

    assert [row["verdict"] for row in rows] == ["fits", "unknown", "unknown", "fits", "unknown", "unknown", "fits"]
    assert "2 cells, the header 25" in rows[1]["missing"]
    assert "quotation marks" in rows[2]["missing"]
    assert "quotation marks" in rows[4]["missing"]
    assert "27 cells" in rows[5]["missing"]


@pytest.mark.parametrize("change", [
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.encode("utf-16"),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(),
    lambda text: (text + "\n\n\n").encode(),
    lambda text: text.rstrip("\n").encode(),
], ids=["byte-order mark", "utf-16", "crlf", "cr", "empty lines", "no end of line"])  # fmt: skip
def test_ways_of_writing_a_table(tmp_path: Path, change: object) -> None:
    assert callable(change)
    rows = _predict(tmp_path, change(_table(SERVING, {**SERVING, "gpu": "H100"})))

    assert [row["verdict"] for row in rows] == ["fits", "fits"]
    assert [row["gpu"] for row in rows] == ["L4", "H100"]


def test_bytes_that_are_no_text_come_back(tmp_path: Path) -> None:
    text = _table({**SERVING, "dtype": "auto"}).encode().replace(b"vllm", b"vl\xfflm")
    _predict(tmp_path, text)

    assert b"vl\xfflm" in (tmp_path / "out.csv").read_bytes()


@pytest.mark.parametrize("version", ["0.8.5.post1", "v0.8.5", "0.10.1.1", "0.11.0rc2", ""])
def test_versions_as_people_write_them(tmp_path: Path, version: str) -> None:
    assert _one(tmp_path, SERVING, engine_version=version)["verdict"] == "fits"


@pytest.mark.parametrize("engine", ["vLLM", "VLLM ", "vllm@0.8.5", "triton+vllm@0.8.5", "Triton/vLLM", "triton-vllm"])
def test_engines_as_people_write_them(tmp_path: Path, engine: str) -> None:
    assert _one(tmp_path, SERVING, engine=engine, engine_version="")["verdict"] == "fits"


@pytest.mark.parametrize("gpu", ["L4", "l4", "NVIDIA L4", "NVIDIA-L4", "nvidia l4", "1x L4"])
def test_gpus_as_people_write_them(tmp_path: Path, gpu: str) -> None:
    assert _one(tmp_path, SERVING, gpu=gpu)["budget_gib"] == _one(tmp_path, SERVING)["budget_gib"]


@pytest.mark.parametrize("dtype", ["auto", "bf16", "bfloat16", "torch.bfloat16", "half", "float16"])
def test_types_as_people_write_them(tmp_path: Path, dtype: str) -> None:
    assert _one(tmp_path, SERVING, dtype=dtype)["weights_gib_per_gpu"] == _one(tmp_path, SERVING)["weights_gib_per_gpu"]


def test_memory_of_the_row_goes_before_the_catalogues(tmp_path: Path) -> None:
    said = _one(tmp_path, SERVING, gpu_mem_gib="22.0")
    marketed = _one(tmp_path, SERVING, gpu_mem_gib="24")
    unlisted = _one(tmp_path, SERVING, gpu="Some Card", gpu_mem_gib="22.0")

    assert float(said["budget_gib"]) == pytest.approx(22.0 * 0.9, abs=0.01)
    assert float(marketed["budget_gib"]) == pytest.approx(22.16 * 0.9, abs=0.01)
    assert unlisted["budget_gib"] == said["budget_gib"]


@pytest.mark.parametrize("scaling", [{"type": "linear", "factor": 1e308}, {"type": "linear", "factor": 10**400}])
def test_a_strange_fact_costs_its_own_row_alone(tmp_path: Path, scaling: Mapping[str, object]) -> None:
    known = find_model(LLAMA)
    assert known is not None
    (tmp_path / "config.json").write_text(json.dumps({**known.record.config, "rope_scaling": scaling}))
    odd, good = _predict(tmp_path, _table({**SERVING, "model": "config.json"}, SERVING))
    assert (odd["verdict"], odd["missing"]) == ("unknown", "factor")
    assert good["verdict"] == "fits"
    assert run(["size", "model", str(tmp_path / "config.json"), "--gpu", "L4"]) == Exit.FINDINGS


@pytest.mark.parametrize("row", [SERVING, TRAINING, THROUGHPUT])
def test_facts_that_arithmetic_fails_on_cost_their_own_row_alone(tmp_path: Path, row: Mapping[str, str]) -> None:
    def found(text: str, beside: Path) -> Subject:
        subject = find_subject(text, beside=beside)
        if text != "Qwen/Qwen3-8B":
            return subject
        endless = [replace(one, inputs=10**400) for one in subject.architecture.outside]
        odd = replace(subject.architecture, outside=tuple(endless), hidden_size=10**400, rope_factor=float("inf"))
        return replace(subject, architecture=odd)

    (tmp_path / "rows.csv").write_text(_table({**row, "model": "Qwen/Qwen3-8B"}, row))
    predictions = Predictions(beside=tmp_path, find=found)
    odd, good = [predictions.predict(one) for one in read_table(tmp_path / "rows.csv").rows]
    assert "cannot be computed with" in odd["missing"]
    assert odd["regime" if row is THROUGHPUT else "verdict"] == "unknown"
    assert "cannot" not in good["missing"]


def test_a_model_by_the_path_of_its_config(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
              "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000, "torch_dtype": "bfloat16",
              "max_position_embeddings": 2048, "tie_word_embeddings": False}  # fmt: skip
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text(json.dumps(config))
    index = {"metadata": {"total_size": 2_200_119_296}, "weight_map": {}}
    (tmp_path / "tiny" / "model.safetensors.index.json").write_text(json.dumps(index))

    absolute, beside = _predict(
        tmp_path,
        _table(
            {**SERVING, "model": str(tmp_path / "tiny" / "config.json"), "max_model_len": ""},
            {**SERVING, "model": "tiny", "max_model_len": ""},
        ),
    )

    assert absolute["verdict"] == beside["verdict"] == "fits"
    assert float(beside["weights_gib_per_gpu"]) == pytest.approx(2_200_119_296 / 2**30, abs=0.01)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"a": ' * 5000, '"x"', "{}", "\x00\x01"])
def test_configs_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    row = _one(tmp_path, SERVING, model=str(tmp_path / "config.json"))

    assert row["verdict"] == "unknown"
    assert row["missing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no header"), ("\n\n", "no header"), ("a,b\n1,2\n", "no column `task`"), ("task,gpu,gpu\n", "more than once"),
     ('"task', "no header")],
)  # fmt: skip
def test_tables_that_are_none(tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _predict(tmp_path, text, code=Exit.FINDINGS) == []
    assert said in capsys.readouterr().err


def test_a_table_without_rows_gives_one_without_predictions(tmp_path: Path) -> None:
    assert _predict(tmp_path, "task\n") == []
    assert (tmp_path / "out.csv").read_text().startswith("task,verdict,")


def test_many_names_that_nobody_knows_cost_little(tmp_path: Path) -> None:
    """Looking for a near name takes a twentieth of a second, which a thousand rows must not each pay."""
    odd = [{**SERVING, "model": f"someone/Strange-{number}B"} for number in range(1000)]
    cards = [{**SERVING, "gpu": f"RTX {number}00 Extra"} for number in range(1000)]
    began = time.process_time()

    rows = _predict(tmp_path, _table(*odd, *cards))

    assert {row["verdict"] for row in rows} == {"unknown"}
    assert time.process_time() - began < 5


def test_nothing_is_written_over_the_table(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(_table(SERVING))

    assert run(["size", "batch", str(rows), "--out", str(rows)]) == Exit.MISUSE
    assert rows.read_text() == _table(SERVING)
    assert run(["size", "batch", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out.csv")]) == Exit.MISUSE
    assert not (tmp_path / "out.csv").exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=6), max_size=6))
def test_any_table_comes_back_row_for_row(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    table = folder / "rows.csv"
    write_table(table, ("task", "model", "gpu"), rows)

    read = read_table(table)
    found = [Predictions(beside=folder).predict(row) for row in read.rows]

    assert len(found) == len(rows)
    assert all("unknown" in (one.get("verdict"), one.get("regime")) or one["verdict"] for one in found)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (" Task ,model", ["its header is ` Task ,model`", "write `task`"]),
        ("task;model;gpu", ["`task;model;gpu`", "divided by `;`"]),
        ("model\ttask", ["divided by tabs"]),
        ("model,gpu", ["`model,gpu`", "serving, training or throughput"]),
    ],
)
def test_a_header_without_task_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, said: list[str]
) -> None:
    assert _predict(tmp_path, f"{header}\nserving\n", code=Exit.FINDINGS) == []

    text = capsys.readouterr().err
    assert text.count("error: ") == 1
    for word in said:
        assert word in text, (word, text)


def test_a_column_that_predictions_write_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _table({**SERVING, "verdict": "measured", "missing": "x"}, columns=(*COLUMNS, "verdict", "missing"))

    (row,) = _predict(tmp_path, text)
    assert (row["verdict"], row["missing"]) == ("fits", "")
    assert list(row) == [*COLUMNS, *OUTPUT_COLUMNS]
    assert "has `verdict`, `missing` already" in capsys.readouterr().err
