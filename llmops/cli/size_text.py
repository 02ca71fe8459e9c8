"""What `llmops size` prints for people: the bar, the sum with its sources, what it means, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.sizing.budget import GIB, LineItem, ServingBudget
from compiler.sizing.gpus import Basis
from compiler.sizing.legality import BrokenRule, refuses
from compiler.sizing.training import UNCERTAINTY
from llmops.cli.console import style, table
from llmops.sizing.answers import Answer, TrainingAnswer, hourly_usd, memory_basis

BAR_WIDTH = 72
_VERDICT_COLOURS = {"fits": "green", "marginal": "yellow", "does-not-fit": "red", "unknown": "yellow"}
_SHADES = (
    ("weights", "W", "blue"),
    ("activations", "A", "magenta"),
    ("graphs", "G", "cyan"),
    ("other", "O", "white"),
    ("KV cache", "K", "green"),
    ("margin", "m", "yellow"),
    ("outside the budget", ".", "white"),
)


def answer_text(found: Answer, *, input_tokens: int, output_tokens: int) -> str:
    """The page of one model on one kind of GPU."""
    budget = found.budget
    head = f"{found.subject.shown} on {cards_text(budget.gpus, found.request.gpu.name)}, {engine_text(budget)}"
    if found.verdict == "unknown":
        return "\n".join([head, "", f"  {verdict_text('unknown')}: {'; '.join(budget.reasons) or 'facts are missing'}"])
    parts = [
        head,
        "",
        serving_bar(budget),
        "",
        f"  {verdict_text(found.verdict)}: {_why(budget)}",
        *(f"  {_heading(one, found)}: {one.text}" for one in found.rules),
        *(f"  note: {reason}" for reason in budget.reasons),
        *_changes(found),
        "",
        _sum(budget, memory_basis(found.request)),
        "",
        _meaning(found, input_tokens, output_tokens),
    ]
    return "\n".join(parts)


def _heading(rule: BrokenRule, found: Answer) -> str:
    if not rule.fatal:
        return "note"
    return "it cannot run" if refuses(rule, found.request) else "it may not run"


_OPTIONS = {
    "max_num_seqs": "--max-num-seqs",
    "max_model_len": "--max-model-len",
    "kv_cache_dtype": "--kv-cache-dtype",
    "tensor_parallel": "--count",
    "gpu": "--gpu",
}
"""The option of `llmops size model` for each kind of change."""


def _changes(found: Answer) -> list[str]:
    """What would make it fit, as options to add."""
    if not found.changes:
        return []
    rows = [
        (f"    {_OPTIONS[one.change]} {one.value}", f"{_gib(one.budget.pool_bytes)} GiB of KV cache")
        for one in found.changes
    ]
    return ["", "  it fits with any one of", table(rows)]


def serving_bar(budget: ServingBudget) -> str:
    """One GPU's memory drawn to scale, with a legend. A pool that is not there leaves no room for its letter."""
    sizes = dict.fromkeys((name for name, _, _ in _SHADES), 0)
    for item in budget.items:
        sizes[_shade(item.name)] += item.bytes
    pool = max(0, budget.pool_bytes)
    sizes["margin"] = min(budget.margin_bytes, pool)
    sizes["KV cache"] = pool - sizes["margin"]
    sizes["outside the budget"] = max(0, budget.total_bytes - budget.budget_bytes)
    return _drawn(sizes, budget.total_bytes)


def _shade(name: str) -> str:
    word = name.casefold()
    if word.startswith(("weight", "draft", "lora", "adapter")):
        return "weights"
    if "activation" in word:
        return "activations"
    return "graphs" if "graph" in word else "other"


