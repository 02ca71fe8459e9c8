"""Engines by version: what is known, what is nearest, and what changed when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.sizing.engines import (
    ENGINE_NAMES,
    GIB,
    architecture_support,
    engine_name,
    find_engine,
    metric_version,
    parsers,
    version_number,
)


@pytest.mark.parametrize(
    ("version", "known", "number"),
    [
        ("0.8", True, (0, 8)),
        ("v0.8.5", True, (0, 8, 5)),
        ("0.8.5.post1", True, (0, 8, 5)),
        ("0.33.4", True, (0, 33, 4)),
        ("0.34", False, (0, 34)),
        ("1.0", False, (1, 0)),
        ("0.2.6", False, (0, 2, 6)),
    ],
)
def test_a_version_is_read_and_judged(version: str, *, known: bool, number: tuple[int, ...]) -> None:
    facts = find_engine("vllm", version)
    assert (facts.known, facts.number, facts.version) == (known, number, version)


@pytest.mark.parametrize("version", ["nightly", "main", "latest"])
def test_a_version_that_is_no_number_is_the_newest_and_unknown(version: str) -> None:
    facts = find_engine("vllm", version)
    assert not facts.known
    assert facts.number == find_engine("vllm").number


def test_no_version_is_the_newest_and_known() -> None:
    for name in ENGINE_NAMES:
        assert find_engine(name).known
        assert find_engine(name, "").known


@given(st.sampled_from(ENGINE_NAMES), st.text(max_size=20))
def test_every_text_gives_facts(name, text: str) -> None:
    facts = find_engine(name, text)
    assert facts.source
    assert facts.engine == name


@pytest.mark.parametrize(
    ("version", "gpu", "gib", "expected"),
    [
        ("0.7.3", "H100-SXM", 79, (256, None)),
        ("0.8.1", "L4", 22, (1024, 2048)),
        ("0.8.3", "A100-80", 79, (256, 2048)),
        ("0.8.5", "A100-80", 79, (1024, 8192)),
        ("0.10.1", "A100-80", 79, (256, 2048)),
        ("0.10.1", "H100-SXM", 79, (1024, 8192)),
        ("0.27", "B200", 178, (1024, 8192)),
        ("0.28", "B200", 178, (1024, 16384)),
        ("0.33", "RTX 4090", 23, (256, 2048)),
    ],
)
def test_defaults_follow_the_version_and_the_card(version: str, gpu: str, gib: int, expected: tuple[int, int]) -> None:
    found = find_engine("vllm", version).scheduler_defaults(usage="server", gpu_name=gpu, memory_bytes=gib * GIB)
    assert found is not None
    assert (found.max_num_seqs, found.max_num_batched_tokens) == expected


def test_offline_takes_larger_batches() -> None:
    facts = find_engine("vllm", "0.19")
    found = facts.scheduler_defaults(usage="offline", gpu_name="L4", memory_bytes=22 * GIB)
    assert found is not None
    assert found.max_num_batched_tokens == 8192


def test_what_changed_when() -> None:
    def facts(version: str) -> tuple[str, str, bool, float | None]:
        found = find_engine("vllm", version)
        return found.core, found.sampler, found.graphs_in_budget, found.gpu_memory_fraction

    assert facts("0.7.3") == ("v0", "pytorch", False, 0.9)
    assert facts("0.16.0") == ("v1", "pytorch", False, 0.9)
    assert facts("0.17.0") == ("v1", "flashinfer", False, 0.9)
    assert facts("0.21.0") == ("v1", "flashinfer", True, 0.92)


def test_the_metric_of_the_cache_was_renamed() -> None:
    old, new = "vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"
    assert old in find_engine("vllm", "0.9.2").metrics.values()
    assert {old, new} <= set(find_engine("vllm", "0.10.2").metrics.values())
    assert old not in find_engine("vllm", "0.12").metrics.values()
    assert metric_version("vllm", old) == ("0.5", "0.12")
    assert metric_version("vllm", new) == ("0.10", None)
    assert metric_version("vllm", "vllm:no_such_metric") is None


def test_a_class_is_served_from_its_version_on() -> None:
    assert architecture_support(find_engine("vllm", "0.8.3"), "Qwen3ForCausalLM") == ("unsupported", "0.8.4")
    assert architecture_support(find_engine("vllm", "0.8.4"), "Qwen3ForCausalLM") == ("supported", "0.8.4")
    assert architecture_support(find_engine("vllm", "0.8.4"), "FutureForCausalLM") == ("unknown", None)
    assert architecture_support(find_engine("vllm", "0.1"), "Qwen3ForCausalLM") == ("unknown", "0.8.4")


def test_parsers_come_with_their_version() -> None:
    before, after = find_engine("vllm", "0.8.0"), find_engine("vllm", "0.10.1")
    assert "glm45" not in {one.name for one in parsers(before, "tool")}
    assert "glm45" in {one.name for one in parsers(after, "tool")}
    assert {one.kind for one in parsers(after, "reasoning")} == {"reasoning"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vLLM", "vllm"),
        ("TRT-LLM", "tensorrt-llm"),
        ("TensorRT-LLM", "tensorrt-llm"),
        ("text-generation-inference", "tgi"),
        ("SGLang", "sglang"),
        ("Triton", "triton"),
        ("triton+vllm", "vllm"),
        ("Triton-vLLM", "vllm"),
        ("triton inference server / TensorRT-LLM", "tensorrt-llm"),
        ("tritonserver+trtllm", "tensorrt-llm"),
        ("triton+sglang", None),
        ("llama.cpp", None),
    ],
)
def test_engines_go_by_several_names(text: str, expected: str | None) -> None:
    assert engine_name(text) == expected


def test_records_are_in_order_and_say_their_source() -> None:
    from compiler.sizing.catalogue_files import read_catalogue

    root = read_catalogue("engines.yaml")
    for name in ENGINE_NAMES:
        numbers = [version_number(one.text("since")) for one in root.record(name).records("versions")]
        assert numbers == sorted(set(numbers))
        assert all(len(one.text("source")) > 10 for one in root.record(name).records("versions"))
        assert version_number(root.record(name).text("newest")) >= numbers[-1]
