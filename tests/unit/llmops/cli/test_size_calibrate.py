"""`llmops size calibrate`: real wordings of start-up lines, and logs that are none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import pytest

from llmops.cli.main import run
from llmops.errors import Exit
from llmops.sizing.logs import StartUp, read_log

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
CONFIG = (
    "with config: model='{model}', speculative_config=None, tokenizer='{model}', dtype=torch.bfloat16, "
    "max_seq_len={length}, download_dir=None, load_format=auto, tensor_parallel_size={tensor}, "
    "pipeline_parallel_size=1, disable_custom_all_reduce=False, quantization=None, enforce_eager=False, "
    "kv_cache_dtype=auto,  device_config=cuda"
)

# Figures of kubernetes-sigs/gateway-api-inference-extension#550: Llama-2-7b on one H100, V0.
V0 = f"""\
INFO 03-21 20:15:00 [llm_engine.py:235] Initializing a V0 LLM engine (v0.8.0) \
{CONFIG.format(model="meta-llama/Llama-2-7b-hf", length=4096, tensor=1)}
INFO 03-21 20:15:10 [model_runner.py:1115] Loading model weights took 12.5523 GB
INFO 03-21 20:15:45 [worker.py:267] Memory profiling takes 34.26 seconds
INFO 03-21 20:15:45 [worker.py:267] the current vLLM instance can use total_gpu_memory (79.19GiB) x \
gpu_memory_utilization (0.90) = 71.27GiB
INFO 03-21 20:15:45 [worker.py:267] model weights take 12.55GiB; non_torch_memory takes 0.16GiB; PyTorch activation \
peak memory takes 2.38GiB; the rest of the memory reserved for KV Cache is 56.18GiB.
INFO 03-21 20:15:46 [executor_base.py:111] # cuda blocks: 7191, # CPU blocks: 512
INFO 03-21 20:15:46 [executor_base.py:116] Maximum concurrency for 4096 tokens per request: 28.09x
INFO 03-21 20:16:10 [model_runner.py:1570] Graph capturing finished in 20 secs, took 0.31 GiB
"""
V1 = f"""\
\x1b[32mINFO\x1b[0m 05-14 17:44:12 [api_server.py:1043] vLLM API server version 0.10.1
(APIServer pid=1) INFO 05-14 17:44:12 [utils.py:326] non-default args: {{'model': '{LLAMA}', 'max_model_len': 8192, \
'max_num_seqs': 128, 'gpu_memory_utilization': 0.85}}
(EngineCore_0 pid=271) INFO 05-14 17:44:22 [core.py:65] Initializing a V1 LLM engine (v0.10.1) \
{CONFIG.format(model=LLAMA, length=8192, tensor=2)}
(VllmWorker TP1 rank=1 pid=12) INFO 05-14 17:45:00 [gpu_model_runner.py:2007] Model loading took 7.5100 GiB and 3 s
(VllmWorker TP0 rank=0 pid=11) INFO 05-14 17:45:00 [gpu_model_runner.py:2007] Model loading took 7.5123 GiB and 3 s
(VllmWorker TP0 rank=0 pid=11) INFO 05-14 17:45:30 [gpu_worker.py:276] Available KV cache memory: 10.83 GiB
(VllmWorker TP1 rank=1 pid=12) INFO 05-14 17:45:30 [gpu_worker.py:276] Available KV cache memory: 10.87 GiB
(EngineCore_0 pid=271) INFO 05-14 17:45:31 [kv_cache_utils.py:849] GPU KV cache size: 177,408 tokens
(EngineCore_0 pid=271) INFO 05-14 17:45:31 [kv_cache_utils.py:853] Maximum concurrency for 8,192 tokens per \
request: 21.66x
(VllmWorker TP0 rank=0 pid=11) INFO 05-14 17:45:51 [gpu_model_runner.py:2708] Graph capturing finished in 20 secs, \
took 0.56 GiB
"""
SGLANG = f"""\
[2025-10-16 09:05:00] server_args=ServerArgs(model_path='{LLAMA}', tokenizer_path='{LLAMA}', context_length=None, \
mem_fraction_static=0.88, max_running_requests=None, tp_size=2, quantization=None, kv_cache_dtype='auto', pp_size=1)
[2025-10-16 09:05:30 TP1] Load weight begin. avail mem=78.58 GB
[2025-10-16 09:05:50 TP0] Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, avail mem=70.99 GB, \
mem usage=7.55 GB.
[2025-10-16 09:06:22 TP0] KV Cache is allocated. #tokens: 995207, K size: 30.38 GB, V size: 30.38 GB
[2025-10-16 09:06:22 TP0] Memory pool end. avail mem=8.87 GB
[2025-10-16 09:06:40 TP0] Capture cuda graph end. Time elapsed: 5.37 s. mem usage=1.44 GB. avail mem=7.05 GB.
[2025-10-16 09:06:41 TP0] max_total_num_tokens=995207, chunked_prefill_size=8192, max_prefill_tokens=16384
"""
TGI = """\
2023-08-22T18:35:50.966384Z  INFO text_generation_launcher: Args { model_id: "meta-llama/Llama-2-13b-chat-hf", \
revision: None, sharded: None, num_shard: Some(4), quantize: Some(Awq), dtype: None, max_input_length: 4096, \
max_total_tokens: 8192, max_batch_prefill_tokens: 4096, cuda_memory_fraction: 0.9 }
2023-08-22T18:36:50.1Z  INFO text_generation_launcher: KV-cache blocks: 123456, size: 1
2023-08-22T18:36:51.1Z  INFO text_generation_router: Setting max batch total tokens to 123456
"""
TENSORRT = """\
[TensorRT-LLM][INFO] Engine version 0.17.0 found in the config file, assuming engine(s) built by new builder API.
[TensorRT-LLM][INFO] TRTGptModel maxBatchSize: 256
[TensorRT-LLM][INFO] TRTGptModel maxSequenceLen: 8192
[TensorRT-LLM][INFO] Loaded engine size: 15350 MiB
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 824.02 MiB for execution context memory.
[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.10 GiB, available: 60.46 GiB
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 54.41 GiB for max tokens in paged KV cache (445760).
"""
FAILURE = """\
ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is needed, which \
is larger than the available KV cache memory (3.27 GiB). Try increasing `gpu_memory_utilization`.
"""


def _read(folder: Path, text: str) -> StartUp:
    (folder / "engine.log").write_text(text)
    return read_log(folder / "engine.log")


def _calibrated(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, *words: str, code: int = Exit.CLEAN
) -> str:
    (folder / "engine.log").write_text(text)
    capsys.readouterr()
    given = run(["size", "calibrate", str(folder / "engine.log"), *words])
    out, err = capsys.readouterr()
    assert given == code, (out, err)
    assert "Traceback" not in out + err
    return click.unstyle(out + err)


def _json(folder: Path, capsys: pytest.CaptureFixture[str], text: str, *words: str) -> dict[str, Any]:
    (found,) = json.loads(_calibrated(folder, capsys, text, *words, "--format", "json"))
    return found


def test_vllm_v0(tmp_path: Path) -> None:
    found = _read(tmp_path, V0)

    assert found.engine == "vllm"
    assert found.texts == {"version": "0.8.0", "model": "meta-llama/Llama-2-7b-hf", "dtype": "bfloat16"}
    assert found.counts == {"length": 4096, "tensor": 1, "pipeline": 1, "blocks": 7191}
    assert found.gib == {
        "weights": 12.55,
        "card": 79.19,
        "other": 0.16,
        "activations": 2.38,
        "pool": 56.18,
        "graphs": 0.31,
    }
    assert found.numbers == {"share": 0.9, "concurrency": 28.09}
    assert found.failure is None


def test_vllm_v1_of_two_ranks_tells_of_the_tightest(tmp_path: Path) -> None:
    found = _read(tmp_path, V1)

    assert found.texts["version"] == "0.10.1"
    assert found.counts == {"length": 8192, "tensor": 2, "pipeline": 1, "sequences": 128, "tokens": 177_408}
    assert found.gib == {"weights": 7.5123, "pool": 10.83, "graphs": 0.56}
    assert found.numbers == {"share": 0.85, "concurrency": 21.66}
    assert found.starts == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("(VllmWorker rank=0 pid=11) ", "(VllmWorker rank=1 pid=12) "),
        ("(Worker_TP0 pid=11) ", "(Worker_TP1 pid=12) "),
        ("(Worker_PP0_TP0 pid=11) ", "(Worker_PP0_TP1 pid=12) "),
        ("", "(VllmWorkerProcess pid=12) "),
        ("", "(RayWorkerWrapper pid=12, ip=10.0.0.2) "),
    ],
)
def test_ranks_that_write_over_each_other(tmp_path: Path, first: str, second: str) -> None:
    said = "INFO 05-14 17:45:30 [gpu_worker.py:276] Available KV cache memory: {} GiB\n"

    assert _read(tmp_path, first + said.format(9.5) + second + said.format(10.5)).gib["pool"] == 9.5


def test_sglang(tmp_path: Path) -> None:
    found = _read(tmp_path, SGLANG)

    assert found.engine == "sglang"
    assert found.texts == {"model": LLAMA}
    assert found.counts == {"tensor": 2, "pipeline": 1, "tokens": 995_207}
    assert found.gib["weights"] == 7.55
    assert found.gib["pool"] == pytest.approx(60.76)
    assert found.gib["graphs"] == 1.44
    assert found.numbers == {"share": 0.88}


def test_tgi(tmp_path: Path) -> None:
    found = _read(tmp_path, TGI)

    assert found.engine == "tgi"
    assert found.texts == {"model": "meta-llama/Llama-2-13b-chat-hf", "quantization": "Awq"}
    assert found.counts == {"tensor": 4, "length": 8192, "tokens": 123_456}
    assert found.numbers == {"share": 0.9}


def test_tensorrt_llm(tmp_path: Path) -> None:
    found = _read(tmp_path, TENSORRT)

    assert found.engine == "tensorrt-llm"
    assert found.texts == {"version": "0.17.0"}
    assert found.counts == {"sequences": 256, "length": 8192, "tokens": 445_760}
    assert found.gib["weights"] == pytest.approx(14.99, abs=0.01)
    assert found.gib["pool"] == 54.41
    assert found.gib["card"] == 79.10


def test_residuals_of_each_item(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(tmp_path, capsys, V0, "--gpu", "H100")
    by_name = {one["name"]: one for one in found["residuals"]}

    assert found["verdict"] == "fits"
    assert found["agrees"] is True
    assert by_name["weights"]["measured"] == 12.55
    assert abs(by_name["weights"]["difference"]) < 0.1
    pool = by_name["KV pool"]
    assert pool["difference"] == pytest.approx(pool["predicted"] - 56.18, abs=1e-3)
    assert pool["share"] == pytest.approx(pool["difference"] / (0.9 * 79.19), abs=1e-3)
    assert by_name["concurrency"]["measured"] == 28.09


def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _calibrated(tmp_path, capsys, V1, "--gpu", "L4")

    assert f"engine.log: {LLAMA} on 2 x L4, vllm 0.10.1" in said
    assert "predicted: fits, and so it was" in said
    assert "  weights  " in said
    assert "of the budget" in said
    assert "177,408" in said


def test_a_start_that_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = V1.splitlines()[2].replace("max_seq_len=8192", "max_seq_len=131072").replace("size=2", "size=1")
    found = _json(tmp_path, capsys, head + "\n" + FAILURE, "--gpu", "L4")

    assert found["failure"].startswith("To serve at least one request")
    assert found["verdict"] == "does-not-fit"
    assert found["agrees"] is True
    assert {one["name"]: one["measured"] for one in found["residuals"]} == {"KV pool": 3.27}


def test_the_last_start_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(tmp_path, capsys, V1.replace("10.83", "9.99") + FAILURE + V1, "--gpu", "L4")

    assert found["starts"] == 2
    assert found["failure"] is None
    assert next(one["measured"] for one in found["residuals"] if one["name"] == "KV pool") == 10.83


def test_a_log_that_was_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _calibrated(tmp_path, capsys, "\n".join(V1.splitlines()[:3]), "--gpu", "L4")

    assert "it ends before the engine measured its memory" in said


def test_the_card_is_read_where_the_log_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smi = "|   0  NVIDIA L4                      On  | 00000000:04:00.0 Off |                    0 |\n"

    assert _json(tmp_path, capsys, smi + V1)["gpu"] == "L4"


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", (), "no start-up line"),
        ("hello\n" * 1000, (), "no start-up line"),
        (V1, (), "gpu is not given"),
        (V1, ("--gpu", "L44"), "`L44`"),
        (TENSORRT, ("--gpu", "H100"), "model is not given"),
        (V1.replace(LLAMA, "/models/mine"), ("--gpu", "L4"), "there is no file"),
        (V1, ("--gpu", "L4", "--tp", "x"), "tp: `x`"),
    ],
)
def test_what_is_missing_is_said_in_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: tuple[str, ...], said: str
) -> None:
    code = Exit.FINDINGS if "start-up line" in said else Exit.MISUSE
    text = _calibrated(tmp_path, capsys, text, *words, code=code)

    assert said in text
    assert text.count("error: ") == 1


def test_bytes_are_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "engine.log").write_bytes(os.urandom(9000) + b"\0")

    assert run(["size", "calibrate", str(tmp_path / "engine.log")]) == Exit.FINDINGS
    assert "is not a text" in capsys.readouterr().err


def test_a_log_of_one_endless_line(tmp_path: Path) -> None:
    line = "x" * 3_000_000
    found = _read(tmp_path, f"{line}\n{V0}{line}")

    assert found.gib["pool"] == 56.18


def test_options_go_before_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(tmp_path, capsys, TENSORRT, "--gpu", "H100", "--model", LLAMA)["verdict"] == "fits"
    assert _json(tmp_path, capsys, V1, "--gpu", "L4", "--engine", "sglang")["engine"] == "sglang"
