"""Budgets of engines: the sums, what more GPUs and longer contexts do, verdicts, and what is missing."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.budget import GIB, ServingBudget, margin_of, verdict_of
from compiler.sizing.gpus import Gpu, find_gpu
from compiler.sizing.layers import Quantization
from compiler.sizing.models import find_model
from compiler.sizing.serving import LoraSlots, ServingRequest, size_serving

ENGINES = ("vllm", "sglang", "tgi", "tensorrt-llm")


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert found is not None, name
    return found


def model(name: str) -> Architecture:
    found = find_model(name)
    assert found is not None, name
    return found.architecture


LLAMA = model("llama-3.1-8b")
H100 = gpu("H100 SXM")


def size(architecture: Architecture = LLAMA, card: Gpu = H100, **changes: object) -> ServingBudget:
    return size_serving(replace(ServingRequest(architecture=architecture, gpu=card), **changes))  # type: ignore[arg-type]


def item(budget: ServingBudget, name: str) -> float:
    return next(one.bytes for one in budget.items if one.name == name) / GIB


def test_llama_on_an_h100_item_by_item() -> None:
    """Llama-3.1-8B at 0.95 of an H100 in 0.19: the log prints 14.99, 1.89, 0.25 and a pool of 58.11 GiB."""
    budget = size(
        engine_version="0.19.0", gpu_memory_bytes=int(79.19 * GIB), gpu_memory_utilisation=0.95, max_model_len=8192
    )
    assert item(budget, "weights") + item(budget, "derived tables") == pytest.approx(14.99, abs=0.005)
    assert item(budget, "activation peak") == pytest.approx(1.89, abs=0.02)
    assert budget.pool_bytes / GIB == pytest.approx(58.11, abs=0.02)
    assert budget.kv_tokens == pytest.approx(476_016, rel=0.001)
    assert budget.verdict == "fits"


@pytest.mark.parametrize("engine", ENGINES)
def test_items_and_pool_sum_to_the_budget(engine: str) -> None:
    budget = size(engine=engine, max_model_len=8192)
    assert budget.budget_bytes - sum(one.bytes for one in budget.items) == budget.pool_bytes
    assert budget.headroom_bytes == budget.pool_bytes - budget.needed_bytes
    assert budget.weights_bytes == budget.items[0].bytes


@settings(deadline=None)
@given(
    engine=st.sampled_from(ENGINES),
    card=st.sampled_from(["L4", "A10G", "A100-80", "H100 SXM", "H200"]),
    tensor=st.sampled_from([1, 2, 4, 8]),
    length=st.integers(16, 131072),
    longer=st.integers(0, 65536),
)
def test_longer_contexts_never_make_a_verdict_better(
    engine: str, card: str, tensor: int, length: int, longer: int
) -> None:
    order = {"fits": 2, "marginal": 1, "does-not-fit": 0}
    short, long = (
        size(card=gpu(card), engine=engine, tensor_parallel=tensor, max_model_len=tokens)
        for tokens in (length, length + longer)
    )
    assert order[long.verdict] <= order[short.verdict]
    assert long.needed_bytes >= short.needed_bytes
    assert long.concurrency <= short.concurrency


@settings(deadline=None)
@given(engine=st.sampled_from(ENGINES), name=st.sampled_from(["llama-3.1-70b", "qwen3-30b-a3b", "gemma-3-27b"]))
def test_more_ranks_never_carry_more_weights(engine: str, name: str) -> None:
    weights = [
        size(model(name), engine=engine, tensor_parallel=tensor, max_model_len=8192).weights_bytes
        for tensor in (1, 2, 4, 8)
    ]
    assert weights == sorted(weights, reverse=True)


def test_pipeline_stages_carry_their_own_layers() -> None:
    whole, halves = (size(max_model_len=8192, pipeline_parallel=stages) for stages in (1, 2))
    assert halves.weights_bytes == pytest.approx(whole.weights_bytes / 2, rel=0.01)
    assert halves.kv_tokens > 2 * whole.kv_tokens


def test_an_fp8_cache_holds_twice_the_tokens() -> None:
    plain, small = (size(max_model_len=8192, kv_cache_dtype=name) for name in ("auto", "fp8"))
    assert small.kv_tokens == pytest.approx(2 * plain.kv_tokens, abs=16)


def test_fewer_sequences_leave_more_for_the_pool() -> None:
    many, few = (size(max_model_len=8192, max_num_seqs=count, engine_version="0.15") for count in (1024, 64))
    assert few.pool_bytes - many.pool_bytes > 3.9 * GIB


def test_versions_differ_by_their_defaults() -> None:
    before, after = (size(max_model_len=8192, engine_version=version) for version in ("0.19.0", "0.21.0"))
    assert before.setting("gpu_memory_utilisation") == 0.9
    assert after.setting("gpu_memory_utilisation") == 0.92
    assert "CUDA graphs" not in {one.name for one in before.items}
    assert "CUDA graphs" in {one.name for one in after.items}
    eager = size(max_model_len=8192, engine_version="0.21.0", enforce_eager=True)
    assert "CUDA graphs" not in {one.name for one in eager.items}


def test_an_unknown_version_lowers_the_verdict() -> None:
    assert size(max_model_len=8192, engine_version="0.21").verdict == "fits"
    budget = size(max_model_len=8192, engine_version="nightly")
    assert budget.verdict == "marginal"
    assert any("nightly" in reason for reason in budget.reasons)


def test_what_is_missing_gives_no_figures() -> None:
    budget = size(replace(LLAMA, missing=("hidden_size",)))
    assert (budget.verdict, budget.missing, budget.kv_tokens) == ("unknown", ("hidden_size",), -1)
    budget = size(replace(LLAMA, max_positions=None))
    assert (budget.verdict, budget.missing) == ("unknown", ("max_model_len",))
    assert size(quantization="zip").missing == ("quantization",)
    assert size(kv_cache_dtype="int3").missing == ("kv_cache_dtype",)
    assert size(engine="abacus").missing == ("engine",)


def test_an_assumed_family_never_fits() -> None:
    config = {"model_type": "brand-new", "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8}
    new = read_architecture(
        {**config, "intermediate_size": 4096, "vocab_size": 32000, "max_position_embeddings": 4096}, name="new"
    )
    assert size(new).verdict == "marginal"


def test_a_byte_count_of_the_checkpoint_is_exact_on_one_gpu() -> None:
    known = replace(LLAMA, weight_bytes=LLAMA.parameters * 2 + 50_000_000)
    budget = size(known, max_model_len=8192)
    assert budget.weights_bytes == known.weight_bytes
    assert budget.items[0].provenance == "exact"
    foreign = size(replace(LLAMA, weight_bytes=LLAMA.parameters * 4), max_model_len=8192)
    assert foreign.items[0].provenance == "derived"
    assert foreign.weights_bytes == pytest.approx(LLAMA.parameters * 2, rel=0.001)


def test_a_quantization_keeps_embeddings_in_16_bits() -> None:
    budget = size(max_model_len=8192, quantization="awq")
    tables = 2 * 128256 * 4096 * 2
    linear = LLAMA.parameters - 2 * 128256 * 4096 - 65 * 4096
    assert budget.weights_bytes == pytest.approx(tables + 65 * 4096 * 2 + linear * 0.51953, rel=1e-4)


def test_another_width_of_weights_replaces_the_checkpoints_own() -> None:
    stored = replace(model("qwen3-8b"), quantization=Quantization(method="fp8", block=(128, 128), kept=("o_proj",)))
    own, same, narrower, whole = (
        size(stored, max_model_len=8192, quantization=name).weights_bytes for name in (None, "fp8", "nvfp4", "none")
    )
    assert own == same
    assert narrower < 0.75 * own < 0.75 * whole


def test_mxfp4_experts_are_padded() -> None:
    """gpt-oss-120b on an H100: the log prints 65.97 GiB and no room for a cache (vllm 23278)."""
    budget = size(
        model("openai/gpt-oss-120b"), engine_version="0.10.1.1", gpu_memory_bytes=int(79.11 * GIB), max_model_len=131072
    )
    assert budget.weights_bytes / GIB == pytest.approx(65.97, abs=0.15)
    assert budget.verdict == "does-not-fit"


def test_more_state_blocks_than_the_pool_has_stop_the_start() -> None:
    """Qwen3.5-9B on a card of 24 GB: 108 state blocks are fewer than 256 sequences (0.27)."""
    hybrid, card = model("Qwen/Qwen3.5-9B"), gpu("RTX 4090")
    many, few = (
        size(hybrid, card, engine_version="0.27.1", max_model_len=8192, max_num_seqs=count) for count in (256, 8)
    )
    assert many.verdict == "does-not-fit"
    assert any("state blocks" in reason for reason in many.reasons)
    assert few.verdict != "does-not-fit"


def test_adapters_and_drafts_take_their_share() -> None:
    plain = size(max_model_len=8192)
    slots = size(max_model_len=8192, lora=LoraSlots(max_loras=4, max_rank=64))
    narrow = size(max_model_len=8192, lora=LoraSlots(max_loras=4, max_rank=64, targets=("q_proj",)))
    draft = size(max_model_len=8192, draft=model("llama-3.2-1b"))
    assert item(slots, "LoRA slots") * GIB == 4 * 64 * 2 * 32 * (2 * 8192 + 2 * 5120 + 3 * 18432)
    assert item(narrow, "LoRA slots") < item(slots, "LoRA slots") / 4
    assert plain.pool_bytes - draft.pool_bytes == pytest.approx(model("llama-3.2-1b").parameters * 2, rel=0.01)


def test_a_share_that_leaves_no_room_for_the_context_does_not_start() -> None:
    budget = size(max_model_len=8192, gpu_memory_utilisation=0.9999)
    assert budget.verdict == "does-not-fit"
    assert any("CUDA context" in reason for reason in budget.reasons)


def test_profiling_pictures_may_take_more_than_the_weights() -> None:
    """Llama-3.2-11B-Vision with 128 sequences: the log prints a peak of 36.63 GiB (vllm 12126)."""
    settings = {"engine_version": "0.7.0", "gpu_memory_bytes": int(79.22 * GIB), "max_model_len": 65536}
    many, few = (size(model("meta-llama/Llama-3.2-11B-Vision"), max_num_seqs=count, **settings) for count in (128, 16))
    assert item(many, "activation peak") == pytest.approx(36.63, abs=0.1)
    assert item(few, "activation peak") < 5
    assert few.verdict == "marginal"


def test_encoders_need_no_cache() -> None:
    budget = size(model("BAAI/bge-m3"), gpu("L4"))
    assert (budget.verdict, budget.needed_bytes, budget.kv_tokens) == ("fits", 0, 0)


def test_tensorrt_llm_takes_a_share_of_what_is_left() -> None:
    """0.9 of 12.22 GiB left are 11.00 (gpu-sizing 1.7)."""
    budget = size(engine="tensorrt-llm", max_model_len=8192)
    free = budget.total_bytes - item(budget, "weights") * GIB - 5.0 * GIB
    assert budget.pool_bytes == pytest.approx(0.9 * free, rel=1e-6)
    assert budget.concurrency == int(budget.concurrency)


@pytest.mark.parametrize(("version", "tokens"), [("0.16", 64), ("0.17", 32), ("1.2", 32)])
def test_tensorrt_llm_counts_blocks_of_its_version(version: str, tokens: int) -> None:
    budget = size(engine="tensorrt-llm", engine_version=version, max_model_len=20)
    assert budget.kv_tokens % tokens == 0
    assert budget.concurrency == budget.kv_tokens // tokens
    assert budget.needed_bytes == tokens * 131072


@pytest.mark.parametrize(
    ("engine", "version", "card", "sequences", "tokens"),
    [
        ("tensorrt-llm", "0.11", "L4", 256, None),
        ("tensorrt-llm", "1.0", "L4", 2048, None),
        ("tgi", "3.0", "L4", 128, 4096),
        ("sglang", "0.5", "L4", 2048, 2048),
        ("sglang", "0.5", "L40S", 2048, 4096),
        ("sglang", "0.5", "H100 SXM", 2048, 8192),
        ("sglang", "0.5", "B200", 2048, 16384),
    ],
)
def test_a_setting_that_is_not_given_is_the_versions_default(
    engine: str, version: str, card: str, sequences: int, tokens: int | None
) -> None:
    budget = size(card=gpu(card), engine=engine, engine_version=version)
    assert budget.setting("max_num_seqs") == sequences
    assert budget.setting("max_num_batched_tokens") == tokens
    given_ = size(card=gpu(card), engine=engine, engine_version=version, max_num_seqs=7)
    assert {one.name: one.source for one in given_.settings}["max_num_seqs"] == "given"
    assert given_.setting("max_num_seqs") == 7


def test_states_are_held_for_as_many_requests_as_the_engine_admits() -> None:
    """TensorRT-LLM holds states for each request that it may run; SGLang admits no more than states have room."""
    hybrid = model("nemotron-h-8b")
    few, many = (size(hybrid, engine="tensorrt-llm", max_num_seqs=count) for count in (64, None))
    assert item(many, "states") == pytest.approx(item(few, "states") * 2048 / 64, rel=1e-6)
    sglang = size(hybrid, engine="sglang")
    assert item(sglang, "states") * GIB == pytest.approx(0.9 * sglang.pool_bytes, rel=0.01)
    assert sglang.setting("max_num_seqs") == item(sglang, "states") // (item(few, "states") / 64)
    assert size(hybrid, engine="sglang", max_num_seqs=64).pool_bytes > sglang.pool_bytes


@pytest.mark.parametrize("backend", ["vllm", "tensorrt-llm"])
def test_triton_follows_its_back_end(backend: str) -> None:
    assert size(engine=f"triton+{backend}", engine_version="0.11") == size(engine=backend, engine_version="0.11")


def test_triton_without_a_back_end_is_unknown() -> None:
    budget = size(engine="triton", engine_version="25.6")
    assert (budget.verdict, budget.missing) == ("unknown", ("backend",))
    assert "triton+vllm" in budget.reasons[0]


def test_sglang_leaves_a_share_of_what_was_free_before() -> None:
    given_, default = (size(engine="sglang", max_model_len=8192, gpu_memory_utilisation=share) for share in (0.5, None))
    before = default.total_bytes - 0.45 * GIB
    assert given_.pool_bytes == pytest.approx(0.5 * before - item(given_, "weights") * GIB, rel=1e-3)
    assert default.setting("gpu_memory_utilisation") == pytest.approx(
        1 - 13440 * 2**20 / default.total_bytes, abs=0.001
    )


@pytest.mark.parametrize(("ranks", "share"), [(1, 0.88), (2, 0.87), (4, 0.85), (8, 0.81), (16, 0.79)])
def test_sglang_before_0_5_fixed_its_share_by_ranks(ranks: int, share: float) -> None:
    old = size(engine="sglang", engine_version="0.4.6.post5", tensor_parallel=ranks, max_model_len=8192)
    assert old.setting("gpu_memory_utilisation") == share
    new = size(engine="sglang", engine_version="0.5.0", tensor_parallel=ranks, max_model_len=8192)
    assert new.setting("gpu_memory_utilisation") != share


@pytest.mark.parametrize(
    ("headroom", "verdict"),
    [(1.0, "fits"), (0.6, "fits"), (0.4, "marginal"), (-0.4, "marginal"), (-0.6, "does-not-fit")],
)
def test_the_rule_of_verdicts(headroom: float, verdict: str) -> None:
    margin = margin_of(int(18 * GIB), doubled=False)
    assert margin == GIB // 2
    assert verdict_of(int(headroom * GIB), margin) == verdict
    assert margin_of(int(40 * GIB), doubled=True) == 2 * GIB
