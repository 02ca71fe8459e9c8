"""SGLang's pool: what is free after loading, less a share of what was free before. Called by `size_serving`.

No forward pass is profiled: the share left free must hold activations and graphs, so a pool that fits can still fail
when graphs are captured. The default share follows server_args (0.5.23).
"""

from __future__ import annotations

from typing import Final

from compiler.sizing.budget import GIB, LineItem, ServingBudget, Setting
from compiler.sizing.serving.other import (
    CONTEXT_BYTES,
    Pool,
    finished,
    length_of,
    model_items,
    refused,
    state_item,
    tightest,
)
from compiler.sizing.serving.plan import Plan
from compiler.sizing.weights import Stage

_MIB: Final = 2**20
_BY_MEMORY: Final = ((20, 2048, 8, 8), (35, 2048, 24, 80), (60, 4096, 32, 160), (160, 8192, 256, 512))
"""(GiB below which it holds, tokens of a prefill chunk, widest graph below four GPUs, and from four on)."""

_RESERVE_BYTES: Final = 10 * GIB
_LARGE_BYTES: Final = 60 * GIB
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
    chunk, graph = chunk_and_graph(plan)
    gpus = plan.parallel.gpus
    reserve = int((512 + 1.5 * chunk + 1024 * gpus / 8 + 2 * graph) * _MIB)
    if plan.total_bytes > _LARGE_BYTES:
        reserve = max(reserve, _RESERVE_BYTES)
    share = (plan.total_bytes - reserve) / plan.total_bytes
    return share * 0.95 if plan.architecture.multimodal else share


def chunk_and_graph(plan: Plan) -> tuple[int, int]:
    """(tokens of a prefill chunk, sequences of the widest graph) by the card's memory."""
    gib = plan.total_bytes / GIB
    for limit, chunk, few, many in _BY_MEMORY:
        if gib < limit:
            return plan.request.max_num_batched_tokens or chunk, few if plan.parallel.tensor < 4 else many
    return plan.request.max_num_batched_tokens or 16384, 512


def _pool(plan: Plan, stage: Stage, length: Setting) -> Pool:
    given = plan.request.gpu_memory_utilisation
    share = given or static_share(plan)
    before = plan.total_bytes - CONTEXT_BYTES
    budget = int(before * share)
    gpus = plan.parallel.gpus
    items = model_items(plan, stage)
    if gpus > 1:
        items.append(LineItem(name="non-torch", bytes=_NCCL_BYTES, provenance="measured", note=f"{gpus} GPUs"))
    sequences = plan.request.max_num_seqs or 256
    items.extend(state_item(plan, stage, sequences))
    return Pool(
        budget_bytes=budget,
        items=tuple(items),
        block_tokens=1,
        settings=(
            Setting(name="gpu_memory_utilisation", value=share, source="given" if given else "engine default"),
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
