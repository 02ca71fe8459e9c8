"""Everything that stays in the cluster: the namespace with its walls, and the pair of processes of each service.

Called by `lower`. `provision` registers exactly these objects, through Pulumi or by publishing the files.

An engine's objects are named by its revision, the digest of its payload and image. A new one therefore stands
beside the old one, gateways move over by a rolling update once it is healthy, and what no spec names any more goes
last. So no request ever meets a gateway and an engine that were not judged together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from backends.kubernetes.jobs import engine_process, gateway_process
from backends.kubernetes.metadata import (
    CLIENT,
    REVISION,
    ROLE,
    SERVICE,
    TASK,
    Body,
    carried_annotations,
    carried_labels,
    common_labels,
    manifest,
)
from backends.kubernetes.names import DIGEST_LENGTH, digest_name, plain_name
from backends.kubernetes.pods import ENGINE_PORT, GATEWAY_PORT, GRACE_SECONDS, STARTUP_SECONDS, Process, pod
from backends.kubernetes.site import Site
from compiler.ports import KubernetesObject, ServedPair
from llmops_spec.digests import digest, digest_bytes
from llmops_spec.payloads.base import payload_bytes
from llmops_spec.service import Service

SERVICE_ACCOUNT: Final = "llmops-serving"
_DNS_PORT: Final = 53
_HISTORY: Final = 3


def standing(site: Site, pairs: Iterable[ServedPair]) -> Iterable[KubernetesObject]:
    """In an order in which they can be applied one by one."""
    yield from _place(site)
    for pair in pairs:
        service = site.graph.get(Service, pair.service)
        if service is not None:
            yield from _service(site, service, pair)


def _place(site: Site) -> Iterable[KubernetesObject]:
    environment = site.graph.environment
    source = f"environment/{environment.metadata.name}"
    ours = common_labels(site.graph, name=environment.metadata.name, component="environment")
    carried, marks = carried_labels(environment, ours), carried_annotations(environment)
    security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", f"v{site.version}"))
    }
    yield manifest(
        "v1",
        "Namespace",
        {"name": site.namespace, "labels": {**carried, **security}, "annotations": marks},
        source=source,
    )
    here = {"namespace": site.namespace, "labels": carried, "annotations": marks}
    yield manifest(
        "v1",
        "ServiceAccount",
        {"name": SERVICE_ACCOUNT, **here},
        source=source,
        automountServiceAccountToken=False,
    )
    yield _policy("default-deny", here, source, selector={}, ingress=[], egress=[])
    if site.tracking_port is not None:
        yield _policy(
            "training-tracking",
            here,
            source,
            selector={TASK: "train"},
            egress=[_dns(), {"ports": [_tcp(site.tracking_port)]}],
        )


def _service(site: Site, service: Service, pair: ServedPair) -> Iterable[KubernetesObject]:
    revision = engine_revision(site, pair)
    engine = digest_name(pair.service, "engine", content=revision)
    spec = service.spec
    yield from _walls(site, service)
    grace = GRACE_SECONDS + int(spec.requests.timeout_seconds)
    yield from _role(
        site,
        service,
        role="engine",
        name=engine,
        process=engine_process(site, pair.engine, resources=spec.resources),
        payload=payload_bytes(pair.engine),
        selector={REVISION: revision},
        grace_seconds=grace,
    )
    yield from _role(
        site,
        service,
        role="gateway",
        name=plain_name(pair.service, "gateway"),
        process=gateway_process(site, engine_url=f"http://{engine}:{ENGINE_PORT}"),
        payload=payload_bytes(pair.gateway),
        selector={},
        grace_seconds=grace,
    )


def engine_revision(site: Site, pair: ServedPair) -> str:
    """What an engine is: equal revisions answer alike."""
    return digest({"payload": pair.engine.key_view(), "image": site.images.engine})[:DIGEST_LENGTH]


def _role(
    site: Site,
    service: Service,
    *,
    role: str,
    name: str,
    process: Process,
    payload: bytes,
    selector: Mapping[str, str],
    grace_seconds: int,
) -> Iterable[KubernetesObject]:
    source = f"service/{service.metadata.name}"
    chosen: Body = {**_role_selector(service, role), **selector}
    carried = carried_labels(
        service, {**common_labels(site.graph, name=service.metadata.name, component=role), **chosen}
    )
    marks = carried_annotations(service)
    here = {"namespace": site.namespace, "labels": carried, "annotations": marks}
    config = digest_name(service.metadata.name, role, content=digest_bytes(payload))
    yield manifest(
        "v1",
        "ConfigMap",
        {"name": config, **here},
        source=source,
        immutable=True,
        data={process.payload: payload.decode()},
    )
    inner = pod(process, config=config, claim=site.claim, restart="Always", grace_seconds=grace_seconds)
    template = {
        "metadata": {"labels": carried, "annotations": marks},
        "spec": {"serviceAccountName": SERVICE_ACCOUNT, **inner},
    }
    yield manifest(
        "apps/v1", "Deployment", {"name": name, **here}, source=source, spec=_deployment(service, chosen, template)
    )
    yield manifest(
        "v1",
        "Service",
        {"name": name, **here},
        source=source,
        spec={
            "type": "ClusterIP",
            "selector": chosen,
            "ports": [{"name": "http", "port": process.port, "targetPort": "http", "protocol": "TCP"}],
        },
    )
    if service.spec.replicas > 1:
        yield manifest(
            "policy/v1",
            "PodDisruptionBudget",
            {"name": name, **here},
            source=source,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": chosen}},
        )


def _deployment(service: Service, selector: Body, template: Body) -> Body:
    return {
        "replicas": service.spec.replicas,
        "revisionHistoryLimit": _HISTORY,
        "progressDeadlineSeconds": STARTUP_SECONDS + 60,
        "selector": {"matchLabels": selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template,
    }


def _walls(site: Site, service: Service) -> Iterable[KubernetesObject]:
    """What default-deny still lets through: clients to gateway, gateway to engine, and the look-up of its name."""
    source = f"service/{service.metadata.name}"
    for role in ("engine", "gateway"):
        ours = common_labels(site.graph, name=service.metadata.name, component=role)
        here = {
            "namespace": site.namespace,
            "labels": carried_labels(service, ours),
            "annotations": carried_annotations(service),
        }
        name = plain_name(service.metadata.name, role)
        own = _role_selector(service, role)
        if role == "engine":
            callers, port = _role_selector(service, "gateway"), ENGINE_PORT
            egress: list[Body] = []
        else:
            callers, port = {CLIENT: "true"}, GATEWAY_PORT
            to_engine = {"to": [_pods(_role_selector(service, "engine"))], "ports": [_tcp(ENGINE_PORT)]}
            egress = [_dns(), to_engine]
        ingress = [{"from": [_pods(callers)], "ports": [_tcp(port)]}]
        yield _policy(name, here, source, selector=own, ingress=ingress, egress=egress)


def _role_selector(service: Service, role: str) -> Mapping[str, str]:
    return {SERVICE: service.metadata.name, ROLE: role}


def _policy(
    name: str,
    here: Body,
    source: str,
    *,
    selector: Body,
    ingress: Sequence[Body] | None = None,
    egress: Sequence[Body] | None = None,
) -> KubernetesObject:
    """A direction that is given, even as an empty list, is closed but for what the list says."""
    directions: dict[str, Sequence[Body]] = {}
    if ingress is not None:
        directions["ingress"] = ingress
    if egress is not None:
        directions["egress"] = egress
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {"name": name, **here},
        source=source,
        spec={
            "podSelector": {"matchLabels": selector} if selector else {},
            "policyTypes": [one.capitalize() for one in directions],
            **directions,
        },
    )


def _pods(selector: Body) -> Body:
    return {"podSelector": {"matchLabels": selector}}


def _tcp(port: int) -> Body:
    return {"port": port, "protocol": "TCP"}


def _dns() -> Body:
    """The cluster's name server, wherever the cluster keeps it: port 53 of its system namespace."""
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    return {"to": [system], "ports": [{"port": _DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]}
