"""TGI's pool: a share of the card, less what is used after one full prefill. Called by `size_serving`.

TGI is archived upstream: it is sized, not rendered. Failures after a successful warm-up are documented (issue 2744).
"""

from __future__ import annotations

from typing import Final

from compiler.sizing.budget import LineItem, ServingBudget, Setting
from compiler.sizing.serving.other import (
    CONTEXT_BYTES,
    Pool,
    batched_tokens_of,
    finished,
    length_of,
    model_items,
    refused,
    sequences_of,
    tightest,
)
from compiler.sizing.serving.plan import Plan
from compiler.sizing.weights import Stage

WIGGLE: Final = 0.90
"""The part of the asked share that TGI takes (TGI_WIGGLE_ROOM)."""


def size_tgi(plan: Plan) -> ServingBudget:
    """The budget of one shard."""
    length = length_of(plan)
    missing = (*plan.missing, *(() if length else ("max_model_len",)))
    if missing or length is None:
        return refused(plan, missing)
    return tightest([finished(plan, stage, int(length.value), _pool(plan, stage, length)) for stage in plan.stages])


def _pool(plan: Plan, stage: Stage, length: Setting) -> Pool:
    given = plan.request.gpu_memory_utilisation
    share = given or plan.engine.gpu_memory_fraction or 1.0
    batched = batched_tokens_of(plan)
    tokens = int(batched.value)
    architecture = plan.architecture
    width = 6 * architecture.intermediate_size / plan.parallel.tensor + 8 * architecture.hidden_size
    items = [
        *model_items(plan, stage),
        LineItem(name="prefill", bytes=int(tokens * width), provenance="derived", note=f"{tokens:,} tokens"),
        LineItem(name="context", bytes=CONTEXT_BYTES, provenance="measured", note="CUDA context"),
    ]
    return Pool(
        budget_bytes=int(share * WIGGLE * plan.total_bytes),
        items=tuple(items),
        block_tokens=plan.engine.block_tokens,
        settings=(
            Setting(name="gpu_memory_utilisation", value=share, source="given" if given else "engine default"),
            sequences_of(plan),
            batched,
            length,
        ),
    )
