"""The cheapest GPUs and parallelism that serve a model. Called by `llmops size --search`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from compiler.sizing.budget import ServingBudget
from compiler.sizing.gpus import Gpu, all_gpus
from compiler.sizing.legality import broken_rules
from compiler.sizing.prices import Price, catalogue_prices, prices_of
from compiler.sizing.serving import size_serving
from compiler.sizing.serving.request import ServingRequest

_SHAPES: Final = ((1, 1), (2, 1), (4, 1), (8, 1), (8, 2), (8, 4))
"""(tensor, pipeline) parallelism, fewest GPUs first: one node, then whole nodes of eight."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """A card with the fewest of it that fit."""

    gpu: Gpu
    request: ServingRequest
    budget: ServingBudget
    price: Price | None
    """The cheapest offer of the card; None where the list has none."""

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.request.tensor_parallel * self.request.pipeline_parallel

    @property
    def usd_per_hour(self) -> float | None:
        """Of all its GPUs, each at its share of the instance."""
        return None if self.price is None else self.price.usd_per_gpu_hour * self.gpus


def search(request: ServingRequest, prices: tuple[Price, ...] | None = None) -> tuple[Option, ...]:
    """One option for each card that can serve the model, cheapest first; cards without a price last, fewest first."""
    offers = catalogue_prices() if prices is None else prices
    found = [option for gpu in all_gpus() for option in _first(request, gpu, offers)]
    return tuple(sorted(found, key=_cost))


def _first(request: ServingRequest, gpu: Gpu, offers: tuple[Price, ...]) -> Iterator[Option]:
    """The smallest shape of a card that is legal and fits."""
    for tensor, pipeline in _SHAPES:
        tried = replace(request, gpu=gpu, gpu_memory_bytes=None, tensor_parallel=tensor, pipeline_parallel=pipeline)
        if any(rule.fatal for rule in broken_rules(tried)):
            continue
        budget = size_serving(tried)
        if budget.verdict == "fits":
            yield Option(gpu=gpu, request=tried, budget=budget, price=next(iter(prices_of(gpu.name, offers)), None))
            return


def _cost(option: Option) -> tuple[bool, float, int, str]:
    cost = option.usd_per_hour
    return cost is None, cost or 0.0, option.gpus, option.gpu.name
