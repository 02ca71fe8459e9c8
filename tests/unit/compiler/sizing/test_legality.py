"""What cannot run whatever the memory: each rule says so with its arithmetic, and is silent otherwise."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.sizing.architecture import Architecture
from compiler.sizing.gpus import find_gpu
from compiler.sizing.layers import Quantization
from compiler.sizing.legality import RULES, broken_rules
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
    assert "no bfloat16" in reasons(request(card="T4"))["dtype-supported"]
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
