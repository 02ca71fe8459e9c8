"""vLLM's budget: a share of the card, less weights, the peak of a profiled forward pass, and what torch does not see.

Called by `size_serving`. The rule is that of vLLM's worker (`determine_available_memory`, read at 0.33.0); constants
were fitted on public logs (`measured` items), and versions differ by the facts of `compiler.sizing.engines`.
"""

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
from compiler.sizing.key_value import CacheGroups, Grouping, grouped, one_group, stage_caches, state_bytes
from compiler.sizing.layers import StateCache
from compiler.sizing.serving.encoder_profile import encoder_peak
from compiler.sizing.serving.plan import (
    Plan,
    absorbed_bytes,
    draft_item,
    lora_item,
    rotary_bytes,
    weight_item,
)
from compiler.sizing.weights import Stage

KAPPA: Final = {"pytorch": 38.4, "flashinfer": 12.0}
"""Bytes of the dummy sampler call per sequence and word of the vocabulary. Fitted on the llm-d H100 rows; on 16 other
printed peaks the median error is 0.6 %, the worst 7 %."""

_TRITON_SINCE: Final = (0, 17)
_TRITON_KAPPA: Final = 14.6
_TRITON_TOKENS: Final = 3
"""From 0.17 on the sampler's own kernel: 14.6 bytes a sequence and word, 3 bytes a token and feature. Fitted on the
six dense rows of 0.17 and 0.19 that the project's points mark `fit` (worst 0.6 %); Phi-4 and Llama-3.3-70B in FP8, held
aside, are met within 0.7 %."""

_NON_TORCH_GIB: Final = ((1, 0.08), (2, 0.35), (4, 0.6), (8, 0.8))
"""What NCCL and the driver take beside torch, by tensor ranks. Public logs show 0.02-0.14, 0.2-0.55, 0.6, 0.8."""

_SHARED_BUFFERS_SINCE: Final = (0, 18)
_LATE_SINGLE_GIB: Final = 0.25
_SHARED_BUFFERS_GIB: Final = 2.1
"""From 0.18 on: 0.25 on one GPU; 2.06-2.17 on two and four H100, whose ranks share symmetric memory."""

_STAGE_GIB: Final = 0.07
"""Of one rank of a pipeline without tensor parallelism (0.19, two to four stages)."""

_CONTEXT_BYTES: Final = int(0.45 * GIB)
"""The CUDA context, which lies outside the budget: free memory at start is the total less this."""

_WIDEST_CAPTURE: Final = 1024

