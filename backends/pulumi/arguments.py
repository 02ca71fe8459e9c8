"""Which class of `pulumi_kubernetes` stands for which part of an object that we render.

Called by `program`. A kind or a part that is not here cannot be registered, and says so when it is written rather
than when it is run; the tests run every program against the library itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from backends.pulumi.code import Call, Expression, Name
from compiler.ports import KubernetesObject
from llmops_spec.digests import Json

LIBRARY: Final = "kubernetes"
"""How programs import `pulumi_kubernetes`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A class, and the classes of those of its fields that are not plain values."""

    name: str
    fields: Mapping[str, Part] = field(default_factory=dict)
    """By the name on the wire. A list takes the class of its items."""


def _core(name: str, **fields: Part) -> Part:
    return Part(name=f"core.v1.{name}Args", fields=fields)


def _wall(name: str, **fields: Part) -> Part:
    return Part(name=f"networking.v1.NetworkPolicy{name}Args", fields=fields)


_META: Final = Part(name="meta.v1.ObjectMetaArgs")
_SELECTOR: Final = Part(name="meta.v1.LabelSelectorArgs")
_PROBE: Final = _core("Probe", httpGet=_core("HTTPGetAction"))
_CONTAINER: Final = _core(
    "Container",
    env=_core("EnvVar"),
    ports=_core("ContainerPort"),
    startupProbe=_PROBE,
    readinessProbe=_PROBE,
    livenessProbe=_PROBE,
    resources=_core("ResourceRequirements"),
    securityContext=_core("SecurityContext", capabilities=_core("Capabilities")),
    volumeMounts=_core("VolumeMount"),
)
_POD: Final = _core(
    "PodSpec",
    containers=_CONTAINER,
    initContainers=_CONTAINER,
    securityContext=_core("PodSecurityContext", seccompProfile=_core("SeccompProfile")),
    volumes=_core(
        "Volume",
        configMap=_core("ConfigMapVolumeSource"),
        persistentVolumeClaim=_core("PersistentVolumeClaimVolumeSource"),
        emptyDir=_core("EmptyDirVolumeSource"),
    ),
)
_DEPLOYMENT: Final = Part(
    name="apps.v1.DeploymentSpecArgs",
    fields={
        "selector": _SELECTOR,
        "strategy": Part(
            name="apps.v1.DeploymentStrategyArgs",
            fields={"rollingUpdate": Part(name="apps.v1.RollingUpdateDeploymentArgs")},
        ),
        "template": _core("PodTemplateSpec", metadata=_META, spec=_POD),
    },
)
_PEER: Final = _wall("Peer", podSelector=_SELECTOR, namespaceSelector=_SELECTOR)
_WALL: Final = _wall(
    "Spec",
    podSelector=_SELECTOR,
    ingress=_wall("IngressRule", **{"from": _PEER, "ports": _wall("Port")}),
    egress=_wall("EgressRule", to=_PEER, ports=_wall("Port")),
)
_BUDGET: Final = Part(name="policy.v1.PodDisruptionBudgetSpecArgs", fields={"selector": _SELECTOR})

RESOURCES: Final[Mapping[tuple[str, str], Part]] = {
    ("v1", "Namespace"): Part(name="core.v1.Namespace", fields={"metadata": _META}),
    ("v1", "ServiceAccount"): Part(name="core.v1.ServiceAccount", fields={"metadata": _META}),
    ("v1", "ConfigMap"): Part(name="core.v1.ConfigMap", fields={"metadata": _META}),
    ("v1", "Service"): Part(
        name="core.v1.Service",
        fields={"metadata": _META, "spec": _core("ServiceSpec", ports=_core("ServicePort"))},
    ),
    ("apps/v1", "Deployment"): Part(name="apps.v1.Deployment", fields={"metadata": _META, "spec": _DEPLOYMENT}),
    ("networking.k8s.io/v1", "NetworkPolicy"): Part(
        name="networking.v1.NetworkPolicy", fields={"metadata": _META, "spec": _WALL}
    ),
    ("policy/v1", "PodDisruptionBudget"): Part(
        name="policy.v1.PodDisruptionBudget", fields={"metadata": _META, "spec": _BUDGET}
    ),
}


def resource_call(one: KubernetesObject, options: Mapping[str, Expression]) -> Call:
    """The call that registers one object under its own name.

    Raises:
        LookupError: the kind is not in the table.
    """
    kind = (str(one.body["apiVersion"]), one.kind)
    if kind not in RESOURCES:
        raise LookupError(f"no class of pulumi_kubernetes is known for {kind[1]} of {kind[0]}")
    content = {key: value for key, value in one.body.items() if key not in ("apiVersion", "kind")}
    call = _call(content, RESOURCES[kind])
    named = {**call.named, "opts": Call(function=Name(path="pulumi.ResourceOptions"), named=options)}
    return Call(function=call.function, positional=[one.name], named=named)


def _call(value: Mapping[str, Json], part: Part) -> Call:
    named = {python_name(key): _expression(inner, part.fields.get(key)) for key, inner in value.items()}
    return Call(function=Name(path=f"{LIBRARY}.{part.name}"), named=named)


def _expression(value: Json, part: Part | None) -> Expression:
    if part is None:
        return value
    if isinstance(value, Mapping):
        return _call(value, part)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_expression(one, part) for one in value]
    return value


def python_name(wire: str) -> str:
    """`matchLabels` is `match_labels` in Python, and a keyword takes an underscore."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", wire).lower()
    return f"{snake}_" if snake in ("from", "import", "in", "is") else snake
