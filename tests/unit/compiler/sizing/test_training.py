"""Training memory: what must hold of any estimate.

Accuracy against public measurements: `tests/unit/llmops/sizing/test_public_points.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.training import TrainingRequest, size_training
from compiler.sizing.training_words import Method, Optimizer, Sharding, read_optimizer, read_sharding

POINTS = Path(__file__).parent / "points"


def _architecture(name: str) -> Architecture:
    return read_architecture(json.loads((POINTS / "configs" / f"{name}.json").read_text()), name=name)


LLAMA_8B = _architecture("llama31-8b")
LLAMA_7B = _architecture("llama2-7b")


def _optimizer(name: str) -> Optimizer:
    found = read_optimizer(name)
    assert found is not None
    return found


ADAMW = _optimizer("adamw")


def _request(**changes: object) -> TrainingRequest:
    base = TrainingRequest(
        architecture=LLAMA_8B, method="full", sequence_length=2048, micro_batch=1, optimizer=ADAMW, precision="mixed"
    )
    return replace(base, **changes)  # pyright: ignore[reportArgumentType]


def test_terms_sum_to_the_peak_and_the_dominant_one_is_the_largest() -> None:
    found = size_training(_request())

    assert sum(item.bytes for item in found.items) == found.peak_bytes
    assert found.dominant == max(found.items, key=lambda item: item.bytes).name == "optimizer"
    assert found.low_bytes < found.peak_bytes < found.high_bytes


def test_states_are_those_of_the_zero_paper() -> None:
    """2 weights, 2 gradients and 12 of the optimizer for each parameter; the stages divide from the right."""
    count, gpus = LLAMA_8B.parameters, 8

    def sizes(stage: str) -> dict[str, int]:
        sharding = read_sharding(stage)
        assert sharding is not None
        fused = read_optimizer("adamw_torch_fused")
        found = size_training(_request(sharding=sharding, gpus=gpus, sequence_length=1, optimizer=fused))
        return {item.name: item.bytes for item in found.items}

    scratch = 4 * count / gpus
    assert sizes("zero1")["weights"] == 2 * count
    assert sizes("zero1")["gradients"] == 2 * count
    assert sizes("zero1")["optimizer"] == pytest.approx(12 * count / gpus + scratch, rel=1e-6)
    assert sizes("zero2")["gradients"] == pytest.approx(2 * count / gpus, rel=1e-6)
    assert sizes("zero3")["weights"] == pytest.approx(2 * count / gpus, rel=1e-6)


def test_plain_data_parallelism_divides_nothing() -> None:
    ddp = Sharding(shards="ddp")

    one, eight = (size_training(_request(sharding=ddp, gpus=gpus, precision="bf16")) for gpus in (2, 8))

    assert one.peak_bytes == eight.peak_bytes


def test_adapters_cost_sixteen_bytes_a_parameter_and_the_base_no_gradients() -> None:
    found = size_training(_request(method="lora", lora_rank=16, precision="bf16"))
    sizes = {item.name: item.bytes for item in found.items}

    # q, k, v, o, gate, up and down of 32 layers: what PEFT prints for Llama-3.1-8B with r = 16 on all linears.
    assert found.adapter_parameters == 41_943_040
    assert sizes["weights"] == 2 * LLAMA_8B.parameters
    assert sizes["adapters"] + sizes["gradients"] + sizes["optimizer"] == 16 * found.adapter_parameters


def test_preferences_double_the_tokens_and_keep_a_reference() -> None:
    full = size_training(_request(precision="bf16"))
    dpo = size_training(_request(method="dpo", precision="bf16"))
    adapter = size_training(_request(method="dpo", precision="bf16", lora_rank=16))

    alone, pairs = (
        {item.name: item.bytes for item in size_training(request).items}
        for request in (_request(method="lora", lora_rank=16), _request(method="dpo", lora_rank=16))
    )
    assert pairs["activations"] == pytest.approx(2 * alone["activations"])
    assert {item.name: item.bytes for item in dpo.items}["reference"] == 2 * LLAMA_8B.parameters
    assert "reference" not in {item.name for item in adapter.items}
    assert adapter.peak_bytes < full.peak_bytes < dpo.peak_bytes


def test_logits_dominate_where_the_vocabulary_is_large() -> None:
    found = size_training(_request(method="qlora", quantization="nf4", lora_rank=8, sequence_length=8192))

    assert found.dominant == "logits"
    assert found.moment == "backward pass"


def test_scores_that_are_written_out_grow_with_the_square_of_the_sequence() -> None:
    def activations(length: int, *, fused: bool) -> int:
        request = _request(
            method="lora", lora_rank=8, sequence_length=length, checkpointing="none", fused_attention=fused
        )
        return {item.name: item.bytes for item in size_training(request).items}["activations"]

    assert activations(4096, fused=True) == pytest.approx(2 * activations(2048, fused=True), rel=1e-6)
    assert activations(4096, fused=False) > 3 * activations(2048, fused=False)


SHARDS = ("none", "ddp", "fsdp", "zero1", "zero2", "zero3")


@given(
    method=st.sampled_from(get_args(Method)),
    shards=st.sampled_from(SHARDS),
    offload=st.booleans(),
    gpus=st.integers(1, 64),
    length=st.integers(1, 32_768),
    batch=st.integers(1, 32),
    precision=st.sampled_from(("bf16", "mixed", "fp32")),
    checkpointing=st.sampled_from(("none", "selective", "full", "offloaded")),
    quantization=st.sampled_from((None, "nf4", "int8")),
)
def test_more_tokens_never_need_less_and_more_gpus_never_more(
    method: str, shards: str, offload: bool, gpus: int, length: int, batch: int, precision: str, checkpointing: str,
    quantization: str | None,
) -> None:  # fmt: skip
    request = _request(
        architecture=LLAMA_7B,
        method=method,
        sharding=Sharding(shards=shards, offload=offload),  # pyright: ignore[reportArgumentType]
        gpus=gpus,
        sequence_length=length,
        micro_batch=batch,
        precision=precision,
        checkpointing=checkpointing,
        quantization=quantization if method in ("lora", "qlora") else None,
        lora_rank=16 if method in ("lora", "qlora") else None,
    )
    found = size_training(request)

    assert found.peak_bytes > 0
    assert size_training(replace(request, sequence_length=length + 64)).peak_bytes >= found.peak_bytes
    if gpus > 1:
        assert size_training(replace(request, gpus=gpus + 1)).peak_bytes <= found.peak_bytes
    kept = size_training(replace(request, checkpointing="none"))
    assert kept.peak_bytes >= size_training(replace(request, checkpointing="full")).peak_bytes * 0.95


def test_lighter_optimizers_need_less() -> None:
    def peak(name: str) -> int:
        optimizer = read_optimizer(name)
        assert isinstance(optimizer, Optimizer)
        return size_training(_request(optimizer=optimizer)).peak_bytes

    order = ["adamw_torch", "adamw_torch_fused", "lion_32bit", "adamw_bnb_8bit", "paged_adamw_8bit"]
    peaks = [peak(name) for name in order]
    assert peaks == sorted(peaks, reverse=True)
    assert peak("adafactor") < peak("adamw_bnb_8bit")
