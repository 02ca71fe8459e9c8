"""Scaling and roll-out: triggers that exist and mean something, new versions that can start at all.

Reports `scale-to-zero`, `unknown-metric-name`, `scaling-metric`, `replicas-and-scaling`, `stuck-rollout`,
`unreachable-target`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.engine_facts import engine_version, named_version
from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import (
    REPLICAS_AND_SCALING,
    SCALE_TO_ZERO,
    SCALING_METRIC,
    STUCK_ROLLOUT,
    UNKNOWN_METRIC_NAME,
    UNREACHABLE_TARGET,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from compiler.sizing.engines import metric_version
from compiler.source import Span
from llmops_spec.rollout import Scaling
from llmops_spec.service import Service

FROM_OUTSIDE = frozenset({"requests-per-second", "gateway-queued-requests"})
"""Counted by the gateway, which stays when the engines are gone."""
FROM_ENGINE = frozenset({"queued-requests", "running-requests", "kv-cache-usage"})
FROM_MACHINE = frozenset({"gpu-utilization", "cpu"})
SHARES = frozenset({"kv-cache-usage", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage"})
"""Between 0 and 1, whatever their names say."""
KNOWN = FROM_OUTSIDE | FROM_ENGINE | FROM_MACHINE
MISLEADING = {
    "cpu": "the processor waits for the GPU, busy or not",
    "gpu-utilization": "a single request keeps a GPU at 100 %, and so do a hundred",
    "requests-per-second": "an answer that streams for a minute counts as much as one of a second",
}
"""Metrics that say little of how full an engine is that streams answers, and why."""


def one_word_for_the_number_of_replicas(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        if service.spec.scaling is not None and node.has("spec", "replicas"):
            yield REPLICAS_AND_SCALING.at(
                node.key_span("spec", "replicas"),
                f"service `{node.name}` has a fixed number of replicas and scales",
                related=[Label(span=node.key_span("spec", "scaling"), text="scales")],
                note="two controllers would set the number in turn",
                help="remove `replicas`; `scaling.min` is the least number",
            )


def triggers_outlive_the_pods(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        scaling = service.spec.scaling
        if scaling is None or not _cannot_wake(scaling) or not _is_reported(service, scaling.target.metric):
            continue
        yield SCALE_TO_ZERO.at(
            node.span("spec", "scaling", "target", "metric"),
            f"service `{node.name}` scales to zero by `{scaling.target.metric}`, which its own pods report",
            label="nobody reports it at zero",
            related=[Label(span=node.span("spec", "scaling", "min"), text="scales to zero")],
            note="once the last pod is gone there is no metric, and so nothing that starts the first one",
            help="scale by `gateway-queued-requests`, or set `min: 1`",
        )


def _cannot_wake(scaling: Scaling) -> bool:
    """Whether it may come to zero, by a metric that its own pods report."""
    return scaling.min == 0 and _comes_from_the_pods(scaling)


def _comes_from_the_pods(scaling: Scaling) -> bool:
    return ":" in scaling.target.metric or scaling.target.metric in FROM_ENGINE | FROM_MACHINE


def metrics_exist(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        scaling = service.spec.scaling
        if scaling is None:
            continue
        metric, name = scaling.target.metric, service.spec.engine.name
        place = node.span("spec", "scaling", "target", "metric")
        if ":" not in metric and metric not in KNOWN:
            said = f"`{metric}` is no metric that a service can scale by"
            yield UNKNOWN_METRIC_NAME.at(place, said, help=did_you_mean(metric, KNOWN))
        elif _is_reported(service, metric):
            continue
        elif ":" in metric and engine_version(service.spec.engine) is not None:
            yield from _engine_metric(node, service, metric)
        else:
            yield UNKNOWN_METRIC_NAME.at(
                place,
                f"engine `{name}` reports no metric `{metric}`",
                related=[Label(span=node.key_span("spec", "engine", name), text="the engine")],
                note=UNREPORTED[name],
                help="scale by `gateway-queued-requests`, which the gateway counts",
            )


UNREPORTED = {
    "hosted": "what is full or busy is the provider's, and not told",
    "transformers": "it has no metrics of its own",
}
"""Engines that report no metric of their own, and why. What a container's image reports is not known."""