_HYBRID_SINCE: Final = (0, 9, 1)
_NEAR: Final = (((0, 9, 1), 1.0), ((0, 10, 2), 1.25), ((0, 18), 1.5))
_STATES_CHECKED_SINCE: Final = (0, 17)
_TOKENS_FROM_CONCURRENCY_SINCE: Final = (0, 21)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The settings that decide vLLM's profiled peak and its pool."""

    utilisation: float
    sequences: int
    batched_tokens: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Rank:
    """What one pipeline stage leaves for its pool."""

    items: tuple[LineItem, ...]
    pool_bytes: int
    groups: CacheGroups | None

    @property
    def blocks(self) -> int:
        """Blocks of the pool; 0 where it is empty."""
        return max(0, self.pool_bytes // self.groups.block_bytes) if self.groups else 0


def size_vllm(plan: Plan) -> ServingBudget:
    """The budget of the tightest rank."""
    profile, settings = read_profile(plan)
    missing = list(plan.missing)
    if profile is None:
        missing.append("max_model_len")
    if missing or profile is None:
        reason = f"needed and not known: {', '.join(missing)}"
        return unknown_budget("vllm", plan.engine.version, plan.parallel.gpus, tuple(missing), reason)
    budget = ceil(plan.total_bytes * profile.utilisation)
    ranks = [rank_of(plan, profile, stage, budget) for stage in plan.stages]
    tightest = min(ranks, key=lambda rank: (rank.blocks if rank.groups else rank.pool_bytes, rank.pool_bytes))
    return _finished(plan, profile, settings, budget, tightest)


def read_profile(plan: Plan) -> tuple[Profile | None, tuple[Setting, ...]]:
    """The settings with their sources; None where the length is neither given nor declared by the model."""
    request, engine = plan.request, plan.engine
    length = request.max_model_len or int((plan.architecture.max_positions or 0) * plan.architecture.rope_factor)
    if not length:
        return None, ()
    defaults = engine.scheduler_defaults(
        usage="offline" if request.offline else "server", gpu_name=request.gpu.name, memory_bytes=plan.total_bytes
    )
    utilisation = request.gpu_memory_utilisation or engine.gpu_memory_fraction or 0.9
    sequences = request.max_num_seqs or (defaults.max_num_seqs if defaults else 256)
    batched = request.max_num_batched_tokens or _batched_tokens(
        plan, length, defaults and defaults.max_num_batched_tokens
    )
    profile = Profile(utilisation=utilisation, sequences=min(sequences, batched), batched_tokens=batched, length=length)
    return profile, (
        _setting("gpu_memory_utilisation", utilisation, given=request.gpu_memory_utilisation),
        _setting("max_num_seqs", profile.sequences, given=request.max_num_seqs),
        _setting("max_num_batched_tokens", batched, given=request.max_num_batched_tokens),
        Setting(name="max_model_len", value=length, source="given" if request.max_model_len else "model"),
    )


def rank_of(plan: Plan, profile: Profile, stage: Stage, budget: int) -> Rank:
    """The items and the pool of one stage."""
    items = [weight_item(plan, stage)]
    if extra := rotary_bytes(plan) + (absorbed_bytes(plan, stage) if plan.architecture.latent else 0):
        items.append(
            LineItem(name="derived tables", bytes=extra, provenance="derived", note="rotary positions, MLA copies")
        )
    if plan.request.draft is not None:
        items.append(draft_item(plan, plan.request.draft))
    if plan.request.lora is not None:
        items.append(lora_item(plan, plan.request.lora, stage))
    items.append(activation_item(plan, profile, stage))
    items.append(non_torch_item(plan))
    items.extend(graph_items(plan, profile))
    items.extend(_state_items(plan, profile, stage))
    pool = budget - sum(item.bytes for item in items)
    return Rank(items=tuple(items), pool_bytes=pool, groups=cache_groups(plan, profile, stage))


def activation_item(plan: Plan, profile: Profile, stage: Stage) -> LineItem:
    """max( T(6I/tp + 6h), κSV + cTh ): the forward pass of T tokens, or the dummy sampler call on the last stage.

    Beside it stand the workspaces of fused experts, which stay allocated. Stages before the last keep what they send.
    """
    architecture, tokens = plan.architecture, profile.batched_tokens
    hidden = architecture.hidden_size
    features = 6 if stage.last else 14
    forward = tokens * (6 * architecture.intermediate_size / plan.parallel.tensor + features * hidden)
    sampler = sampler_bytes(plan, profile) if stage.last else 0.0
    pictures = encoder_peak(architecture, plan.parallel.tensor, profile.sequences) if stage.first else 0.0
    words = f"{profile.sequences:,} sequences × {architecture.vocabulary_size:,} words"
    note = f"{tokens:,} tokens" if forward >= sampler else words
    size = int(max(forward, sampler) + expert_workspace(plan, tokens))
    if pictures > size:
        return LineItem(
            name="activation peak", bytes=int(pictures), provenance="guess", note="the encoder's largest input"
        )
    return LineItem(name="activation peak", bytes=size, provenance="measured", note=note)


def sampler_bytes(plan: Plan, profile: Profile) -> float:
    """The dummy sampler call with every sequence; 0 for encoders."""
    if plan.architecture.task == "encoder":
        return 0.0
    kappa, tokens = KAPPA[plan.engine.sampler], 2
    if plan.engine.sampler == "flashinfer" and plan.engine.number >= _TRITON_SINCE:
        kappa, tokens = _TRITON_KAPPA, _TRITON_TOKENS
    words = profile.sequences * plan.architecture.vocabulary_size
    return kappa * words + tokens * profile.batched_tokens * plan.architecture.hidden_size


def expert_workspace(plan: Plan, tokens: int) -> float:
    """Two buffers of fused experts for every choice of every token, wide enough for hidden and inner features.

    Explains 0.31, 0.45 and 0.52 GiB that three mixtures of experts printed beyond the sampler's peak (0.19). MXFP4
    kernels have none.
    """
    architecture = plan.architecture
    if not architecture.experts or plan.storage.format.experts_only:
        return 0.0
    width = architecture.expert_intermediate_size / (1 if plan.parallel.experts else plan.parallel.tensor)
    hidden = architecture.hidden_size
    return tokens * architecture.experts_per_token * 2 * (max(width, hidden) + max(2 * width, hidden))


def non_torch_item(plan: Plan) -> LineItem:
    """NCCL, symmetric memory and driver memory that torch does not see."""
    ranks = plan.parallel.tensor
    gib = next((value for limit, value in _NON_TORCH_GIB if ranks <= limit), _NON_TORCH_GIB[-1][1])
    if ranks == 1 and plan.parallel.pipeline > 1:
        gib = _STAGE_GIB
    elif plan.engine.number >= _SHARED_BUFFERS_SINCE:
        capability = plan.request.gpu.compute_capability
        shared = ranks > 1 and capability is not None and capability[0] in {9, 10}
        gib = _SHARED_BUFFERS_GIB if shared else max(gib, _LATE_SINGLE_GIB)
    return LineItem(name="non-torch", bytes=int(gib * GIB), provenance="measured", note=f"{ranks} rank(s)")


def graph_items(plan: Plan, profile: Profile) -> tuple[LineItem, ...]:
    """The estimate of CUDA graphs, where the version takes it off the budget."""
    if plan.request.enforce_eager or not plan.engine.graphs_in_budget:
        return ()
    note = f"{plan.architecture.layer_count} layers, captures for {profile.sequences:,} sequences"
    return (LineItem(name="CUDA graphs", bytes=graph_bytes(plan, profile), provenance="measured", note=note),)


def graph_bytes(plan: Plan, profile: Profile) -> int:
    """CUDA graphs of one rank: 0.2 GiB, and 0.02 GiB a layer where captures reach 512 sequences.

    Within 0.1 GiB of three printed figures (0.5, 1.13, 1.79); gpt-oss took 0.9 GiB more. Public logs span -0.9 to +2.0.
    """
    width = min(2 * profile.sequences, _WIDEST_CAPTURE) / _WIDEST_CAPTURE
    return int(GIB * (0.2 + 0.02 * width * plan.architecture.layer_count / plan.parallel.pipeline))


def cache_groups(plan: Plan, profile: Profile, stage: Stage) -> CacheGroups | None:
    """The blocks of one stage under the version's grouping; None where nothing is cached."""
    caches = stage_caches(plan.architecture, stage.start, stage.stop)
    if plan.architecture.task == "encoder" or not caches:
        return None
    if plan.engine.number < _HYBRID_SINCE or plan.engine.core == "v0":
        return one_group(caches, plan.terms, profile.length)
    near = next(factor for since, factor in reversed(_NEAR) if plan.engine.number >= since)
    return grouped(caches, plan.terms, profile.length, Grouping(near=near, batched_tokens=profile.batched_tokens))


def _finished(plan: Plan, profile: Profile, settings: tuple[Setting, ...], budget: int, rank: Rank) -> ServingBudget:
    groups = rank.groups
    needed = groups.needed_bytes if groups else 0
    concurrency = rank.blocks / groups.blocks_needed if groups and groups.blocks_needed else 0.0
    margin = margin_of(budget, doubled=_doubled(plan))
    verdict = verdict_of(rank.pool_bytes - needed, margin)
    reasons = list(_reasons(plan, profile, budget, rank))
    if any(reason.fatal for reason in reasons):
        verdict = "does-not-fit"
    elif reasons or plan.architecture.assumed or not plan.engine.known:
        verdict = lowered(verdict)
    return ServingBudget(
        verdict=verdict,
        engine="vllm",
        engine_version=plan.engine.version,
        gpus=plan.parallel.gpus,
        total_bytes=plan.total_bytes,
        budget_bytes=budget,
        weights_bytes=rank.items[0].bytes,
        items=rank.items,
        pool_bytes=rank.pool_bytes,
        needed_bytes=needed,
        margin_bytes=margin,
        kv_tokens=_printed_tokens(plan, profile, rank, concurrency),
        concurrency=concurrency,
        settings=settings,
        reasons=tuple(reason.text for reason in reasons),
    )


@dataclass(frozen=True, kw_only=True)
class _Reason:
    text: str
    fatal: bool = False


def _reasons(plan: Plan, profile: Profile, budget: int, rank: Rank) -> list[_Reason]:
    """What else stops the start, or makes it uncertain."""
    found: list[_Reason] = []
    beside = plan.total_bytes - budget
    if beside < _CONTEXT_BYTES // 2:
        text = f"{profile.utilisation:g} of the card leaves {beside / GIB:.2f} GiB for the CUDA context of about 0.45"
        found.append(_Reason(text=text, fatal=beside < _CONTEXT_BYTES // 4))
    found.extend(_capture_reasons(plan, profile, beside))
    groups = rank.groups
    checked = groups is not None and groups.state_groups and plan.engine.number >= _STATES_CHECKED_SINCE
    if checked and rank.blocks < profile.sequences:
        text = f"max_num_seqs {profile.sequences:,} is above the {rank.blocks:,} state blocks of the pool"
        found.append(_Reason(text=text, fatal=rank.blocks < 0.95 * profile.sequences))
    found.extend(_Reason(text=text) for text in plan.architecture.assumed)
    if not plan.engine.known:
        found.append(
            _Reason(text=f"vLLM {plan.engine.version} is not in the catalogue; facts of {plan.engine.facts_from}")
        )
    if plan.architecture.multimodal:
        found.append(
            _Reason(text="what profiling the encoder of pictures or sound takes is uncertain: 2 to 37 GiB in logs")
        )
    return found


def _capture_reasons(plan: Plan, profile: Profile, beside: int) -> list[_Reason]:
    """Before 0.21 graphs are captured out of what the budget leaves beside the context.

    gpt-oss-20b ran out of memory in the sampler's warm-up at 0.95 of an H100 and started at 0.90 (0.19): MXFP4 models
    are asked for the sampler's peak beside their graphs.
    """
    if plan.request.enforce_eager or plan.engine.graphs_in_budget:
        return []
    graphs = graph_bytes(plan, profile)
    need = graphs // 2
    if plan.storage.format.experts_only and plan.engine.core != "v0":
        need = graphs + GIB + int(sampler_bytes(plan, profile))
    left = beside - _CONTEXT_BYTES
    if left >= need:
        return []
    text = (
        f"graphs and warm-up take about {need / GIB:.1f} GiB beside the budget, {max(0, left) / GIB:.1f} GiB are left"
    )
    return [_Reason(text=text)]


def _printed_tokens(plan: Plan, profile: Profile, rank: Rank, concurrency: float) -> int:
    groups = rank.groups
    if groups is None:
        return 0
    if plan.engine.number >= _TOKENS_FROM_CONCURRENCY_SINCE:
        return int(concurrency * profile.length)
    return rank.blocks // groups.groups * groups.block_tokens


def _state_items(plan: Plan, profile: Profile, stage: Stage) -> tuple[LineItem, ...]:
    """V0 keeps the states of every sequence beside the pool."""
    if plan.engine.core != "v0" and plan.engine.number >= _HYBRID_SINCE:
        return ()
    size = sum(
        state_bytes(cache, plan.terms) * count
        for cache, count in stage_caches(plan.architecture, stage.start, stage.stop)
        if isinstance(cache, StateCache)
    )
    if not size:
        return ()
    note = f"{profile.sequences:,} sequences × {size:,} bytes"
    return (LineItem(name="states", bytes=size * profile.sequences, provenance="derived", note=note),)


def _batched_tokens(plan: Plan, length: int, default: int | None) -> int:
    chunked = plan.engine.chunked_prefill
    if chunked == "on" or (chunked == "long-context" and length > 32768):
        return default or 2048
    return max(length, default or 2048)


def _doubled(plan: Plan) -> bool:
    architecture = plan.architecture
    return architecture.multimodal or architecture.hybrid or (architecture.experts > 0 and plan.parallel.experts)


def _setting(name: str, value: float, *, given: float | None) -> Setting:
    return Setting(name=name, value=value, source="engine default" if given is None else "given")