def _drawn(sizes: dict[str, int], whole: int) -> str:
    """Letters by share of the whole; what goes beyond it is marked at the edge."""
    cells: list[str] = []
    legend: list[str] = []
    edge = total = 0
    for name, letter, colour in _SHADES:
        size = sizes.get(name, 0)
        if size <= 0:
            continue
        total += size
        end = min(BAR_WIDTH, round(BAR_WIDTH * total / whole))
        cells.append(style(letter * max(0, end - edge), colour))
        edge = max(edge, end)
        legend.append(f"{style(letter, colour)} {name} {_gib(size)}")
    over = f" {style('+' + _gib(total - whole) + ' GiB', 'red')}" if total > whole * 1.0005 else ""
    bar = f"  [{''.join(cells)}{' ' * (BAR_WIDTH - edge)}]{over}  {_gib(whole)} GiB"
    return f"{bar}\n   {'   '.join(legend)}"


def _why(budget: ServingBudget) -> str:
    length = _length(budget)
    needed = f"one request of {length:,} tokens needs {_gib(budget.needed_bytes)}" if length else "the pool needs 0"
    if budget.pool_bytes < 0:
        return f"weights and the rest are {_gib(-budget.pool_bytes)} GiB beyond the budget, before any KV cache"
    return f"{_gib(budget.pool_bytes)} GiB of KV cache; {needed} GiB; the margin is {_gib(budget.margin_bytes)} GiB"


def _sum(budget: ServingBudget, memory: Basis) -> str:
    share = budget.setting("gpu_memory_utilisation")
    how = f"{_how(budget, share)}, the card's memory {_MEMORY[memory]}"
    rows = [("  budget", _gib(budget.budget_bytes), _source(budget), how)]
    rows += [(f"  - {one.name}", _gib(one.bytes), one.provenance, one.note) for one in budget.items]
    rows.append(("  = KV cache", _gib(budget.pool_bytes), "", ""))
    return table(rows, heads=("  one GPU", "GiB", "known as", "from"))


_MEMORY: Mapping[Basis, str] = {"measured": "measured", "datasheet": "by its datasheet", "given": "as given"}


def _how(budget: ServingBudget, share: float | str | None) -> str:
    """The share of the card where the budget is one; engines that count otherwise are named."""
    if isinstance(share, str) or share is None:
        return f"{budget.engine}'s own rule"
    if abs(budget.budget_bytes - share * budget.total_bytes) < 0.01 * budget.total_bytes:
        return f"{share:.4g} of {_gib(budget.total_bytes)} GiB"
    return f"{budget.engine}'s own rule, with {share:.4g}"


def _source(budget: ServingBudget) -> str:
    return next((one.source for one in budget.settings if one.name == "gpu_memory_utilisation"), "derived")


def _meaning(found: Answer, input_tokens: int, output_tokens: int) -> str:
    budget, length = found.budget, _length(found.budget)
    rows: list[tuple[str, str]] = []
    if budget.pool_bytes > 0 and budget.kv_tokens > 0:
        held = f"{budget.kv_tokens:,} tokens"
        rows.append(
            ("  KV cache holds", f"{held}: {budget.concurrency:.1f} requests of {length:,}" if length else held)
        )
    defaults = [f"{one.name} {_value(one.value)}" for one in budget.settings if one.source != "given"]
    if defaults:
        rows.append(("  not given, so", ", ".join(defaults)))
    rows.append(("  throughput", _speed(found, input_tokens, output_tokens)))
    rows.append(("  cost", _cost(found)))
    return table(rows)


def _speed(found: Answer, input_tokens: int, output_tokens: int) -> str:
    speed = found.throughput
    if speed is None:
        return f"unknown: {found.benchmark}"
    return (
        f"{_round(speed.output_low)} to {_round(speed.output_high)} output tokens/s "
        f"({speed.regime}: {speed.batch} at a time, {input_tokens:,} tokens in, {output_tokens:,} out)"
    )


def _cost(found: Answer) -> str:
    price, cost = found.price, found.cost
    if price is None:
        return f"no price of {found.request.gpu.name}; give one with --prices"
    each = f"${price.usd_per_gpu_hour:.2f} a GPU hour ({price.cloud}, {price.dated.isoformat()})"
    if cost is None:
        return f"{each}; per token it depends on the duty cycle: --duty 0.3 if it works 30 % of the time"
    return f"${cost.low_usd:.2f} to ${cost.high_usd:.2f} for a million output tokens; {each}"


