"""Bytes of keys, values and states: for each token, each sequence and each block, on one rank.

Called by the serving estimates. Follows vLLM's grouping of layers into pools of equal pages (v1/core/kv_cache_utils and
kv_cache_interface, 0.9 to 0.2x); other engines use the sums per token. The page of a block is the same for every group,
so models of several kinds of layers pay for padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from compiler.sizing.architecture import Architecture
from compiler.sizing.layers import AttentionCache, Cache, LatentCache, StateCache

BLOCK_TOKENS: Final = 16

KV_DTYPE_BYTES: Final[Mapping[str, float]] = {
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
    "fp8_ds_mla": 1,
    "int8": 1,
    "nvfp4": 0.5625,
    "bfloat16": 2,
    "bf16": 2,
    "float16": 2,
    "fp16": 2,
    "half": 2,
    "float32": 4,
}


def kv_element_bytes(kv_cache_dtype: str | None, model_bytes: int) -> float | None:
    """Bytes of one cached element; `auto`, empty and None take the model's. None for a name that is not known."""
    name = (kv_cache_dtype or "auto").strip().casefold()
    return float(model_bytes) if name in {"auto", ""} else KV_DTYPE_BYTES.get(name)


@dataclass(frozen=True, kw_only=True)
class CacheTerms:
    """What decides the bytes of a cache on one rank."""

    tensor: int
    element_bytes: float
    """Of one cached key or value element."""
    model_bytes: int = 2
    """Of the model's dtype, in which convolution windows and, unless the model says otherwise, states are kept."""


@dataclass(frozen=True, kw_only=True)
class CacheGroups:
    """How blocks of one pool are shared by the layers of a stage."""

    block_bytes: int
    """One block over all the layers that share its table."""
    block_tokens: int
    groups: int
    """Tables of blocks; a token of a sequence takes a block in each."""
    blocks_needed: int
    """Blocks of one sequence of the declared length."""
    state_groups: int = 0
    """Groups that keep states: each running sequence holds one block in each of them."""

    @property
    def needed_bytes(self) -> int:
        """Bytes of one sequence of the declared length."""
        return self.blocks_needed * self.block_bytes


def token_bytes(cache: Cache, terms: CacheTerms) -> float:
    """Bytes that one token adds in one layer; 0 for states."""
    match cache:
        case AttentionCache():
            heads = max(1, ceil(cache.key_value_heads / terms.tensor))
            return heads * (cache.key_dim + cache.value_dim) * terms.element_bytes
        case LatentCache():
            indexer = cache.indexer_dim + 4 if cache.indexer_dim else 0
            return cache.dim * terms.element_bytes + indexer
        case StateCache():
            return 0.0


def state_bytes(cache: Cache, terms: CacheTerms) -> int:
    """Bytes that one sequence keeps in one layer whatever its length; 0 for attention."""
    if not isinstance(cache, StateCache):
        return 0
    state = cache.state * (cache.state_bytes or terms.model_bytes)
    return (cache.convolution * terms.model_bytes + state) // terms.tensor


def sum_per_token(caches: Iterable[tuple[Cache, int]], terms: CacheTerms) -> float:
    """Bytes of one token over some layers, windows counted as if they kept everything."""
    return sum(token_bytes(cache, terms) * count for cache, count in caches)


def stage_caches(architecture: Architecture, start: int = 0, stop: int | None = None) -> tuple[tuple[Cache, int], ...]:
    """Each kind of cache among the layers [start, stop) with how often it occurs."""
    counts: dict[Cache, int] = {}
    for layer, count in architecture.stage(start, stop):
        for cache in layer.caches:
            counts[cache] = counts.get(cache, 0) + count
    return tuple(counts.items())


