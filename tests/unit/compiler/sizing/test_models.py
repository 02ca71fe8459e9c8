"""The catalogue of models: every record reads whole, and its parameters are those that its source publishes."""

import json
import re
from collections import Counter

import pytest

from compiler.sizing.catalogue_files import catalogue_text
from compiler.sizing.models import FAMILY_FILES, ModelRecord, all_models, find_model, split_quantization

RECORDS = all_models()
PUBLISHED = [record for record in RECORDS if record.published_parameters]


def published(text: str) -> tuple[float, float]:
    """The figure and half a unit of its last digit: `8.03B` is (8.03e9, 5e6); all digits leave no room."""
    match = re.fullmatch(r"(\d+(?:\.(\d+))?)([MB]?)", text)
    assert match is not None, text
    scale = {"": 1.0, "M": 1e6, "B": 1e9}[match[3]]
    return float(match[1]) * scale, 0.5 * 10 ** -len(match[2] or "") * scale if match[3] else 0.0


@pytest.mark.parametrize("record", PUBLISHED, ids=lambda record: str(record.name))
def test_counted_parameters_are_the_published_ones(record: ModelRecord) -> None:
    total, half = published(record.published_parameters or "")
    assert abs(record.architecture.parameters - total) <= half


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.name))
def test_no_record_lacks_a_fact(record: ModelRecord) -> None:
    assert record.architecture.missing == ()
    assert record.architecture.layer_count > 0
    assert record.source
    assert record.licence
    assert record.repositories


def test_there_are_enough_and_most_publish_their_size() -> None:
    assert len(RECORDS) >= 300
    assert len(PUBLISHED) / len(RECORDS) > 0.9


def test_names_and_repositories_are_distinct() -> None:
    keys = Counter(key for record in RECORDS for key in {record.name, *(one.casefold() for one in record.repositories)})
    assert [key for key, count in keys.items() if count > 1] == []


def test_last_parts_of_repositories_lead_to_one_record() -> None:
    parts = Counter(
        part for record in RECORDS for part in {one.casefold().rpartition("/")[2] for one in record.repositories}
    )
    assert [part for part, count in parts.items() if count > 1] == []
    exact, stripped = find_model("somebody/glm-4-9b-chat"), find_model("somebody/Llama-2-7b")
    assert exact is not None
    assert stripped is not None
    assert (exact.record.name, stripped.record.name) == ("glm-4-9b-chat", "llama-2-7b")


def test_files_are_one_json_object_a_line() -> None:
    for file in FAMILY_FILES:
        for line in catalogue_text(f"models/{file}").splitlines():
            assert json.dumps(json.loads(line), separators=(", ", ": ")) == line


@pytest.mark.parametrize(
    ("name", "record", "quantization", "exact"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", None, True),
        ("META-LLAMA/llama-3.1-8b-instruct", "llama-3.1-8b", None, True),
        ("llama-3.1-8b", "llama-3.1-8b", None, True),
        ("Llama-3.1-8B-Instruct", "llama-3.1-8b", None, False),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", "qwen3-8b", "nf4", False),
        ("Qwen/Qwen2.5-32B-Instruct-GPTQ-Int8", "qwen2.5-32b-instruct", "gptq-int8", False),
        ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "llama-3.1-70b", "w8a8", False),
        ("neuralmagic/Meta-Llama-3.1-405B-Instruct-FP8", "llama-3.1-405b", "fp8", False),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b", "fp8", False),
        ("TheBloke/Mistral-7B-Instruct-v0.2-AWQ", "mistral-7b-v0.2", "awq", False),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "llama-3.1-8b", "awq", False),
        ("TheBloke/Llama-2-13B-chat-GPTQ", "llama-2-13b", "gptq", False),
        ("bartowski/Llama-3.2-3B-Instruct-GGUF", "llama-3.2-3b", "gguf", False),
        ("nvidia/DeepSeek-R1-FP4", "deepseek-v3", "nvfp4", False),
        ("somebody/Llama-3.1-8B", "llama-3.1-8b", None, False),
        ("/models/Qwen2.5-7B-Instruct/", "qwen2.5-7b-instruct", None, False),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "qwen2.5-72b-instruct-padded", "awq", True),
    ],
)
def test_repositories_lead_to_their_model(name: str, record: str, quantization: str | None, *, exact: bool) -> None:
    found = find_model(name)
    assert found is not None
    assert (found.record.name, found.quantization, found.exact) == (record, quantization, exact)


@pytest.mark.parametrize(
    "name", ["", "somebody/phi-2", "somebody/Llama-3.1-8B-my-finetune", "gpt-5", "meta-llama/Llama-9-8B", "-AWQ", "/"]
)
def test_what_is_not_on_record_is_not_guessed(name: str) -> None:
    assert find_model(name) is None


def test_what_a_name_says_beyond_the_model_is_told_apart() -> None:
    assert split_quantization("Qwen/Qwen3-8B") == ("qwen/qwen3-8b", None)
    assert split_quantization("x/Model-Q4_K_M") == ("x/model", "q4_k_m")
    assert split_quantization("x/Model-W4A16-G128") == ("x/model", "w4a16")
    assert split_quantization("x/Model-BF16") == ("x/model", "bf16")


def test_every_told_quantization_is_a_known_format() -> None:
    from compiler.sizing.formats import named_format

    names = ("nf4", "bitsandbytes-8bit", "awq", "gptq-int8", "gptq", "w8a8", "w4a16", "nvfp4", "mxfp4", "fp8", "bf16")
    assert [name for name in (*names, "fp16", "q4_k_m", "gguf") if named_format(name) is None] == []