def search_text(answers: Sequence[Answer]) -> str:
    """Cards with a price, cheapest first, and how many others fit; all of them where no card has a price."""
    priced = [one for one in answers if one.price is not None]
    if not answers:
        return "no GPU of those that were asked for serves it (without names: the catalogue; without --count: up to 32)"
    if not priced:
        return comparison_text(answers)
    more = len(answers) - len(priced)
    said = f"\n{more} more kinds of GPU fit and have no price in the list; --compare shows them" if more else ""
    return comparison_text(priced) + said


def comparison_text(answers: Sequence[Answer]) -> str:
    """One line for each GPU."""
    rows = [_compared(one) for one in answers]
    heads = ("GPU", "verdict", "weights", "KV GiB", "tokens", "requests", "output tokens/s", "$/h", "$/M output")
    return table(rows, heads=heads)


def _compared(found: Answer) -> tuple[str, ...]:
    budget, speed, cost = found.budget, found.throughput, found.cost
    stages = found.request.pipeline_parallel
    cards = cards_text(budget.gpus, found.request.gpu.name) + (f" (pp {stages})" if stages > 1 else "")
    if found.verdict == "unknown":
        return (cards, verdict_text("unknown"), "", "", "", "", "; ".join(budget.missing), "", "")
    held, hourly = budget.pool_bytes > 0, hourly_usd(found)
    return (
        cards,
        verdict_text(found.verdict),
        _gib(budget.weights_bytes),
        _gib(budget.pool_bytes),
        f"{budget.kv_tokens:,}" if held else "-",
        f"{budget.concurrency:.1f}" if held else "-",
        f"{_round(speed.output_low)} to {_round(speed.output_high)}" if speed else "unknown",
        "-" if hourly is None else f"{hourly:.2f}",
        f"{cost.low_usd:.2f} to {cost.high_usd:.2f}" if cost else "-",
    )


def training_text(found: TrainingAnswer) -> str:
    """The page of one training."""
    request, estimate = found.question.request, found.estimate
    memory = found.question.memory_bytes
    shards = request.sharding.shards + (" with offload" if request.sharding.offload else "")
    head = f"{found.subject.shown}, {request.method}, on {cards_text(request.gpus, found.gpu)}"
    detail = (
        f"  {request.sequence_length:,} tokens x {request.micro_batch} a GPU, {request.optimizer.name}, "
        f"checkpointing {request.checkpointing}, sharding {shards}, {request.precision}"
    )
    spread = (
        f"{_gib(estimate.peak_bytes)} GiB a GPU, {_gib(estimate.low_bytes)} to {_gib(estimate.high_bytes)} "
        f"(+-{UNCERTAINTY:.0%})"
    )
    against = f"; the GPU has {_gib(memory)}" if memory else ""
    lines = [
        head,
        detail,
        "",
        f"  {verdict_text(found.verdict)}: {spread}{against}",
        f"  the peak is the {estimate.moment}, and most of it {estimate.dominant}",
        *(f"  not given: {one}" for one in found.question.missing),
        "",
        _items(estimate.items),
    ]
    return "\n".join(lines)


def _items(items: Sequence[LineItem]) -> str:
    return table(
        [(f"  {one.name}", _gib(one.bytes), one.provenance) for one in items],
        heads=("  at the peak", "GiB", "known as"),
    )


def _length(budget: ServingBudget) -> int:
    value = budget.setting("max_model_len")
    return int(value) if isinstance(value, int | float) else 0


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _round(value: float) -> str:
    """Two digits are all that such an interval knows."""
    if value < 10:
        return f"{value:.1f}"
    digits = len(str(int(value))) - 2
    return f"{round(value / 10**digits) * 10**digits:,}"


def cards_text(count: int, gpu: str) -> str:
    return f"{count} x {gpu}"


def engine_text(budget: ServingBudget) -> str:
    return f"{budget.engine} {budget.engine_version}"


def verdict_text(verdict: str) -> str:
    return style(verdict, _VERDICT_COLOURS[verdict], bold=True)


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"
