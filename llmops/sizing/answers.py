"""The answer to one question of `llmops size model`: budget, changes that would fit, throughput and cost, put together.

Called by `llmops.cli.size`; drawn by `llmops.cli.size_text`, given to machines by `answer_json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from compiler.sizing.budget import LineItem, ServingBudget, Verdict
from compiler.sizing.cost import Cost, cost_per_million
from compiler.sizing.gpus import Basis, Gpu, GpuName
from compiler.sizing.json_values import Json
from compiler.sizing.legality import BrokenRule, refuses
from compiler.sizing.parameters import parameters_by_part
from compiler.sizing.prices import Price, prices_of
from compiler.sizing.serving import ServingRequest, size_serving
from compiler.sizing.serving.search import search
from compiler.sizing.serving.suggestions import Suggestion, suggest
from compiler.sizing.throughput import Throughput, estimate_throughput, measure_first
from compiler.sizing.training import TrainingEstimate, size_training
from llmops.sizing.serving_rows import judged, load_of
from llmops.sizing.subjects import Subject
from llmops.sizing.training_rows import TrainingQuestion, training_verdict

_REFUSED: Final = "nothing is served: the engine refuses to start"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the service will be asked, and what its time costs."""

    input_tokens: int
    output_tokens: int
    concurrency: int | None
    duty: float | None
    """Share of the time that it works; None where nobody said."""
    prices: tuple[Price, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One model on one kind of GPU."""

    subject: Subject
    request: ServingRequest
    budget: ServingBudget
    verdict: Verdict
    """Of memory and legality together."""
    rules: tuple[BrokenRule, ...]
    changes: tuple[Suggestion, ...]
    """Single changes after which it fits, the cheapest first; none where it fits."""
    throughput: Throughput | None
    benchmark: str | None
    """Why there is no throughput."""
    price: Price | None
    cost: Cost | None


def answer(subject: Subject, request: ServingRequest, traffic: Traffic, *, advise: bool = True) -> Answer:
    """Size one question; with `advise`, look for changes that would make it fit."""
    budget = size_serving(request)
    verdict, rules = judged(request, budget)
    refused = any(refuses(one, request) for one in rules)
    speed, why = (None, _REFUSED) if refused else _throughput(request, budget, verdict, traffic)
    offers = prices_of(GpuName(request.gpu.name), traffic.prices)
    price = offers[0] if offers else None
    return Answer(
        subject=subject,
        request=request,
        budget=budget,
        verdict=verdict,
        rules=rules,
        changes=suggest(request) if advise else (),
        throughput=speed,
        benchmark=why,
        price=price,
        cost=_cost(speed, price, budget.gpus, traffic.duty),
    )


def search_answers(
    subject: Subject, request: ServingRequest, traffic: Traffic, *, among: Sequence[Gpu] = (), most: int | None = None
) -> tuple[Answer, ...]:
    """Every card (of those in `among`, if any) that can serve the model with the fewest of it, cheapest first."""
    options = [one for one in search(request, traffic.prices) if not among or one.gpu in among]
    fitting = [one.request for one in options if most is None or one.gpus <= most]
    return tuple(answer(subject, one, traffic, advise=False) for one in fitting)


def _throughput(
    request: ServingRequest, budget: ServingBudget, verdict: Verdict, traffic: Traffic
) -> tuple[Throughput | None, str | None]:
    if verdict in ("unknown", "does-not-fit") or budget.kv_tokens <= 0:
        return None, "nothing is served before the model fits"
    load = load_of(request, budget, traffic.input_tokens, traffic.output_tokens, traffic.concurrency)
    why = measure_first(load)
    return (None, why) if why else (estimate_throughput(load), None)


def _cost(speed: Throughput | None, price: Price | None, gpus: int, duty: float | None) -> Cost | None:
    if speed is None or price is None or duty is None:
        return None
    return cost_per_million(
        usd_per_hour=price.usd_per_gpu_hour,
        gpus=gpus,
        tokens_low=speed.output_low,
        tokens_high=speed.output_high,
        duty=duty,
    )


def answer_json(found: Answer) -> Mapping[str, Json]:
    """The whole answer for machines. Memory in bytes, `null` where there is no figure."""
    budget = found.budget
    known = budget.verdict != "unknown"
    return {
        "model": found.subject.shown,
        "parameters": {part.value: n for part, n in parameters_by_part(found.request.architecture).items()},
        "engine": budget.engine,
        "engineVersion": budget.engine_version,
        "gpu": found.request.gpu.name,
        "gpus": budget.gpus,
        "tensorParallel": found.request.tensor_parallel,
        "pipelineParallel": found.request.pipeline_parallel,
        "verdict": found.verdict,
        "gpuBytes": budget.total_bytes if known else None,
        "gpuBytesKnownAs": memory_basis(found.request) if known else None,
        "budgetBytes": budget.budget_bytes if known else None,
        "items": _items_json(budget.items),
        "poolBytes": budget.pool_bytes if known else None,
        "neededBytes": budget.needed_bytes if known else None,
        "marginBytes": budget.margin_bytes if known else None,
        "kvTokens": budget.kv_tokens if known else None,
        "concurrency": round(budget.concurrency, 3) if known else None,
        "settings": {one.name: {"value": one.value, "source": one.source} for one in budget.settings},
        "reasons": list(budget.reasons),
        "brokenRules": [{"rule": one.rule, "text": one.text, "fatal": one.fatal} for one in found.rules],
        "missing": list(budget.missing),
        "changes": [{one.change: one.value} for one in found.changes],
        "usdPerHour": hourly_usd(found),
        "throughput": _speed_json(found),
        "cost": _cost_json(found),
    }


def memory_basis(request: ServingRequest) -> Basis:
    """How the memory of the card is known: as its catalogue record says, unless another figure was given."""
    given = request.gpu_memory_bytes not in (None, request.gpu.visible_bytes)
    return "given" if given else request.gpu.visible_basis


def _items_json(items: Sequence[LineItem]) -> list[Json]:
    return [{"name": one.name, "bytes": one.bytes, "provenance": one.provenance, "note": one.note} for one in items]


def hourly_usd(found: Answer) -> float | None:
    """Of all GPUs of one replica; None without a price."""
    return None if found.price is None else round(found.price.usd_per_gpu_hour * found.budget.gpus, 4)


def _speed_json(found: Answer) -> Json:
    if found.throughput is None:
        return {"regime": "unknown", "why": found.benchmark}
    return asdict(found.throughput)


def _cost_json(found: Answer) -> Json:
    if found.cost is None or found.price is None:
        return None
    return {
        "usdPerMillionOutputTokens": [round(found.cost.low_usd, 4), round(found.cost.high_usd, 4)],
        "usdPerGpuHour": found.price.usd_per_gpu_hour,
        "cloud": found.price.cloud,
        "dated": found.price.dated.isoformat(),
    }


@dataclass(frozen=True, kw_only=True)
class TrainingAnswer:
    """One training on one kind of GPU."""

    subject: Subject
    question: TrainingQuestion
    estimate: TrainingEstimate
    gpu: str
    verdict: str


def answer_training(subject: Subject, question: TrainingQuestion, gpu: str) -> TrainingAnswer:
    """Size one training."""
    estimate = size_training(question.request)
    verdict = training_verdict(estimate, question)
    return TrainingAnswer(subject=subject, question=question, estimate=estimate, gpu=gpu, verdict=verdict)


def training_json(found: TrainingAnswer) -> Mapping[str, Json]:
    """A training's answer for machines."""
    estimate = found.estimate
    return {
        "model": found.subject.shown,
        "gpu": found.gpu,
        "gpus": found.question.request.gpus,
        "method": found.question.request.method,
        "verdict": found.verdict,
        "gpuBytes": found.question.memory_bytes,
        "peakBytes": estimate.peak_bytes,
        "peakLowBytes": estimate.low_bytes,
        "peakHighBytes": estimate.high_bytes,
        "moment": estimate.moment,
        "dominantTerm": estimate.dominant,
        "adapterParameters": estimate.adapter_parameters,
        "items": _items_json(estimate.items),
        "missing": list(found.question.missing),
    }
