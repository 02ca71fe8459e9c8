"""Keys, values and states: bytes of a token, groups of layers, blocks of a sequence."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.sizing.key_value import (
    CacheTerms,
    Grouping,
    grouped,
    kv_element_bytes,
    one_group,
    stage_caches,
    state_bytes,
    token_bytes,
)
from compiler.sizing.layers import AttentionCache, LatentCache, StateCache
from compiler.sizing.models import find_model

FULL = AttentionCache(key_value_heads=8, key_dim=128, value_dim=128)
WINDOW = AttentionCache(key_value_heads=8, key_dim=128, value_dim=128, window=1024)
RULE = Grouping(near=1.5, batched_tokens=8192)


def terms(tensor: int = 1, element: float = 2) -> CacheTerms:
    return CacheTerms(tensor=tensor, element_bytes=element)


@pytest.mark.parametrize(("tensor", "expected"), [(1, 4096), (2, 2048), (8, 512), (16, 512)])
def test_heads_are_divided_and_then_copied(tensor: int, expected: int) -> None:
    assert token_bytes(FULL, terms(tensor)) == expected


def test_a_latent_vector_is_the_same_on_every_rank() -> None:
    cache = LatentCache(dim=576)
    assert token_bytes(cache, terms(1)) == token_bytes(cache, terms(8)) == 1152


def test_kimi_k2_holds_what_its_log_says() -> None:
    """46.8 GiB held 715,072 tokens on TP 8 (gpu-sizing 1.3); the printed size has one digit after the point."""
    model = find_model("moonshotai/Kimi-K2-Instruct")
    assert model is not None
    groups = one_group(stage_caches(model.architecture), terms(8), 131072)
    assert groups is not None
    assert int(46.8 * 2**30 // groups.block_bytes) * 16 == pytest.approx(715_072, rel=0.0015)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("auto", 2), ("", 2), (None, 2), ("fp8", 1), ("FP8_E5M2", 1), ("bfloat16", 2), ("int3", None)],
)
def test_names_of_cache_dtypes(name: str | None, expected: float | None) -> None:
    assert kv_element_bytes(name, 2) == expected


def test_one_kind_of_layer_is_one_group() -> None:
    groups = grouped(((FULL, 32),), terms(), 8192, RULE)
    assert groups is not None
    assert (groups.block_bytes, groups.groups, groups.blocks_needed) == (32 * 16 * 4096, 1, 512)


def test_windows_are_grouped_by_the_rarer_kind_and_padded() -> None:
    """Gemma-3-27B: 52 windows and 10 full layers are 7 groups of 10."""
    groups = grouped(((WINDOW, 52), (FULL, 10)), terms(), 131072, RULE)
    assert groups is not None
    assert groups.groups == 1 + ceil(52 / 10)
    assert groups.block_bytes == 10 * 16 * 4096
    assert groups.blocks_needed == 131072 // 16 + 6 * (ceil((1023 + 8192) / 16) + 1)


def test_kinds_of_nearly_equal_number_are_padded_to_the_larger() -> None:
    groups = grouped(((WINDOW, 12), (FULL, 13)), terms(), 4096, RULE)
    assert groups is not None
    assert groups.groups == 2
    assert groups.block_bytes == 13 * 16 * 4096


def test_attention_blocks_grow_to_hold_a_state() -> None:
    """Qwen3.5-9B in 0.27: a pool of 1.74 GiB had 108 blocks and printed 53,084 tokens at a length of 24,576."""
    attention = AttentionCache(key_value_heads=4, key_dim=256, value_dim=256)
    state = StateCache(kind="delta", convolution=8192 * 3, state=32 * 128 * 128, state_bytes=4)
    groups = grouped(((state, 24), (attention, 8)), terms(), 24576, RULE)
    assert groups is not None
    assert (groups.block_tokens, groups.groups, groups.state_groups) == (528, 4, 3)
    blocks = round(1.74 * 2**30 / groups.block_bytes)
    assert blocks == 108
    assert int(blocks / groups.blocks_needed * 24576) == 53_084


def test_a_state_is_divided_by_the_ranks() -> None:
    state = StateCache(kind="mamba2", convolution=800, state=1600)
    assert state_bytes(state, terms(1)) == 4800
    assert state_bytes(state, terms(4)) == 1200


def test_models_without_attention_have_no_group() -> None:
    assert grouped((), terms(), 100, RULE) is None
    assert one_group(((StateCache(kind="mamba1", convolution=1, state=1), 3),), terms(), 100) is None


@settings(deadline=None)
@given(
    windows=st.integers(0, 60),
    full=st.integers(0, 60),
    length=st.integers(1, 10**6),
    longer=st.integers(0, 10**6),
    tensor=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_longer_never_needs_less_and_groups_hold_every_layer(
    windows: int, full: int, length: int, longer: int, tensor: int
) -> None:
    caches = tuple((cache, count) for cache, count in ((WINDOW, windows), (FULL, full)) if count)
    short, long = (grouped(caches, terms(tensor), size, RULE) for size in (length, length + longer))
    if short is None or long is None:
        assert windows == full == 0
        return
    assert long.needed_bytes >= short.needed_bytes
    page = 16 * token_bytes(FULL, terms(tensor))
    assert short.groups * short.block_bytes >= (windows + full) * page