def one_group(caches: tuple[tuple[Cache, int], ...], terms: CacheTerms, length: int) -> CacheGroups | None:
    """Every layer keeps every token (vLLM before 0.9.1, V0); None where no layer keeps tokens."""
    bytes_per_token = sum_per_token(caches, terms)
    if bytes_per_token <= 0:
        return None
    return CacheGroups(
        block_bytes=ceil(bytes_per_token * BLOCK_TOKENS),
        block_tokens=BLOCK_TOKENS,
        groups=1,
        blocks_needed=ceil(length / BLOCK_TOKENS),
    )


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The rule of a version for layers of several kinds."""

    near: float
    """Kinds whose numbers of layers differ by less than this factor are padded to the larger number."""
    batched_tokens: int
    """Tokens in flight beside a window."""
    state_blocks: int = 1
    """Blocks of one sequence in each group of states."""


def grouped(
    caches: tuple[tuple[Cache, int], ...], terms: CacheTerms, length: int, rule: Grouping
) -> CacheGroups | None:
    """Layers in groups of equal numbers and equal pages (vLLM from 0.9.1)."""
    kinds = _kinds(caches, terms)
    if not kinds:
        return None
    if len(kinds) == 1:
        return _single(kinds[0], length, rule)
    page, attention_tokens = _common_page(kinds)
    counts = [kind.layers for kind in kinds]
    size = max(counts) if max(counts) < min(counts) * rule.near else min(counts)
    groups = needed = states = 0
    for kind in kinds:
        number = ceil(kind.layers / size)
        groups += number
        if kind.state:
            states += number
            needed += number * rule.state_blocks
        else:
            needed += number * kind.blocks(length, _block_tokens(kind, page, attention_tokens), rule)
    return CacheGroups(
        block_bytes=page * size,
        block_tokens=attention_tokens,
        groups=groups,
        blocks_needed=needed,
        state_groups=states,
    )


@dataclass(frozen=True, kw_only=True)
class _Kind:
    layers: int
    token_bytes: float
    state: int = 0
    window: int | None = None

    def blocks(self, length: int, block_tokens: int, rule: Grouping) -> int:
        if self.window is None:
            return ceil(length / block_tokens)
        return ceil(min(self.window - 1 + rule.batched_tokens, length) / block_tokens) + 1


def _kinds(caches: tuple[tuple[Cache, int], ...], terms: CacheTerms) -> list[_Kind]:
    """Kinds of layers; full layers of several widths form one kind whose layers differ (one group in vLLM)."""
    found: dict[tuple[object, ...], list[tuple[float, int, int]]] = {}
    for cache, count in caches:
        window = cache.window if isinstance(cache, AttentionCache) else None
        size, state = token_bytes(cache, terms), state_bytes(cache, terms)
        if not size and not state:
            continue
        found.setdefault(("state", state) if state else ("tokens", window), []).append((size, state, count))
    kinds: list[_Kind] = []
    for key, members in found.items():
        layers = sum(count for _, _, count in members)
        mean = sum(size * count for size, _, count in members) / layers
        window = key[1] if key[0] == "tokens" and isinstance(key[1], int) else None
        kinds.append(_Kind(layers=layers, token_bytes=mean, state=members[0][1], window=window))
    return kinds


def _single(kind: _Kind, length: int, rule: Grouping) -> CacheGroups:
    if kind.state:
        return CacheGroups(
            block_bytes=kind.state * kind.layers, block_tokens=length, groups=1, blocks_needed=1, state_groups=1
        )
    return CacheGroups(
        block_bytes=ceil(kind.token_bytes * BLOCK_TOKENS * kind.layers),
        block_tokens=BLOCK_TOKENS,
        groups=1,
        blocks_needed=kind.blocks(length, BLOCK_TOKENS, rule),
    )


def _common_page(kinds: list[_Kind]) -> tuple[int, int]:
    """(bytes of the page that all kinds share, tokens of the smallest block): attention blocks grow to hold a state."""
    widest = max(kind.token_bytes for kind in kinds)
    state = max(kind.state for kind in kinds)
    tokens = BLOCK_TOKENS
    if state:
        tokens = max(BLOCK_TOKENS, BLOCK_TOKENS * ceil(state / (BLOCK_TOKENS * widest)))
    return ceil(widest * tokens), tokens


def _block_tokens(kind: _Kind, page: int, tokens: int) -> int:
    """Tokens of one block of a kind: narrower layers hold more tokens in the common page."""
    ratio = page / (kind.token_bytes * tokens)
    return int(tokens * ratio) if ratio.is_integer() else tokens
