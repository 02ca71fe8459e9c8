"""One-shot Jobs: each carries the payload file of one step, byte for byte the one that a local run is given.

Called by `lower`. A Job is named by its step's key, so the same work is the same Job. Neither Pulumi nor GitOps
registers them: the executor submits them as steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from backends.kubernetes.metadata import (
    PREFIX,
    TASK,
    Body,
    carried_annotations,
    carried_labels,
    common_labels,
    manifest,
)
from backends.kubernetes.names import job_name
from backends.kubernetes.pods import ENGINE_PORT, GATEWAY_PORT, Process, pod
from backends.kubernetes.site import Site
from compiler.plan import ArtifactStep, CheckData, Evaluate, Train, TransformData
from compiler.ports import KubernetesObject
from llmops_spec.base import Resource
from llmops_spec.dataset import Dataset
from llmops_spec.evaluation import Evaluation
from llmops_spec.payloads import process
from llmops_spec.payloads.base import Payload, payload_bytes
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload
from llmops_spec.service import ComputeResources, Service
from llmops_spec.training import Training

JobStep: TypeAlias = CheckData | TransformData | Train | Evaluate
"""`fetch` and `decide` are done by the command itself: they need the project's files and the signing key."""

_KINDS: Final[Mapping[str, type[Resource]]] = {
    "check-data": Dataset,
    "transform": Dataset,
    "train": Training,
    "evaluate": Evaluation,
}
_DATA: Final = ComputeResources(cpu="1", memory="2Gi")
_EVALUATE: Final = ComputeResources(cpu="1", memory="2Gi")
GATEWAY: Final = ComputeResources(cpu="1", memory="2Gi")
"""What a gateway asks for: its rails may load a library or two."""
_TRAIN_MEMORY: Final = "8Gi"

_DAY_SECONDS: Final = 86_400
"""How long a finished Job is kept to be looked at, and the longest that an evaluation may take: a candidate whose
engine never comes up would otherwise be started again for ever."""
_TRIES_AFTER_A_LOST_POD: Final = 3


def jobs(site: Site, steps: Iterable[ArtifactStep]) -> Iterable[KubernetesObject]:
    """ConfigMap and Job of every step that runs in the cluster, in the order of the steps."""
    for step in steps:
        if isinstance(step, JobStep):
            yield from _objects(site, step)


def _objects(site: Site, step: JobStep) -> Iterable[KubernetesObject]:
    resource_name = step.name.partition("@")[0]
    resource = site.graph.get(_KINDS[step.kind], resource_name)
    source = f"{_KINDS[step.kind].KIND.lower()}/{resource_name}"
    ours = {**common_labels(site.graph, name=resource_name, component=step.kind), TASK: step.kind}
    carried = carried_labels(resource, ours)
    marks = carried_annotations(
        resource, {f"{PREFIX}/step": f"{step.kind}/{step.name}", f"{PREFIX}/step-key": step.key}
    )
    metadata = {"name": job_name(step), "namespace": site.namespace, "labels": carried, "annotations": marks}
    yield manifest("v1", "ConfigMap", metadata, source=source, immutable=True, data=_payload_files(step.payload))
    template = {
        "metadata": {"labels": carried, "annotations": marks},
        "spec": _pod(site, step),
    }
    yield manifest(
        "batch/v1",
        "Job",
        metadata,
        source=source,
        spec={
            **({"activeDeadlineSeconds": _DAY_SECONDS} if isinstance(step, Evaluate) else {}),
            "backoffLimit": _TRIES_AFTER_A_LOST_POD,
            "completions": 1,
            "parallelism": 1,
            "podFailurePolicy": {"rules": _failure_rules(step)},
            "ttlSecondsAfterFinished": _DAY_SECONDS,
            "template": template,
        },
    )


def _failure_rules(step: JobStep) -> list[Body]:
    """A task that gave its reason (exit code 1) would give it again; a pod that the cluster took away is made anew."""
    return [
        {"action": "FailJob", "onExitCodes": {"containerName": step.kind, "operator": "In", "values": [1, 2]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _payload_files(payload: Payload) -> Mapping[str, str]:
    """The task's payload, and beside it those of the processes that it asks."""
    files = {"payload.json": payload}
    for part in (getattr(payload, "engine", None), getattr(payload, "gateway", None)):
        if isinstance(part, EnginePayload | GatewayPayload):
            files[f"{part.task}.json"] = part
    return {name: payload_bytes(one).decode() for name, one in files.items()}


def _pod(site: Site, step: JobStep) -> Body:
    beside = _candidate(site, step) if isinstance(step, Evaluate) else ()
    task = Process(
        task=step.kind,
        image=site.images.runtime,
        payload="payload.json",
        resources=_task_resources(step),
        gpus=int(isinstance(step, Train) and step.payload.compute.device == "cuda"),
        environment=_task_environment(site, step, asks_a_gateway=bool(beside)),
        secrets=site.tracking_secrets() if isinstance(step, Train) else {},
        store="write",
    )
    return pod(task, config=job_name(step), claim=site.claim, restart="Never", beside=beside)


def _task_resources(step: JobStep) -> ComputeResources:
    if isinstance(step, Train):
        return ComputeResources(cpu=str(step.payload.compute.threads), memory=_TRAIN_MEMORY)
    return _EVALUATE if isinstance(step, Evaluate) else _DATA


def _task_environment(site: Site, step: JobStep, *, asks_a_gateway: bool) -> Mapping[str, str]:
    if isinstance(step, Train):
        return {**site.tracking_environment(), process.RUN_NAME: step.name}
    if asks_a_gateway:
        return {process.GATEWAY_URL: f"http://127.0.0.1:{GATEWAY_PORT}"}
    return {}


def _candidate(site: Site, step: Evaluate) -> tuple[Process, ...]:
    """Engine and gateway of the subject, as sidecars in the order in which each needs the one before."""
    engine, gateway = step.payload.engine, step.payload.gateway
    if engine is None or gateway is None:
        return ()
    return (
        engine_process(site, engine, resources=_as_served(site, engine)),
        gateway_process(site, engine_url=f"http://127.0.0.1:{ENGINE_PORT}"),
    )


def _as_served(site: Site, engine: EnginePayload) -> ComputeResources:
    """What the service of this model gives its engine: the candidate is measured on what it will run on."""
    for _, service in site.graph.of(Service):
        if service.spec.model == engine.model_name:
            return service.spec.resources
    return ComputeResources()


def engine_process(site: Site, engine: EnginePayload, *, resources: ComputeResources) -> Process:
    return Process(
        task="engine",
        image=site.images.engine,
        payload="engine.json",
        resources=resources,
        gpus=int(engine.transformers.device == "cuda"),
        port=ENGINE_PORT,
        restarted_when_unhealthy=True,
        store="read",
    )


def gateway_process(site: Site, *, engine_url: str) -> Process:
    return Process(
        task="gateway",
        image=site.images.runtime,
        payload="gateway.json",
        resources=GATEWAY,
        environment={process.ENGINE_URL: engine_url},
        port=GATEWAY_PORT,
    )
