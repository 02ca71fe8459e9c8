"""Throughput and cost: regimes, what bounds them, and refusals where no figure can be given.

How well intervals hold published figures: `tests/unit/llmops/sizing/test_public_points.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.sizing.architecture import read_architecture
from compiler.sizing.cost import cost_per_million
from compiler.sizing.gpus import find_gpu
from compiler.sizing.throughput import SPREADS, Load, estimate_throughput, measure_first, sequences

POINTS = Path(__file__).parent / "points"
GIB = 2**30


def _load(config: str, gpu: str, tp: int, inputs: int, outputs: int, *, bytes_each: float = 1) -> Load:
    architecture = read_architecture(json.loads((POINTS / "configs" / f"{config}.json").read_text()), name=config)
    card = find_gpu(gpu)
    assert card is not None
    weights = int(architecture.parameters * bytes_each / tp)
    cache = 2 * architecture.layer_count * max(1, architecture.key_value_heads // tp) * architecture.head_dim
    return Load(
        architecture=architecture,
        gpu=card,
        gpus=tp,
        weight_bytes=weights,
        cache_bytes_per_token=cache,
        pool_tokens=int(0.9 * (card.visible_bytes - weights - 5 * GIB) / cache),
        max_sequences=2048,
        arithmetic="fp8",
        input_tokens=inputs,
        output_tokens=outputs,
    )


def test_one_stream_is_bound_by_reading_the_weights() -> None:
    load = replace(_load("llama31-8b", "H100", 1, 128, 128, bytes_each=2), concurrency=1, arithmetic="bf16")
    found = estimate_throughput(load)

    assert found is not None
    assert found.regime == "batch-1"
    # 16 GB at 0.8 of 3.35 TB/s is 6 ms, and 2 ms for the step: public figures are 110 to 150 tokens/s.
    assert found.output_low < 125 < found.output_high


@pytest.mark.parametrize(
    ("inputs", "outputs", "tp", "concurrency", "regime"),
    [
        (5000, 100, 1, None, "prefill-bound"),
        (128, 2048, 8, None, "decode-bound at TP 8"),
        (128, 2048, 1, None, "saturated"),
        (128, 2048, 1, 16, "decode-bound"),
        (128, 128, 1, 1, "batch-1"),
    ],
)
def test_regimes(inputs: int, outputs: int, tp: int, concurrency: int | None, regime: str) -> None:
    found = estimate_throughput(replace(_load("llama31-8b", "H100", tp, inputs, outputs), concurrency=concurrency))

    assert found is not None
    assert found.regime == regime
    assert found.total_low / found.output_low == pytest.approx((inputs + outputs) / outputs)
    assert found.output_high / found.output_low == pytest.approx(SPREADS[found.regime][1] / SPREADS[found.regime][0])


def test_batches_are_what_the_pool_holds() -> None:
    load = replace(_load("llama31-8b", "H100", 1, 1000, 1000), pool_tokens=15_000)

    assert sequences(load) == 10
    assert sequences(replace(load, concurrency=4)) == 4
    assert sequences(replace(load, max_sequences=3)) == 3
    assert sequences(replace(load, pool_tokens=10)) == 1


def test_what_cannot_be_told_is_refused() -> None:
    load = _load("llama31-8b", "H100", 1, 100, 100)
    amd = find_gpu("MI300X")
    assert amd is not None

    sparse = replace(load, architecture=replace(load.architecture, experts=8))
    for odd, word in ((sparse, "experts"), (replace(load, gpu=amd), "benchmark")):
        why = measure_first(odd)
        assert why is not None
        assert word in why
        assert estimate_throughput(odd) is None
    assert measure_first(load) is None


@pytest.mark.parametrize(("gpu", "tp", "told"), [("H100", 8, True), ("H100", 16, False), ("GB200", 16, True)])
def test_several_nodes_under_one_model_are_to_be_measured(gpu: str, tp: int, told: bool) -> None:
    load = replace(_load("llama31-70b", "H100", 8, 100, 100), gpus=tp)
    card = find_gpu(gpu)
    assert card is not None
    why = measure_first(replace(load, gpu=card))

    assert (why is None) is told
    assert told or "several nodes" in str(why)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 5000), st.sampled_from((1, 2, 4, 8)))
def test_any_load_gives_an_interval(inputs: int, outputs: int, concurrency: int, tp: int) -> None:
    found = estimate_throughput(replace(_load("llama31-8b", "H100", tp, inputs, outputs), concurrency=concurrency))

    assert found is not None
    assert 0 < found.output_low < found.output_high
    assert found.output_low <= found.total_low


def test_a_million_tokens() -> None:
    """2 dollars an hour, 100 to 200 tokens/s, half of the time: 720,000 tokens cost 4 dollars at the upper end."""
    found = cost_per_million(usd_per_hour=2.0, gpus=1, tokens_low=100, tokens_high=200, duty=0.5)

    assert found.low_usd == pytest.approx(4 / 0.72)
    assert found.high_usd == pytest.approx(8 / 0.72)
    assert cost_per_million(
        usd_per_hour=2.0, gpus=4, tokens_low=100, tokens_high=200, duty=0.5
    ).low_usd == pytest.approx(4 * found.low_usd)
