"""What the rules of SGLang, TGI and TensorRT-LLM share: length, pool, verdict. Called by those rules."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from compiler.sizing.budget import (
    GIB,
    LineItem,
    ServingBudget,
    Setting,
    lowered,
    margin_of,
    unknown_budget,
    verdict_of,
)
from compiler.sizing.engines import SchedulerDefaults
from compiler.sizing.key_value import stage_caches, state_bytes, sum_per_token
from compiler.sizing.serving.plan import Plan, draft_item, lora_item, weight_item
from compiler.sizing.weights import Stage

CONTEXT_BYTES: Final = int(0.45 * GIB)
"""The CUDA context of one process."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What one rank gives to keys and values under an engine's own rule."""

    budget_bytes: int
    items: tuple[LineItem, ...]
    block_tokens: int
    settings: tuple[Setting, ...]
    reasons: tuple[str, ...] = ()
    whole_sequences: bool = False
    """Concurrency counts whole sequences."""

    @property
    def bytes(self) -> int:
        """The pool itself; below 0 by what is lacking."""
        return self.budget_bytes - sum(item.bytes for item in self.items)


def length_of(plan: Plan) -> Setting | None:
    """The declared length with its source; None where neither the request nor the model has one."""
    if plan.request.max_model_len:
        return Setting(name="max_model_len", value=plan.request.max_model_len, source="given")
    positions = int((plan.architecture.max_positions or 0) * plan.architecture.rope_factor)
    return Setting(name="max_model_len", value=positions, source="model") if positions else None


def sequences_of(plan: Plan) -> Setting:
    """Requests in one step: as given, else the engine version's default on that card."""
    given, defaults = plan.request.max_num_seqs, _defaults(plan)
    return Setting(
        name="max_num_seqs", value=given or defaults.max_num_seqs, source="given" if given else "engine default"
    )


def batched_tokens_of(plan: Plan) -> Setting:
    """Tokens of one prefill step: as given, else the engine version's default on that card."""
    given = plan.request.max_num_batched_tokens
    value = given or _defaults(plan).max_num_batched_tokens or 0
    return Setting(name="max_num_batched_tokens", value=value, source="given" if given else "engine default")


def _defaults(plan: Plan) -> SchedulerDefaults:
    found = plan.engine.scheduler_defaults(
        usage="offline" if plan.request.offline else "server",
        gpu_name=plan.request.gpu.name,
        memory_bytes=plan.total_bytes,
    )
    return found or SchedulerDefaults(max_num_seqs=1, max_num_batched_tokens=None)


def model_items(plan: Plan, stage: Stage) -> list[LineItem]:
    """Weights with draft and adapters, and the states of running sequences."""
    items = [weight_item(plan, stage)]
    if plan.request.draft is not None:
        items.append(draft_item(plan, plan.request.draft))
    if plan.request.lora is not None:
        items.append(lora_item(plan, plan.request.lora, stage))
    return items


def state_item(plan: Plan, stage: Stage, sequences: int) -> tuple[LineItem, ...]:
    """States of `sequences` sequences, beside the pool of tokens."""
    size = sequence_state_bytes(plan, stage)
    if not size:
        return ()
    note = f"{sequences:,} sequences × {size:,} bytes"
    return (LineItem(name="states", bytes=size * sequences, provenance="derived", note=note),)


def sequence_state_bytes(plan: Plan, stage: Stage) -> int:
    """States of one sequence; 0 for models that keep none."""
    caches = stage_caches(plan.architecture, stage.start, stage.stop)
    return sum(state_bytes(cache, plan.terms) * count for cache, count in caches)


def refused(plan: Plan, missing: tuple[str, ...]) -> ServingBudget:
    """A budget without figures."""
    reason = f"needed and not known: {', '.join(missing)}"
    return unknown_budget(plan.engine.engine, plan.engine.version, plan.parallel.gpus, missing, reason)


def finished(plan: Plan, stage: Stage, length: int, pool: Pool) -> ServingBudget:
    """Tokens, concurrency and verdict of one rank's pool."""
    per_token = sum_per_token(stage_caches(plan.architecture, stage.start, stage.stop), plan.terms)
    block = ceil(per_token * pool.block_tokens)
    needed = ceil(length / pool.block_tokens) * block
    blocks = max(0, pool.bytes // block) if block else 0
    tokens = blocks * pool.block_tokens
    concurrency = blocks / ceil(length / pool.block_tokens) if block else 0.0
    margin = margin_of(pool.budget_bytes, doubled=_doubled(plan))
    verdict = verdict_of(pool.bytes - needed, margin)
    if pool.reasons or plan.architecture.assumed or not plan.engine.known:
        verdict = lowered(verdict)
    return ServingBudget(
        verdict=verdict,
        engine=plan.engine.engine,
        engine_version=plan.engine.version,
        gpus=plan.parallel.gpus,
        total_bytes=plan.total_bytes,
        budget_bytes=pool.budget_bytes,
        weights_bytes=pool.items[0].bytes,
        items=pool.items,
        pool_bytes=pool.bytes,
        needed_bytes=needed,
        margin_bytes=margin,
        kv_tokens=tokens,
        concurrency=float(int(concurrency)) if pool.whole_sequences else concurrency,
        settings=pool.settings,
        reasons=(*pool.reasons, *plan.architecture.assumed),
    )


def tightest(budgets: list[ServingBudget]) -> ServingBudget:
    """The stage with the fewest tokens, which the others follow."""
    return min(budgets, key=lambda budget: (budget.kv_tokens, budget.pool_bytes))


def _doubled(plan: Plan) -> bool:
    architecture = plan.architecture
    return architecture.multimodal or architecture.hybrid or (architecture.experts > 0 and plan.parallel.experts)
