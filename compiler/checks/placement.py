"""Where a service's pods go: a workload that can hold them, GPUs that the pools have, drivers that run the engine.

Reports `workload-mismatch`, `hosted-mismatch`, `gpus-and-ranks`, `no-gpu-pool`, `gpu-quota`, `cuda-driver`,
`volume-access`, `api-mismatch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.checks.engine_facts import engine_version, named_version
from compiler.checks.question import GraphCheck
from compiler.checks.service_gpus import ON_GPUS, gpu_types
from compiler.diagnostics.catalogue import (
    API_MISMATCH,
    CUDA_DRIVER,
    GPU_QUOTA,
    GPUS_AND_RANKS,
    HOSTED_MISMATCH,
    NO_GPU_POOL,
    VOLUME_ACCESS,
    WORKLOAD_MISMATCH,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.sizing.engines import version_number
from compiler.sizing.gpus import find_gpu
from compiler.source import Span
from llmops_spec.environment import GpuPool
from llmops_spec.evaluation import Evaluation
from llmops_spec.gpu import Gpu
from llmops_spec.model import Model
from llmops_spec.service import Service, ServiceSpec
from llmops_spec.training import Training

WORKLOADS = {
    "transformers": ("deployment",),
    "vllm": ("deployment", "leader-worker-set", "kserve", "ray"),
    "sglang": ("deployment", "leader-worker-set", "kserve"),
    "triton": ("deployment", "kserve"),
    "container": ("deployment", "kserve"),
}
"""Engine to the workloads in which its project documents how to run it."""
OF_SEVERAL_PODS = ("leader-worker-set", "ray")
"""Workloads in which several pods make one replica."""


def workloads_hold_the_engine(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        spec = service.spec
        fitting = WORKLOADS.get(spec.engine.name)
        if fitting is None:
            continue
        if spec.workload not in fitting:
            yield WORKLOAD_MISMATCH.at(
                node.span("spec", "workload"),
                f"engine `{spec.engine.name}` does not run in a workload of kind `{spec.workload}`",
                related=[Label(span=node.key_span("spec", "engine", spec.engine.name), text="the engine")],
                help=f"use one of {', '.join(f'`{one}`' for one in fitting)}",
            )
        elif spec.nodes > 1 and spec.workload not in OF_SEVERAL_PODS:
            several = [one for one in fitting if one in OF_SEVERAL_PODS]
            yield WORKLOAD_MISMATCH.at(
                node.span("spec", "nodes"),
                f"a replica of {spec.nodes} pods needs a workload that starts them together, which `{spec.workload}`"
                " does not",
                help=f"set `workload: {several[0]}`" if several else "use one pod, or engine `vllm`",
            )


def hosted_models_have_hosted_engines(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        model, declared = graph.get(Model, service.spec.model), graph.node(Model, service.spec.model)
        if model is None or declared is None:
            continue
        hosted_model, hosted_engine = model.spec.from_.hosted is not None, service.spec.engine.hosted is not None
        place = node.key_span("spec", "engine") if node.has("spec", "engine") else node.span("spec", "model")
        source = Label(span=declared.key_span("spec", "from"), text="where the model comes from")
        if hosted_model and not hosted_engine:
            said = f"model `{declared.name}` is hosted, so engine `{service.spec.engine.name}` has no weights to load"
            yield HOSTED_MISMATCH.at(place, said, related=[source], help="write `engine: {hosted: {}}`")
        elif hosted_engine and not hosted_model:
            said = f"a hosted engine answers with a provider's model, and `{declared.name}` is weights of our own"
            advice = "name a model that is made `from: {hosted: …}`, or another engine"
            yield HOSTED_MISMATCH.at(place, said, related=[source], help=advice)
        elif hosted_engine and service.spec.gpu is not None:
            said = f"service `{node.name}` asks for GPUs, and its model runs on a provider's"
            yield HOSTED_MISMATCH.at(node.key_span("spec", "gpu"), said, help="remove `gpu`")


def hosted_models_are_asked_only(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """Nothing of a hosted model lies here: it is no base, no draft, and nothing that an engine of ours measures."""
    for place, described, name, advice in _loaded(graph):
        model, declared = graph.get(Model, name), graph.node(Model, name)
        if model is None or declared is None or model.spec.from_.hosted is None:
            continue
        yield HOSTED_MISMATCH.at(
            place,
            f"model `{name}` is hosted, so {described} has no weights to load",
            related=[Label(span=declared.key_span("spec", "from"), text="where the model comes from")],
            help=advice,
        )


def _loaded(graph: ResourceGraph) -> Iterator[tuple[Span, str, str, str]]:
    """Every place but a service's `model` that needs weights: where, what for, the model, and what to do about it."""
    weights = "name a model with weights of its own"
    for node, training in graph.of(Training):
        yield node.span("spec", "base"), f"training `{node.name}`", training.spec.base, weights
    for node, evaluation in graph.of(Evaluation):
        subject = evaluation.spec.subject
        if subject.engine.hosted is None:
            place, advice = node.span("spec", "subject", "model"), "write `engine: {hosted: {}}` in its `subject`"
            yield place, f"the engine of evaluation `{node.name}`", subject.model, advice
    for node, service in graph.of(Service):
        vllm = service.spec.engine.vllm
        if vllm is not None and vllm.draft_model is not None:
            place = node.span("spec", "engine", "vllm", "draftModel")
            yield place, f"the engine of service `{node.name}`", vllm.draft_model, weights


