"""`llmops size model`: the page, the same for machines, and command lines that cannot be meant."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from compiler.sizing.budget import GIB
from compiler.sizing.formats import named_format
from llmops.cli.main import run
from llmops.cli.size_words import QUANTIZATIONS
from llmops.errors import Exit

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
ON_L4 = ("--gpu", "L4", "--engine", "vllm@0.8.5", "--max-model-len", "8192")
PRICES = """prices:
  - {gpu: L4, cloud: ours, instance: rack, gpus: 2, usdPerHour: 2.0, region: here, dated: 2026-01-02, source: invoice}
"""


def _said(capsys: pytest.CaptureFixture[str], *words: str, code: int = Exit.CLEAN) -> str:
    capsys.readouterr()
    given = run(["size", "model", *words])
    out, err = capsys.readouterr()
    assert given == code, (out, err)
    return click.unstyle(out + err)


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, *ON_L4)

    assert said.startswith(f"{LLAMA} on 1 x L4, vllm 0.8.5\n")
    assert re.search(r"\n  fits: 3\.\d\d GiB of KV cache; one request of 8,192 tokens needs 1\.00 GiB", said)
    assert re.search(r"  - weights +14\.9\d +(exact|derived) ", said)
    assert "  = KV cache" in said
    assert "not given, so" in said
    assert "--duty 0.3" in said


def test_the_bar_is_drawn_to_scale(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, *ON_L4)
    bar = re.search(r"\[(.*)\]", said)

    assert bar is not None
    letters = bar.group(1)
    assert len(letters) == 72
    assert letters.count("W") == pytest.approx(72 * 14.96 / 22.16, abs=1)
    assert letters == "".join(sorted(letters, key="WAGOKm.".index))
    for name in ("weights", "activations", "KV cache", "margin", "outside the budget"):
        assert f" {name} " in said


def test_the_sum_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_said(capsys, LLAMA, *ON_L4, "--format", "json"))

    assert found["budgetBytes"] - sum(item["bytes"] for item in found["items"]) == found["poolBytes"]
    assert found["verdict"] == "fits"
    assert found["poolBytes"] - found["neededBytes"] >= found["marginBytes"]
    assert {item["provenance"] for item in found["items"]} <= {"exact", "derived", "measured", "guess"}
    assert found["settings"]["max_model_len"] == {"value": 8192, "source": "given"}
    assert found["cost"] is None


def test_what_does_not_fit_says_by_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, "Qwen/Qwen2.5-32B-Instruct", "--gpu", "L4", code=Exit.FINDINGS)

    assert "does-not-fit" in said
    assert re.search(r"\+\d+\.\d\d GiB", said)
    assert "beyond the budget" in said
    assert "nothing is served before the model fits" in said


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("facebook/opt-6.7b", "--gpu", "H100", "--max-model-len", "32768"), "the model has 2048"),
        (("Qwen/Qwen2.5-7B", "--gpu", "V100-32", "--quantization", "fp8"), "needs compute capability 7.5"),
        (("Qwen/Qwen2.5-0.5B", "--gpu", "T4", "--dtype", "bfloat16"), "T4 has no bfloat16"),
    ],
)
def test_what_the_engine_refuses_does_not_fit_however_much_memory_is_left(
    capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], why: str
) -> None:
    said = _said(capsys, *asked, "--engine", "vllm@0.21", code=Exit.FINDINGS)

    assert "does-not-fit: " in said
    assert "it cannot run: " in said
    assert why in said
    assert "nothing is served: the engine refuses to start" in said


def test_float16_is_taken_by_itself_where_a_card_has_no_bfloat16(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, "Qwen/Qwen2.5-7B", "--gpu", "V100-32", "--engine", "vllm@0.21", code=Exit.CLEAN)

    assert "cannot run" not in said


def test_a_price_needs_a_duty_cycle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    priced = ("--prices", str(tmp_path / "prices.yaml"))

    without = _said(capsys, LLAMA, *ON_L4, *priced)
    found = json.loads(_said(capsys, LLAMA, *ON_L4, *priced, "--duty", "0.5", "--format", "json"))

    assert "$1.00 a GPU hour (ours, 2026-01-02)" in without
    assert "million" not in without
    low, high = found["cost"]["usdPerMillionOutputTokens"]
    assert low == pytest.approx(1e6 / (3600 * found["throughput"]["output_high"] * 0.5), rel=1e-3)
    assert high == pytest.approx(1e6 / (3600 * found["throughput"]["output_low"] * 0.5), rel=1e-3)


def test_throughput_does_not_depend_on_a_length_that_is_only_declared(capsys: pytest.CaptureFixture[str]) -> None:
    """The pool shrinks with nothing but what is asked for: 1,500 tokens a request, whatever might be allowed."""

    def rooflines(*lengths: str) -> list[float]:
        words = (LLAMA, "--gpu", "H100", "--engine", "vllm@0.8.5", "--max-num-seqs", "64", "--format", "json")
        pages = [json.loads(_said(capsys, *words, "--max-model-len", length)) for length in lengths]
        return [page["throughput"]["roofline"] for page in pages]

    short, long = rooflines("2048", "65536")
    assert long == pytest.approx(short, rel=0.02)


def test_several_cards_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, "--compare", "T4,L4,H100", "--max-model-len", "8192", "--duty", "0.3")
    lines = said.splitlines()

    assert [line.split("  ")[0] for line in lines] == ["GPU", "1 x T4", "1 x L4", "1 x H100-SXM"]
    assert "does-not-fit" in lines[1]
    assert "fits" in lines[3]


def test_the_card_itself_is_compared_too(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, "--gpu", "L4", "--compare", "L4,H100", "--max-model-len", "8192")
    assert [line.split("  ")[0] for line in said.splitlines()] == ["GPU", "1 x L4", "1 x H100-SXM"]


def test_a_search_among_named_cards_and_of_so_many_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("Qwen/Qwen2.5-32B-Instruct", "--search", "--max-model-len", "8192")

    some = _said(capsys, *words, "--gpu", "L4", "--compare", "L4,H100").splitlines()
    assert sorted(line.split("  ")[0] for line in some[1:3]) == ["1 x H100-SXM", "4 x L4"]
    one = json.loads(_said(capsys, *words, "--count", "1", "--format", "json"))
    assert {page["gpus"] for page in one} == {1}


def test_stages_and_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    def weights(*words: str) -> float:
        found = json.loads(_said(capsys, LLAMA, *ON_L4, *words, "--format", "json"))
        assert found["gpus"] == 4
        return next(item["bytes"] for item in found["items"] if item["name"] == "weights") / GIB

    assert weights("--count", "4") == pytest.approx(14.96 / 4, rel=0.02)
    assert weights("--count", "4", "--pp", "2") < 14.96 / 3
    assert "stages" in _said(capsys, LLAMA, *ON_L4, "--count", "3", "--pp", "2", code=Exit.MISUSE)


def test_mixtures_and_other_vendors_have_no_throughput(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, "mistralai/Mixtral-8x7B-Instruct-v0.1", "--gpu", "H200", "--count", "2")

    assert "throughput      unknown: " in said
    assert "benchmark it" in said


def test_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    words = (LLAMA, "--gpu", "A100-80", "--train", "lora", "--seq-len", "2048", "--micro-batch", "1", "--lora-r", "16")
    said = _said(capsys, *words)
    found = json.loads(_said(capsys, *words, "--format", "json"))

    assert "fits: " in said
    assert "+-25%" in said
    assert "most of it weights" in said
    assert found["peakBytes"] == sum(item["bytes"] for item in found["items"])
    assert found["adapterParameters"] == 41_943_040


def test_a_training_that_cannot_fit_is_said_and_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, "--gpu", "T4", "--train", "full", "--seq-len", "2048", "--micro-batch", "1")

    assert "does-not-fit" in said


def test_a_training_names_what_it_took_for_granted(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, LLAMA, "--gpu", "L4", "--train", "qlora")

    assert "unknown: " in said
    assert "not given: seq_len" in said
    assert "not given: micro_batch" in said


def test_a_config_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
              "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000, "torch_dtype": "bfloat16",
              "max_position_embeddings": 2048, "tie_word_embeddings": False}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))

    for given in (tmp_path, tmp_path / "config.json"):
        assert "  fits: " in _said(capsys, str(given), "--gpu", "T4", "--dtype", "float16")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((LLAMA,), ["no GPU is named", "--gpu L4"]),
        ((LLAMA, "--gpu", "L44"), ["`L44`", "`L4"]),
        ((LLAMA, "--gpu", "A100"), ["A100-40", "A100-80"]),
        (("meta-llama/Llama-3.1-8B-Instrukt", "--gpu", "L4"), ["did you mean", "Instruct`"]),
        (("./none/config.json", "--gpu", "L4"), ["there is no file"]),
        ((LLAMA, "--gpu", "L4", "--engine", "ollama"), ["`ollama`"]),
        ((LLAMA, "--gpu", "L4", "--gpu-memory-utilization", "90"), ["gpu_mem_util", "90"]),
        ((LLAMA, "--gpu", "L4", "--duty", "0"), ["--duty"]),
        ((LLAMA, "--gpu", "L4", "--count", "0"), ["--count"]),
        ((LLAMA, "--gpu", "L4", "--train", "magic"), ["`magic`"]),
        ((LLAMA, "--gpu", "H100", "--count", "2", "--tp", "4"), ["--tp 4 x --pp 1 are 4 GPUs, --count says 2"]),
        ((LLAMA, "--train", "lora", "--compare", "L4,H100"), ["--compare speaks only for a service"]),
        ((LLAMA, "--gpu", "L4", "--train", "lora", "--engine", "vllm", "--duty", "1"), ["--engine, --duty speaks"]),
        ((LLAMA, "--search", "--count", "2", "--pp", "2"), ["--pp cannot be given with --search"]),
        ((LLAMA, "--search", "--gpu", "L44"), ["`L44`", "`L4"]),
        ((LLAMA, "--gpu", "H100", "--seq-len", "4096"), ["--seq-len speaks only for a training"]),
        ((LLAMA, "--gpu", "L4", "--quantization", "foo"), ["--quantization `foo`", "known are fp8, awq"]),
        ((LLAMA, "--search", "--quantization", "foo"), ["--quantization `foo`"]),
        ((LLAMA, "--gpu", "L4", "--train", "lora", "--quantization", "foo"), ["--quantization `foo`", "nf4"]),
        ((LLAMA, "--gpu", "L4", "--train", "lora", "--dtype", "bf17"), ["--dtype `bf17`", "`bf16`"]),
        ((LLAMA, "--compare", "L4", "--dtype", "bf17"), ["--dtype `bf17`", "did you mean `bf16`", "float16"]),
        ((LLAMA, "--gpu", "L4", "--kv-cache-dtype", "fp9"), ["--kv-cache-dtype `fp9`", "fp8_e4m3"]),
        ((LLAMA, "--gpu", "L4", "--engine", "vllm@"), ["`vllm@` names no version"]),
        (("--gpu", "L4"), ["MODEL"]),
    ],
    ids=lambda value: " ".join(value)[-30:] if isinstance(value, tuple) else "",
)
def test_a_command_line_that_cannot_be_meant(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: list[str]
) -> None:
    text = _said(capsys, *words, code=Exit.MISUSE)

    assert "Traceback" not in text
    assert "bug" not in text
    assert text.count("rror: ") == 1, text
    for word in said:
        assert word in text, (word, text)


@pytest.mark.parametrize(
    "words", [("--tp", "4"), ("--count", "4", "--tp", "4"), ("--count", "4", "--tp", "2", "--pp", "2")]
)
def test_ranks_that_make_the_count_are_no_contradiction(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert json.loads(_said(capsys, LLAMA, *ON_L4, *words, "--format", "json"))["gpus"] == 4


@pytest.mark.parametrize("name", QUANTIZATIONS)
def test_formats_that_are_offered_are_known(name: str) -> None:
    assert named_format(name) is not None


def test_a_price_list_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("prices: [{gpu: L4}]")

    said = _said(capsys, LLAMA, *ON_L4, "--prices", str(tmp_path / "prices.yaml"), code=Exit.FINDINGS)

    assert "prices.yaml" in said
    assert "cloud" in said


def test_an_answer_tells_parameters_and_how_the_memory_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_said(capsys, LLAMA, *ON_L4, "--format", "json"))
    assert sum(found["parameters"].values()) == 8_030_261_248
    assert found["gpuBytesKnownAs"] == "measured"
    assert "the card's memory measured" in _said(capsys, LLAMA, *ON_L4)
    assert "the card's memory by its datasheet" in _said(capsys, LLAMA, "--gpu", "A30", "--max-model-len", "4096")
