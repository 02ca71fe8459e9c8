"""TensorRT-LLM's pool: a share of what is free after the engine is loaded. Called by `size_serving`.

The share means another thing than vLLM's: of what is left, not of the card. Triton with this back end follows it.
"""

from __future__ import annotations

from typing import Final

from compiler.sizing.budget import GIB, LineItem, ServingBudget, Setting
from compiler.sizing.serving.other import (
    Pool,
    finished,
    length_of,
    model_items,
    refused,
    sequences_of,
    state_item,
    tightest,
)
from compiler.sizing.serving.plan import Plan
from compiler.sizing.weights import Stage

_MEASURED: Final = (("h100", 5.0), ("gb300", 7.0))
"""GiB of runtime, decoder buffers and context: over 36 capacity points one constant for each GPU leaves a median error
of 0.7 % and 0.2 % in the maximum of sequences; it was chosen on those points."""

_BASE_GIB: Final = 4.2
_SHARE_OF_TOTAL: Final = 0.0101
"""The line through both, for cards without points."""


def size_tensorrt_llm(plan: Plan) -> ServingBudget:
    """The budget of the tightest stage."""
    length = length_of(plan)
    missing = (*plan.missing, *(() if length else ("max_model_len",)))
    if missing or length is None:
        return refused(plan, missing)
    return tightest([finished(plan, stage, int(length.value), _pool(plan, stage, length)) for stage in plan.stages])


def runtime_item(plan: Plan) -> LineItem:
    """What the engine holds beside its weights."""
    name = plan.request.gpu.name.casefold().replace(" ", "").replace("-", "")
    for word, gib in _MEASURED:
        if word in name:
            return LineItem(name="runtime", bytes=int(gib * GIB), provenance="measured", note=plan.request.gpu.name)
    size = int(_BASE_GIB * GIB + _SHARE_OF_TOTAL * plan.total_bytes)
    return LineItem(name="runtime", bytes=size, provenance="guess", note="between the cards with points")


def _pool(plan: Plan, stage: Stage, length: Setting) -> Pool:
    """The whole card, less what the engine holds, less the part of the rest that stays free."""
    given = plan.request.gpu_memory_utilisation
    share = given or plan.engine.gpu_memory_fraction or 0.9
    sequences = sequences_of(plan)
    items = [*model_items(plan, stage), runtime_item(plan), *state_item(plan, stage, int(sequences.value))]
    free = plan.total_bytes - sum(item.bytes for item in items)
    kept = int(max(0, free) * (1 - share))
    items.append(LineItem(name="kept free", bytes=kept, provenance="derived", note=f"{1 - share:.0%} of what is left"))
    return Pool(
        budget_bytes=plan.total_bytes,
        items=tuple(items),
        block_tokens=plan.engine.block_tokens,
        settings=(
            Setting(name="gpu_memory_utilisation", value=share, source="given" if given else "engine default"),
            sequences,
            length,
        ),
        whole_sequences=True,
    )
