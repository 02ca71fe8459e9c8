"""SGLang's pool: what is free after loading, less a share of what was free before. Called by `size_serving`.

No forward pass is profiled: the share left free must hold activations and graphs, so a pool that fits can still fail
when graphs are captured. The default share follows server_args (0.5.23; 0.4 had fixed ones).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compiler.sizing.budget import GIB, LineItem, ServingBudget, Setting
from compiler.sizing.serving.other import (
    CONTEXT_BYTES,
    Pool,
    batched_tokens_of,
    finished,
    length_of,
    model_items,
    refused,
    sequence_state_bytes,
    sequences_of,
    state_item,
    tightest,
)
from compiler.sizing.serving.plan import Plan
from compiler.sizing.weights import Stage

_MIB: Final = 2**20
_GRAPHS: Final = ((20, 8, 8), (35, 24, 80), (60, 32, 160), (160, 256, 512))
"""(GiB below which it holds, sequences of the widest graph below four GPUs, and from four on)."""

_STATES_SHARE: Final = 0.9 / 1.9
"""Of what weights leave, states take 0.9 for each 1 of keys and values (`mamba_full_memory_ratio`)."""

_RESERVE_BYTES: Final = 10 * GIB
_LARGE_BYTES: Final = 60 * GIB
_RESERVES_SINCE: Final = (0, 5)
_FIXED_SHARES: Final = ((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (1, 0.88))
"""(ranks from which it holds, default share) of 0.4, whatever the card (server_args 0.4.0)."""

_NCCL_BYTES: Final = int(0.35 * GIB)


def size_sglang(plan: Plan) -> ServingBudget:
    """The budget of the tightest stage."""
    length = length_of(plan)
    missing = (*plan.missing, *(() if length else ("max_model_len",)))
    if missing or length is None:
        return refused(plan, missing)
    return tightest([finished(plan, stage, int(length.value), _pool(plan, stage, length)) for stage in plan.stages])


def static_share(plan: Plan) -> float:
    """`mem_fraction_static` where it is not set: the total less a reserve for activations and graphs."""
    if plan.engine.number < _RESERVES_SINCE:
        share = next(share for ranks, share in _FIXED_SHARES if plan.parallel.tensor >= ranks)
        return share * 0.95 if plan.architecture.multimodal else share
    chunk, graph = chunk_and_graph(plan)
    gpus = plan.parallel.gpus
    reserve = int((512 + 1.5 * chunk + 1024 * gpus / 8 + 2 * graph) * _MIB)
    if plan.total_bytes > _LARGE_BYTES:
        reserve = max(reserve, _RESERVE_BYTES)
    share = (plan.total_bytes - reserve) / plan.total_bytes
    return share * 0.95 if plan.architecture.multimodal else share


def chunk_and_graph(plan: Plan) -> tuple[int, int]:
    """(tokens of a prefill chunk, sequences of the widest graph) by the card's memory."""
    gib, chunk = plan.total_bytes / GIB, int(batched_tokens_of(plan).value)
    for limit, few, many in _GRAPHS:
        if gib < limit:
            return chunk, few if plan.parallel.tensor < 4 else many
    return chunk, 512


def running(plan: Plan, stage: Stage, rest_bytes: int) -> Setting:
    """Requests in one step; by default no more than have room for their states in their share of the rest."""
    sequences, size = sequences_of(plan), sequence_state_bytes(plan, stage)
    if not size or sequences.source == "given":
        return sequences
    room = int(max(0, rest_bytes) * _STATES_SHARE) // size
    return replace(sequences, value=max(1, min(int(sequences.value), room)))


def _pool(plan: Plan, stage: Stage, length: Setting) -> Pool:
    given = plan.request.gpu_memory_utilisation
    share = given or static_share(plan)
    before = plan.total_bytes - CONTEXT_BYTES
    budget = int(before * share)
    gpus = plan.parallel.gpus
    items = model_items(plan, stage)
    if gpus > 1:
        items.append(LineItem(name="non-torch", bytes=_NCCL_BYTES, provenance="measured", note=f"{gpus} GPUs"))
    sequences = running(plan, stage, budget - sum(item.bytes for item in items))
    items.extend(state_item(plan, stage, int(sequences.value)))
    return Pool(
        budget_bytes=budget,
        items=tuple(items),
        block_tokens=plan.engine.block_tokens,
        settings=(
            Setting(name="gpu_memory_utilisation", value=share, source="given" if given else "engine default"),
            sequences,
            batched_tokens_of(plan),
            length,
        ),
        reasons=_late_failure(plan, before - budget),
    )


def _late_failure(plan: Plan, left: int) -> tuple[str, ...]:
    """Whether activations and graphs fit what is left free."""
    chunk, graph = chunk_and_graph(plan)
    architecture = plan.architecture
    width = 6 * architecture.intermediate_size / plan.parallel.tensor + 6 * architecture.hidden_size
    need = chunk * width + 4 * graph * architecture.vocabulary_size
    if not plan.request.enforce_eager:
        need += 0.5 * GIB
    if need <= left:
        return ()
    return (f"activations and graphs take about {need / GIB:.1f} GiB, {left / GIB:.1f} GiB are left free",)
