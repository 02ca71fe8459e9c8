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
# vLLM 0.6.4: its worker's line of public logs, with figures of an 8B model on one H100.
V064 = f"""\
INFO 11-20 10:00:00 llm_engine.py:249] Initializing an LLM engine (v0.6.4) \
{CONFIG.format(model=LLAMA, length=8192, tensor=1)}
INFO 11-20 10:00:30 model_runner.py:1077] Loading model weights took 14.9888 GB
INFO 11-20 10:00:31 worker.py:232] Memory profiling results: total_gpu_memory=79.11GiB initial_memory_usage=15.52GiB \
peak_torch_memory=16.20GiB memory_usage_post_profile=15.60Gib non_torch_memory=0.53GiB kv_cache_size=54.46GiB \
gpu_memory_utilization=0.90
INFO 11-20 10:00:31 gpu_executor.py:113] # GPU blocks: 27884, # CPU blocks: 2048
INFO 11-20 10:00:31 gpu_executor.py:117] Maximum concurrency for 8192 tokens per request: 54.46x
"""
# The launcher's arguments as it prints them from 2024 on, one to a line.
TGI_DUMP = """\
2024-12-16T10:00:00.491823Z  INFO text_generation_launcher: Args {
    model_id: "meta-llama/Llama-3.1-8B-Instruct",
    revision: None,
    num_shard: Some(
        2,
    ),
    quantize: Some(
        Fp8,
    ),
    dtype: None,
    max_input_tokens: None,
    max_total_tokens: Some(
        8192,
    ),
    hostname: "dd620800ae90",
    cuda_memory_fraction: 1.0,
    cors_allow_origin: [],
    env: false,
}
2024-12-16T10:00:40.1Z  INFO text_generation_router_v3: backends/v3/src/main.rs:159: Version 3.0.1
2024-12-16T10:00:40.1Z  INFO text_generation_launcher: KV-cache blocks: 123456, size: 1
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
        "weights": 12.5523,
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
    assert by_name["weights"]["measured"] == 12.5523
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
        (V1, ("--gpu", "L4", "--engine", "vllm@"), "names no version"),
        (V1, ("--gpu", "L4", "--quantization", "foo"), "--quantization `foo` is not known"),
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


def test_several_logs_of_which_some_are_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.log").write_bytes(b"\0" * 100)
    (tmp_path / "none.log").write_text("hello\n")
    (tmp_path / "other.log").write_text(V0)
    others = [str(tmp_path / name) for name in ("bad.log", "none.log", "other.log")]

    said = _calibrated(tmp_path, capsys, V1, *others, "--gpu", "H100", code=Exit.FINDINGS)
    assert f"engine.log: {LLAMA} on" in said
    assert "other.log: meta-llama/Llama-2-7b-hf on" in said
    assert said.count("error: ") == 2
    assert said.index("other.log: ") < said.index("bad.log is not a text") < said.index("none.log has no start-up")

    capsys.readouterr()
    assert run(["size", "calibrate", *others, "--gpu", "H100", "--format", "json"]) == Exit.FINDINGS
    assert [one["engineVersion"] for one in json.loads(capsys.readouterr().out)] == ["0.8.0"]


@pytest.mark.parametrize("before", ["", "tgi-1  | ", "2024-12-16T10:00:00.491Z "])
def test_the_arguments_of_tgi_over_several_lines(tmp_path: Path, before: str) -> None:
    found = _read(tmp_path, "".join(before + line for line in TGI_DUMP.splitlines(keepends=True)))

    assert found.engine == "tgi"
    assert found.texts == {"model": LLAMA, "quantization": "Fp8", "version": "3.0.1"}
    assert found.counts == {"tensor": 2, "length": 8192, "tokens": 123_456}
    assert found.numbers == {"share": 1.0}


def test_arguments_that_are_cut_off(tmp_path: Path) -> None:
    lines = TGI_DUMP.splitlines(keepends=True)
    found = _read(tmp_path, "".join(lines[:6] + lines[-2:]))

    assert found.texts == {"model": LLAMA, "version": "3.0.1"}
    assert found.counts == {"tensor": 2, "tokens": 123_456}
    assert _read(tmp_path, "".join(lines[:6]) + TGI_DUMP.replace(LLAMA, "other/model")).texts["model"] == "other/model"
    assert _read(tmp_path, "".join(lines[:6]) + "    port: 80,\n" * 100_000).counts == {"tensor": 2}


def test_the_profile_of_vllm_0_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _read(tmp_path, V064)
    told = _json(tmp_path, capsys, V064)  # its memory tells enough of the card
    by_name = {one["name"]: one["measured"] for one in told["residuals"]}

    assert found.gib["card"] == 79.11
    assert found.numbers["share"] == 0.9
    assert by_name == {
        "weights": 14.9888,
        "activations": pytest.approx(16.20 - 14.9888),
        "other": 0.53,
        "KV pool": 54.46,
        "KV tokens": 27884 * 16,
        "concurrency": 54.46,
    }
    assert next(abs(one["share"]) for one in told["residuals"] if one["name"] == "weights") < 0.001


def test_each_row_and_all_of_them_say_whether_they_are_within_the_margin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = (_json(tmp_path, capsys, V0, *words) for words in (("--gpu", "H100"), ("--tp", "4")))
    log = V1.replace("10.83", "45.2").replace("10.87", "45.2").replace("177,408", "740,000")
    other = _json(tmp_path, capsys, log, "--gpu", "L4")
    by_name = {one["name"]: one for one in other["residuals"]}

    for page in (right, wrong, other):
        for one in page["residuals"]:
            if one["unit"] == "GiB":
                assert one["withinMargin"] == (abs(one["difference"]) <= page["marginGib"]), one
        assert page["withinMargin"] == all(one["withinMargin"] for one in page["residuals"])
    assert next(one for one in right["residuals"] if one["name"] == "weights")["withinMargin"] is True
    assert not wrong["withinMargin"]
    assert by_name["weights"]["withinMargin"] is True
    assert by_name["KV pool"]["withinMargin"] is by_name["KV tokens"]["withinMargin"] is other["withinMargin"] is False

    said = _calibrated(tmp_path, capsys, log, "--gpu", "L4")
    row = next(line for line in said.splitlines() if line.startswith("  KV tokens"))
    assert row.endswith("beyond")
    assert "in all: beyond the margin of" in said
    assert "is it the GPU" in said


def test_ranks_in_one_process_tell_of_the_tightest(tmp_path: Path) -> None:
    said = "(EngineCore_0 pid=271) INFO 05-14 17:45:31 [kv_cache_utils.py:849] GPU KV cache size: {} tokens\n"
    took = "INFO 05-14 17:45:00 [gpu_model_runner.py:2007] Model loading took {} GiB and 3 s\n"
    pools = "".join(said.format(tokens) for tokens in ("804,100", "804,024", "804,200", "804,324"))

    found = _read(tmp_path, took.format("7.52") + took.format("7.50") + pools)
    assert found.counts["tokens"] == 804_024
    assert found.gib["weights"] == 7.52


def test_the_second_pool_of_tensorrt_llm_is_the_one_that_serves(tmp_path: Path) -> None:
    trial = "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 1.01 GiB for max tokens in paged KV cache (8288).\n"

    assert _read(tmp_path, trial + TENSORRT).counts["tokens"] == 445_760
