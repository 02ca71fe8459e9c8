"""The smallest changes that make a request fit, in the order in which they cost least. Called by checks and `size`.

Each suggestion was tried: its budget is the one that the changed request has, with verdict `fits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from compiler.sizing.budget import ServingBudget
from compiler.sizing.gpus import all_gpus
from compiler.sizing.legality import broken_rules
from compiler.sizing.serving import size_serving
from compiler.sizing.serving.request import ServingRequest

Change = Literal["max_num_seqs", "max_model_len", "kv_cache_dtype", "tensor_parallel", "gpu"]

_FEWEST_SEQUENCES: Final = 16
_SHORTEST: Final = 1024
_STEP: Final = 1024
_RANKS: Final = (2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One change of one setting after which the model fits."""

    change: Change
    value: int | str
    request: ServingRequest
    budget: ServingBudget


def suggest(request: ServingRequest) -> tuple[Suggestion, ...]:
    """Every kind of change that suffices by itself: fewer sequences, a shorter context, FP8 keys and values, more
    ranks, a bigger card. Empty where the request fits already or no single change makes it.
    """
    budget = size_serving(request)
    if budget.verdict in {"fits", "unknown"}:
        return ()
    makers: tuple[Callable[[ServingRequest, ServingBudget], Iterator[Suggestion]], ...] = (
        _fewer_sequences,
        _shorter_context,
        _smaller_cache,
        _more_ranks,
        _bigger_card,
    )
    found = (next(make(request, budget), None) for make in makers)
    return tuple(one for one in found if one is not None)


def _tried(request: ServingRequest, change: Change, value: int | str) -> Iterator[Suggestion]:
    """The suggestion, if the changed request is legal and fits."""
    budget = size_serving(request)
    if budget.verdict == "fits" and not any(rule.fatal for rule in broken_rules(request)):
        yield Suggestion(change=change, value=value, request=request, budget=budget)


def _fewer_sequences(request: ServingRequest, budget: ServingBudget) -> Iterator[Suggestion]:
    sequences = budget.setting("max_num_seqs")
    count = int(sequences) // 2 if isinstance(sequences, (int, float)) else 0
    while count >= _FEWEST_SEQUENCES:
        yield from _tried(replace(request, max_num_seqs=count), "max_num_seqs", count)
        count //= 2


def _shorter_context(request: ServingRequest, budget: ServingBudget) -> Iterator[Suggestion]:
    """The longest multiple of 1024 tokens that fits, by halving the interval."""
    declared = budget.setting("max_model_len")
    low, high = 0, (int(declared) - 1) // _STEP if isinstance(declared, (int, float)) else 0
    while low < high:
        middle = (low + high + 1) // 2
        if size_serving(replace(request, max_model_len=middle * _STEP)).verdict == "fits":
            low = middle
        else:
            high = middle - 1
    if low * _STEP >= _SHORTEST:
        length = low * _STEP
        yield from _tried(replace(request, max_model_len=length), "max_model_len", length)


def _smaller_cache(request: ServingRequest, budget: ServingBudget) -> Iterator[Suggestion]:
    del budget
    if (request.kv_cache_dtype or "auto").casefold() in {"auto", ""} and request.gpu.has_native_fp8:
        yield from _tried(replace(request, kv_cache_dtype="fp8"), "kv_cache_dtype", "fp8")


def _more_ranks(request: ServingRequest, budget: ServingBudget) -> Iterator[Suggestion]:
    del budget
    for ranks in _RANKS:
        if ranks > request.tensor_parallel:
            yield from _tried(replace(request, tensor_parallel=ranks), "tensor_parallel", ranks)


def _bigger_card(request: ServingRequest, budget: ServingBudget) -> Iterator[Suggestion]:
    cards = [gpu for gpu in all_gpus() if gpu.visible_bytes > budget.total_bytes and gpu.vendor == request.gpu.vendor]
    for gpu in sorted(cards, key=lambda card: card.visible_bytes):
        yield from _tried(replace(request, gpu=gpu, gpu_memory_bytes=None), "gpu", gpu.name)