def _is_reported(service: Service, metric: str) -> bool:
    """Whether the metric exists as far as is known; what an engine outside of the catalogue reports is not known."""
    if ":" not in metric:
        name = service.spec.engine.name
        of_engine = metric in FROM_ENGINE or (name == "hosted" and metric in FROM_MACHINE)
        return metric in KNOWN and not (name in UNREPORTED and of_engine)
    if service.spec.engine.name in UNREPORTED:
        return False
    engine = engine_version(service.spec.engine)
    return engine is None or not engine.known or not engine.metrics or metric in engine.metrics.values()


def _engine_metric(node: ResourceNode, service: Service, metric: str) -> Iterator[Diagnostic]:
    """An engine's own metric that its pinned version does not report."""
    engine = engine_version(service.spec.engine)
    if engine is None:
        return
    reported = sorted(engine.metrics.values())
    ever = metric_version(engine.engine, metric)
    when = ""
    if ever is not None:
        since, gone = ever
        when = f"it is reported since {since}" + (f", and no longer since {gone}" if gone else "")
    yield UNKNOWN_METRIC_NAME.at(
        node.span("spec", "scaling", "target", "metric"),
        f"{engine.engine} {engine.version} reports no metric `{metric}`",
        related=[Label(span=named_version(node, service.spec.engine), text="the version")],
        note=when or "an autoscaler that finds no metric never scales, and says so only in its own log",
        help=did_you_mean(metric, reported),
    )


def targets_can_be_reached(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        scaling = service.spec.scaling
        if scaling is None:
            continue
        most, why, place = _most(node, service, scaling.target.metric)
        if most is None or scaling.target.value < most:
            continue
        yield UNREACHABLE_TARGET.at(
            node.span("spec", "scaling", "target", "value"),
            f"`{scaling.target.metric}` never rises above {most:g}, and {scaling.target.value:g} is asked for",
            related=[Label(span=place, text="the most")] if place is not None else [],
            note=why,
            help=f"set a value below {most:g}, such as {most * 0.8:g}",
        )


def _most(node: ResourceNode, service: Service, metric: str) -> tuple[float | None, str, Span | None]:
    """The highest value that a metric can take; None where nothing bounds it."""
    if metric in SHARES:
        return 1.0, "it is a share: 1 is a full cache", None
    engine = service.spec.engine
    for name, key, limit in (
        ("vllm", "maxNumSeqs", engine.vllm.max_num_seqs if engine.vllm is not None else None),
        ("sglang", "maxRunningRequests", engine.sglang.max_running_requests if engine.sglang is not None else None),
    ):
        if metric == "running-requests" and limit is not None:
            return float(limit), "more requests wait than run", node.span("spec", "engine", name, key)
    return None, "", None


def metrics_suit_streams(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        scaling = service.spec.scaling
        if scaling is None or not _streams(service) or _cannot_wake(scaling):
            continue
        why = MISLEADING.get(scaling.target.metric)
        if why is not None and _is_reported(service, scaling.target.metric):
            from_outside = scaling.min == 0 or service.spec.engine.name in UNREPORTED
            yield SCALING_METRIC.at(
                node.span("spec", "scaling", "target", "metric"),
                f"`{scaling.target.metric}` says little of how full a service is that streams answers",
                note=why,
                help="scale by `gateway-queued-requests`"
                if from_outside
                else "scale by `queued-requests`, `kv-cache-usage` or `running-requests`",
            )


def _streams(service: Service) -> bool:
    """Whether callers may have answers as a stream: vectors and ranks come whole."""
    api = service.spec.api
    return api.streaming and any(one not in ("embeddings", "rerank") for one in api.endpoints)


def rollouts_can_move(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        rolling = service.spec.rollout.rolling if service.spec.rollout is not None else None
        if rolling is not None and rolling.max_surge == 0 and rolling.max_unavailable == 0:
            yield STUCK_ROLLOUT.at(
                node.key_span("spec", "rollout", "rolling"),
                f"service `{node.name}` may neither add a replica nor miss one while a new version starts",
                note="no pod can be replaced, so no new version ever starts",
                help="set `maxSurge: 1`, or `maxUnavailable: 1` where no GPU is spare",
            )


CHECKS = (
    GraphCheck(name="replicas", ask=one_word_for_the_number_of_replicas),
    GraphCheck(name="scale-to-zero", ask=triggers_outlive_the_pods),
    GraphCheck(name="scaling-metric-exists", ask=metrics_exist),
    GraphCheck(name="scaling-metric-suits", ask=metrics_suit_streams),
    GraphCheck(name="scaling-target", ask=targets_can_be_reached),
    GraphCheck(name="rollout-moves", ask=rollouts_can_move),
)
