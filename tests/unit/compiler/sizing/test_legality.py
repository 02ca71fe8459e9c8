"""What cannot run whatever the memory: each rule says so with its arithmetic, and is silent otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.sizing.architecture import Architecture
from compiler.sizing.gpus import find_gpu
from compiler.sizing.layers import Quantization
from compiler.sizing.legality import RULES, broken_rules, refuses
from compiler.sizing.models import all_models, find_model
from compiler.sizing.serving import ServingRequest

NAMES = [str(record.name) for record in all_models()]


def model(name: str) -> Architecture:
    found = find_model(name)
    assert found is not None, name
    return found.architecture


def request(name: str = "llama-3.1-8b", card: str = "H100 SXM", **changes: object) -> ServingRequest:
    gpu = find_gpu(card)
    assert gpu is not None, card
    return replace(ServingRequest(architecture=model(name), gpu=gpu), **changes)  # type: ignore[arg-type]


def reasons(asked: ServingRequest) -> dict[str, str]:
    return {one.rule: one.text for one in broken_rules(asked)}


def test_a_sound_request_breaks_no_rule() -> None:
    for ranks in (1, 2, 4, 8):
        assert reasons(request(tensor_parallel=ranks, max_model_len=131072)) == {}


def test_heads_must_divide() -> None:
    found = reasons(request(tensor_parallel=3))
    assert found["heads-divisible"] == "32 attention heads by tensor parallel 3 leave 2"
    assert found["key-value-heads-divisible"] == "8 key-value heads and tensor parallel 3 divide neither way"
    assert "heads-divisible" not in reasons(request(tensor_parallel=3, data_parallel_attention=True))


def test_key_value_heads_may_be_copied() -> None:
    assert "key-value-heads-divisible" not in reasons(request("qwen2.5-7b", tensor_parallel=8))
    twelve = replace(model("llama-3.1-8b"), heads=48, key_value_heads=12)
    assert "key-value-heads-divisible" in reasons(request(architecture=twelve, tensor_parallel=8))


def test_latent_attention_has_no_key_value_heads_to_divide() -> None:
    assert reasons(request("deepseek-ai/DeepSeek-V3", tensor_parallel=8)) == {}


def test_a_shard_must_be_a_multiple_of_the_block() -> None:
    """Qwen3-30B-A3B in FP8: experts of 768 on four ranks are 192 wide, and the block is 128."""
    blocks = Quantization(method="fp8", block=(128, 128))
    experts = replace(model("qwen3-30b-a3b"), quantization=blocks)
    found = [one.text for one in broken_rules(request(architecture=experts, tensor_parallel=4))]
    assert any("768/4 = 192 outputs is no multiple of 128" in text for text in found)
    assert any("768/4 = 192 inputs is no multiple of 128" in text for text in found)
    assert reasons(request(architecture=experts, tensor_parallel=2)) == {}
    assert reasons(request(architecture=experts, tensor_parallel=4, expert_parallel=True)) == {}
    kept = replace(experts, quantization=replace(blocks, kept=("mlp.experts",)))
    assert reasons(request(architecture=kept, tensor_parallel=4)) == {}


def test_a_shard_must_be_a_multiple_of_the_group() -> None:
    """Qwen2.5-7B in AWQ: 18944 inputs on eight ranks are 2368, 18.5 groups of 128."""
    found = reasons(request("qwen2.5-7b", quantization="awq", tensor_parallel=4))
    assert "18944/4 = 4736 inputs" not in found.get("shard-divisible-by-block", "")
    odd = reasons(request("qwen2.5-14b", quantization="awq", tensor_parallel=8))
    assert "13824/8 = 1728 inputs is no multiple of 128" in odd["shard-divisible-by-block"]


def test_experts_must_divide_where_whole_ones_are_spread() -> None:
    sixty = request("qwen1.5-moe-a2.7b", tensor_parallel=8, expert_parallel=True)
    assert reasons(sixty)["experts-divisible"] == "60 experts by tensor parallel 8 leave 4"
    assert "experts-divisible" not in reasons(replace(sixty, expert_parallel=False))


def test_widths_and_words_must_divide() -> None:
    found = reasons(request("qwen2.5-7b", tensor_parallel=7))
    assert found["intermediate-divisible"] == "an MLP of 18944 by tensor parallel 7 leave 2"
    assert found["vocabulary-divisible"] == "152064 words padded to 152064 by tensor parallel 7 leave 3"


def test_every_stage_has_a_layer() -> None:
    assert reasons(request(pipeline_parallel=33))["enough-layers"] == "33 pipeline stages for 32 layers"
    assert "enough-layers" not in reasons(request(pipeline_parallel=32))


def test_a_t4_has_no_bfloat16() -> None:
    assert "no bfloat16" in reasons(request(card="T4", engine_version="0.8.5"))["dtype-supported"]
    assert "dtype-supported" not in reasons(request(card="T4", dtype="float16"))
    assert "dtype-supported" not in reasons(request(card="L4"))


def test_fp8_below_8_9_is_slower_than_it_says_and_on_a_v100_impossible() -> None:
    ampere = broken_rules(request(card="A100-80", quantization="fp8"))
    assert [(one.rule, one.fatal) for one in ampere] == [("format-supported", False)]
    assert broken_rules(request(quantization="fp8")) == ()
    volta = broken_rules(request(card="V100-32", quantization="fp8", dtype="float16"))
    assert [(one.rule, one.fatal) for one in volta] == [("format-supported", True)]


def test_a_length_needs_positions() -> None:
    found = reasons(request(max_model_len=131073))
    assert found["length-within-positions"] == "131073 tokens are declared, the model has 131072"
    stretched = replace(model("llama-3.1-8b"), max_positions=32768, rope_factor=4.0)
    longer = broken_rules(request(architecture=stretched, max_model_len=131072))
    assert [(one.rule, one.fatal) for one in longer] == [("length-within-positions", False)]
    assert broken_rules(request(architecture=stretched, max_model_len=131073))[0].fatal


@settings(deadline=None)
@given(
    name=st.sampled_from(NAMES),
    tensor=st.integers(1, 16),
    stages=st.integers(1, 8),
    quantization=st.sampled_from([None, "awq", "fp8", "nvfp4", "zip"]),
    experts=st.booleans(),
)
def test_rules_never_fail_and_one_gpu_divides_everything(
    name: str, tensor: int, stages: int, quantization: str | None, experts: bool
) -> None:
    asked = request(
        name, tensor_parallel=tensor, pipeline_parallel=stages, quantization=quantization, expert_parallel=experts
    )
    assert all(one.text for rule in RULES for one in rule(asked))
    alone = replace(asked, tensor_parallel=1, pipeline_parallel=1)
    assert [one.rule for one in broken_rules(alone) if one.fatal] == []


@pytest.mark.parametrize(
    ("engine", "version", "dtype", "refused"),
    [
        ("vllm", "0.8.5", None, True),
        ("vllm", "0.9.0", None, False),
        ("vllm", "0.21", "auto", False),
        ("vllm", "0.21", "bfloat16", True),
        ("sglang", "0.4.6", None, False),
        ("tgi", "3.3", None, False),
        ("tensorrt-llm", "1.0", None, True),
    ],
)
def test_engines_take_float16_by_themselves_where_a_card_has_no_bfloat16(
    engine: str, version: str, dtype: str | None, refused: bool
) -> None:
    asked = request("qwen2.5-7b", "V100-32", engine=engine, engine_version=version, dtype=dtype)
    assert ("dtype-supported" in reasons(asked)) is refused


def stored(method: str, *, bits: int, format_: str | None = None, group: int | None = None) -> Architecture:
    weights = Quantization(method=method, bits=bits, format=format_, group=group)
    return replace(model("llama-3.1-8b"), quantization=weights)


PACKED = stored("compressed-tensors", bits=4, format_="pack-quantized", group=128)
FLOATS = stored("compressed-tensors", bits=8, format_="float-quantized")
INTEGERS = stored("compressed-tensors", bits=8, format_="int-quantized")


@pytest.mark.parametrize(
    ("card", "engine", "version", "weights", "least"),
    [
        ("V100-32", "vllm", "0.21", "awq", "7.5"),
        ("T4", "vllm", "0.8.5", "awq", None),
        ("T4", "vllm", "0.10.2", "awq_marlin", "8.0"),
        ("T4", "vllm", "0.14", "awq_marlin", None),
        ("V100-32", "vllm", "0.8.5", "gptq", None),
        ("V100-32", "vllm", "0.8.5", "bitsandbytes", None),
        ("V100-32", "vllm", "0.8.5", "llm-int8", None),
        ("V100-32", "vllm", "0.8.5", "w8a8", "7.5"),
        ("A100-80", "vllm", "0.5.0", "fp8", "8.9"),
        ("T4", "vllm", "0.8.5", "fp8", "8.0"),
        ("T4", "vllm", "0.10.2", "fp8", "8.0"),
        ("T4", "vllm", "0.14.0", "fp8", None),
        ("T4", "sglang", "0.5.3", "fp8", "8.0"),
        ("A100-80", "tensorrt-llm", "1.0", "fp8", "8.9"),
        ("T4", "vllm", "0.8.5", PACKED, "8.0"),
        ("T4", "vllm", "0.12", PACKED, None),
        ("V100-32", "vllm", "0.21", PACKED, "7.5"),
        ("T4", "vllm", "0.14", FLOATS, "8.0"),
        ("T4", "vllm", "0.16", FLOATS, None),
        ("T4", "vllm", "0.8.5", INTEGERS, None),
        ("V100-32", "vllm", "0.21", INTEGERS, "7.5"),
    ],
)
def test_the_least_capability_of_a_format_is_the_engine_versions(
    card: str, engine: str, version: str, weights: str | Architecture, least: str | None
) -> None:
    asked = request(card=card, engine=engine, engine_version=version, dtype="float16")
    asked = replace(asked, quantization=weights) if isinstance(weights, str) else replace(asked, architecture=weights)
    found = [one.text for one in broken_rules(asked) if one.fatal]
    assert bool(found) is (least is not None)
    assert all(f"needs compute capability {least} in {engine} {version}" in text for text in found)


def test_formats_and_caches_that_an_engine_does_not_read() -> None:
    gguf = request(engine="tgi", quantization="q4_k_m")
    assert reasons(gguf)["format-supported"] == "tgi reads no GGUF on CUDA"
    assert reasons(replace(gguf, engine="vllm")) == {}
    for engine, taken in (("vllm", "fp8_e4m3"), ("sglang", "fp8_e5m2"), ("tgi", "fp8_e4m3fn")):
        found = reasons(request(engine=engine, kv_cache_dtype="int8"))
        assert taken in found["cache-type-supported"]
    assert reasons(request(engine="tensorrt-llm", kv_cache_dtype="int8")) == {}
    assert reasons(request(kv_cache_dtype="fp8")) == {}


def test_a_format_of_experts_leaves_a_model_without_them_in_16_bits() -> None:
    dense = broken_rules(request(quantization="mxfp4"))
    assert [(one.rule, one.fatal) for one in dense] == [("format-supported", False)]
    assert "stay in 16 bits" in dense[0].text
    assert broken_rules(request("gpt-oss-20b")) == ()


def test_a_rule_ends_the_start_up_of_the_engines_that_are_known_to_enforce_it() -> None:
    """vLLM and SGLang refuse a length above the model's own; some engines pad an odd width."""
    long = request("opt-6.7b", max_model_len=32768)
    for engine, ended in (("vllm", True), ("sglang", True), ("tgi", False)):
        asked = replace(long, engine=engine)
        assert [refuses(rule, asked) for rule in broken_rules(asked)] == [ended]
    assert all(
        refuses(rule, asked)
        for asked in (request(card="V100-32", quantization="fp8", dtype="float16"),)
        for rule in broken_rules(asked)
    )
    odd = request("qwen2.5-14b", quantization="awq", tensor_parallel=8)
    assert [refuses(rule, odd) for rule in broken_rules(odd)] == [False]
    slower = request(card="A100-80", quantization="fp8")
    assert [refuses(rule, slower) for rule in broken_rules(slower)] == [False]