def ranks_are_the_gpus(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        spec = service.spec
        if spec.parallelism is None or spec.engine.hosted is not None or (spec.gpu is None and _needs_gpu(spec)):
            continue
        ranks, axes = spec.parallelism.ranks, spec.parallelism
        gpus = spec.gpu.count * spec.nodes if spec.gpu is not None else 0
        if ranks == gpus:
            continue
        arithmetic = f"tensor {axes.tensor} × pipeline {axes.pipeline} × data {axes.data} = {ranks}"
        have = f"{spec.gpu.count} × {spec.nodes} pods = {gpus}" if spec.gpu is not None else "no GPU is asked for"
        yield GPUS_AND_RANKS.at(
            node.key_span("spec", "parallelism"),
            f"a replica of service `{node.name}` has {ranks} rank{'s' * (ranks != 1)} and {gpus or 'no'}"
            f" GPU{'s' * (gpus != 1)}",
            related=[Label(span=node.span("spec", "gpu", "count"), text="GPUs of one pod")] if spec.gpu else [],
            note=f"{arithmetic}; {have}",
            help=f"ask for {ranks} GPUs in all, or set `parallelism: {{tensor: {gpus}}}`"
            if gpus
            else f"add `gpu: {{type: …, count: {ranks}}}`",
        )


def _needs_gpu(spec: ServiceSpec) -> bool:
    """Without one, `missing-gpu` says so."""
    return spec.engine.name in ON_GPUS


def gpus_take_part(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """Several GPUs without a word on how the model is spread over them."""
    for node, service in graph.of(Service):
        spec = service.spec
        if spec.gpu is None or spec.parallelism is not None or spec.engine.hosted is not None:
            continue
        gpus = spec.gpu.count * spec.nodes
        if gpus > 1 and spec.engine.container is None:
            yield GPUS_AND_RANKS.at(
                node.span("spec", "gpu", "count") if spec.gpu.count > 1 else node.span("spec", "nodes"),
                f"a replica of service `{node.name}` has {gpus} GPUs, and its model is spread over one",
                note="engines use one GPU unless they are told otherwise; the others would be paid for and idle",
                help="set `count: 1`: engine `transformers` spreads no model"
                if spec.engine.transformers is not None
                else f"add `parallelism: {{tensor: {gpus}}}`, if the model divides by it; or ask for one GPU",
            )


# --- what the environment has


def pools_have_the_gpus(graph: ResourceGraph) -> Iterator[Diagnostic]:
    pools = graph.environment.spec.gpu_pools
    if not pools:
        return
    for node, service in graph.of(Service):
        gpu = service.spec.gpu
        if gpu is None or any(pool.gpus_per_node >= gpu.count for pool in _pools_for(gpu, pools)):
            continue
        named = (*gpu_types(gpu), *(pool.gpu for pool in pools))
        if any(find_gpu(one) is None for one in named):
            continue  # `unknown-gpu` says so
        matching = _pools_for(gpu, pools)
        listed = Label(span=graph.environment_node.key_span("spec", "gpuPools"), text="the pools")
        if matching:
            most = max(pool.gpus_per_node for pool in matching)
            yield NO_GPU_POOL.at(
                node.span("spec", "gpu", "count"),
                f"a pod of service `{node.name}` asks for {gpu.count} GPUs, and no machine has more than {most}",
                related=[listed],
                help=_spread(service.spec, gpu.count, most),
            )
        else:
            offered = ", ".join(sorted({pool.gpu for pool in pools}))
            wanted = " or ".join(f"`{one}`" for one in gpu_types(gpu))
            yield NO_GPU_POOL.at(
                node.span("spec", "gpu", "type"),
                f"no pool of environment `{graph.environment.metadata.name}` has GPUs of type {wanted}",
                related=[listed],
                help=f"ask for {offered}, or add a pool",
            )


def _spread(spec: ServiceSpec, count: int, most: int) -> str:
    """As many GPUs in all, on machines that have at most so many."""
    each = max(one for one in range(1, most + 1) if count % one == 0)
    several = [one for one in WORKLOADS.get(spec.engine.name, ()) if one in OF_SEVERAL_PODS]
    if not several:
        return f"ask for {most} at most, or add a pool of larger machines"
    workload = "" if spec.workload in several else f", in `workload: {several[0]}`"
    return f"set `count: {each}` and `nodes: {count // each * spec.nodes}`{workload}; or add a pool of larger machines"


def _pools_for(gpu: Gpu, pools: list[GpuPool]) -> list[GpuPool]:
    """Pools whose GPU is one of those that will do, by whatever names they are called."""
    wanted = {_card(one) for one in gpu_types(gpu)}
    return [pool for pool in pools if _card(pool.gpu) in wanted]


def _card(name: str) -> str:
    found = find_gpu(name)
    return found.name if found is not None else name


@dataclass(frozen=True, kw_only=True)
class _Demand:
    """GPUs that a service holds at most, while a new version starts."""

    node: ResourceNode
    steady: int
    surge: int


def quotas_hold_the_surge(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """A pool must hold every service that can only run there, at its largest, and one roll-out at a time."""
    for index, pool in enumerate(graph.environment.spec.gpu_pools):
        demands = [
            _demand(node, service.spec)
            for node, service in graph.of(Service)
            if service.spec.gpu is not None
            and [one.name for one in _pools_for(service.spec.gpu, graph.environment.spec.gpu_pools)] == [pool.name]
        ]
        if not demands:
            continue
        steady, surge = sum(one.steady for one in demands), max(one.surge for one in demands)
        free = pool.quota - pool.reserved
        if steady + surge <= free:
            continue
        listed = " + ".join(f"{one.steady} for `{one.node.name}`" for one in demands)
        largest = max(demands, key=lambda one: one.surge)
        yield GPU_QUOTA.at(
            graph.environment_node.span("spec", "gpuPools", index, "quota"),
            f"pool `{pool.name}` has {max(free, 0)} GPUs for services that need {steady + surge} while one rolls out",
            related=[Label(span=one.node.key_span("spec", "gpu"), text=f"{one.steady} GPUs") for one in demands],
            note=f"{listed} + {surge} for the new version of `{largest.node.name}` = {steady + surge}"
            f" > quota {pool.quota} - {pool.reserved} reserved = {free}",
            help=f"raise the quota to {steady + surge + pool.reserved}, or roll out with"
            " `rolling: {maxSurge: 0, maxUnavailable: 1}`"
            if steady <= free
            else "raise the quota, or lower the replicas",
        )


def _demand(node: ResourceNode, spec: ServiceSpec) -> _Demand:
    assert spec.gpu is not None  # asked for above
    replica = spec.gpu.count * spec.nodes
    replicas = spec.scaling.max if spec.scaling is not None else spec.replicas
    rollout = spec.rollout
    if rollout is None or rollout.canary is not None:
        extra = 1
    elif rollout.rolling is not None:
        extra = rollout.rolling.max_surge
    else:
        extra = replicas  # blue-green: a whole second set
    return _Demand(node=node, steady=replica * replicas, surge=replica * extra)


def drivers_run_the_engine(graph: ResourceGraph) -> Iterator[Diagnostic]:
    pools = graph.environment.spec.gpu_pools
    for node, service in graph.of(Service):
        engine = engine_version(service.spec.engine)
        if engine is None or not engine.known or service.spec.gpu is None:
            continue
        for pool in _pools_for(service.spec.gpu, pools):
            if pool.driver_cuda is None or version_number(pool.driver_cuda)[0] >= engine.cuda_major:
                continue
            place = graph.environment_node.span("spec", "gpuPools", pools.index(pool), "driverCuda")
            yield CUDA_DRIVER.at(
                named_version(node, service.spec.engine),
                f"{engine.engine} {engine.version} is built for CUDA {engine.cuda}, and the driver of pool"
                f" `{pool.name}` runs CUDA {pool.driver_cuda} at most",
                related=[Label(span=place, text="the driver")],
                note="within one major version an older driver will do; across it the engine does not start",
                help=f"update the driver, or pin a version of {engine.engine} that is built for CUDA"
                f" {version_number(pool.driver_cuda)[0]}",
            )


def volumes_reach_every_pod(graph: ResourceGraph) -> Iterator[Diagnostic]:
    volume = graph.environment.spec.store.pvc
    if volume is None or volume.access_mode == "ReadWriteMany":
        return
    place = graph.environment_node.span("spec", "store", "pvc", "accessMode")
    if volume.access_mode == "ReadOnlyMany":
        said = f"nothing can be written to volume claim `{volume.claim}`, and jobs write what they make to the store"
        yield VOLUME_ACCESS.at(place, said, label="read only", help="use a claim with `ReadWriteMany`")
        return
    for node, service in graph.of(Service):
        spec = service.spec
        pods = (spec.scaling.max if spec.scaling is not None else spec.replicas) * spec.nodes
        if pods > 1:
            yield VOLUME_ACCESS.at(
                place,
                f"volume claim `{volume.claim}` can be mounted on one machine, and service `{node.name}` has up to"
                f" {pods} pods",
                label="one machine only",
                related=[Label(span=node.key_span("spec", _pods_key(spec)), text=f"{pods} pods")],
                note="the second pod that lands on another machine waits for ever",
                help="use a claim with `ReadWriteMany`",
            )


def _pods_key(spec: ServiceSpec) -> str:
    if spec.scaling is not None:
        return "scaling"
    return "replicas" if spec.replicas > 1 else "nodes"


def apis_agree(graph: ResourceGraph) -> Iterator[Diagnostic]:
    target = graph.environment.spec.target.kubernetes
    for node, service in graph.of(Service):
        route = service.spec.route
        if route is None:
            continue
        pool = Label(span=node.span("spec", "route", "pool"), text="the pool")
        for key, written in (("backend", route.backend), ("picker", route.picker)):
            if written != route.pool:
                yield API_MISMATCH.at(
                    node.span("spec", "route", key),
                    f"the {'route names' if key == 'backend' else 'picker watches'} `{written}`, and the pool is an"
                    f" object of `{route.pool}`",
                    related=[pool],
                    note="an object of another API version is another object: the route finds no backend",
                    help=f"write `{key}: {route.pool}`",
                )
        if target is not None and route.pool not in target.apis:
            yield API_MISMATCH.at(
                node.span("spec", "route", "pool"),
                f"environment `{graph.environment.metadata.name}` does not serve `{route.pool}`",
                related=[Label(span=graph.environment_node.key_span("spec", "target", "kubernetes"), text="its APIs")],
                help=f"add it to `apis` once the cluster has it, or use one of {', '.join(target.apis) or 'none'}",
            )


CHECKS = (
    GraphCheck(name="workload", ask=workloads_hold_the_engine),
    GraphCheck(name="hosted", ask=hosted_models_have_hosted_engines),
    GraphCheck(name="hosted-weights", ask=hosted_models_are_asked_only),
    GraphCheck(name="ranks", ask=ranks_are_the_gpus),
    GraphCheck(name="idle-gpus", ask=gpus_take_part),
    GraphCheck(name="gpu-pools", ask=pools_have_the_gpus),
    GraphCheck(name="gpu-quota", ask=quotas_hold_the_surge),
    GraphCheck(name="cuda-driver", ask=drivers_run_the_engine),
    GraphCheck(name="volume-access", ask=volumes_reach_every_pod),
    GraphCheck(name="route-apis", ask=apis_agree),
)
