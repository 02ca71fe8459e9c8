"""Pods of our own runtime: one process a container, under the restricted pod security standard.

Called by `jobs` and `standing`. Promises of every pod made here: no root, no privilege, no capability, a read-only
root file system, the runtime's default seccomp profile, no token of the cluster, and folders of its own for each
process, so that a candidate's engine cannot write where its scorer reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from backends.kubernetes.metadata import Body
from llmops_spec.payloads import process
from llmops_spec.secret import KubernetesSecret
from llmops_spec.service import ComputeResources

STORE_PATH: Final = "/store"
PAYLOAD_PATH: Final = "/payload"
RESULT_PATH: Final = "/result"
HOME_PATH: Final = "/home/llmops"
USER_ID: Final = 10_001
"""User and group of the runtime image (`deploy/Containerfile`), and owner of what it writes to the store."""

ENGINE_PORT: Final = 8000
GATEWAY_PORT: Final = 8080

STARTUP_SECONDS: Final = 1800
"""Longest time a process may take to load its weights."""
_STARTUP_PERIOD_SECONDS: Final = 5
GRACE_SECONDS: Final = 30
"""Beside the longest answer: what a process may take to end what it has begun."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One `python -I -m llmops_runtime TASK` in a container."""

    task: str
    image: str
    payload: str
    """File name in the pod's ConfigMap."""
    resources: ComputeResources
    gpus: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, KubernetesSecret] = field(default_factory=dict)
    """Variables whose values the kubelet reads; no object that we render holds one."""
    port: int | None = None
    """Standing processes listen on it, and answer `/health` with 200 once they can take requests."""
    restarted_when_unhealthy: bool = False
    """Its health is its own, so a new process may cure it; a gateway's is that of its engine too."""
    store: Literal["read", "write"] | None = None


def pod(
    process_: Process,
    *,
    config: str,
    claim: str | None,
    restart: Literal["Always", "Never"],
    beside: Sequence[Process] = (),
    grace_seconds: int = GRACE_SECONDS,
) -> Body:
    """A pod of one process, and of others that must be healthy before it starts and end after it."""
    processes = (*beside, process_)
    sidecars: Body = (
        {"initContainers": [{**_container(one), "restartPolicy": "Always"} for one in beside]} if beside else {}
    )
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **sidecars,
        "containers": [_container(process_)],
        "volumes": [
            {"name": "payload", "configMap": {"name": config}},
            *([{"name": "store", "persistentVolumeClaim": {"claimName": claim}}] if _uses(processes, claim) else []),
            *({"name": f"{one.task}-{folder}", "emptyDir": {}} for one in processes for folder in _FOLDERS),
        ],
    }


_FOLDERS: Final = {"home": HOME_PATH, "temporary": "/tmp", "result": RESULT_PATH}  # noqa: S108  # of the container


def _uses(processes: Sequence[Process], claim: str | None) -> bool:
    return claim is not None and any(one.store for one in processes)


def _container(one: Process) -> Body:
    serving: Body = {}
    if one.port is not None:
        serving = {"ports": [{"name": "http", "containerPort": one.port, "protocol": "TCP"}], **_probes(one)}
    return {
        "name": one.task,
        "image": one.image,
        "command": ["python", "-I", "-m", "llmops_runtime", one.task],
        "args": ["--payload", f"{PAYLOAD_PATH}/{one.payload}", "--result", f"{RESULT_PATH}/result.json"],
        "env": [
            *({"name": name, "value": value} for name, value in sorted(_environment(one).items())),
            *({"name": name, "valueFrom": {"secretKeyRef": _key(at)}} for name, at in sorted(one.secrets.items())),
        ],
        **serving,
        "resources": _resources(one),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "payload", "mountPath": PAYLOAD_PATH, "readOnly": True},
            *([{"name": "store", "mountPath": STORE_PATH, "readOnly": one.store == "read"}] if one.store else []),
            *({"name": f"{one.task}-{name}", "mountPath": path} for name, path in _FOLDERS.items()),
        ],
    }


def _key(secret: KubernetesSecret) -> Body:
    """Not optional: without its secret a container does not start, and the pod says why."""
    return {"name": secret.name, "key": secret.key, "optional": False}


def _environment(one: Process) -> Mapping[str, str]:
    made = {"HOME": HOME_PATH, "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}  # noqa: S108  # of the container
    if one.store:
        made[process.STORE] = f"file:{STORE_PATH}"
    if one.port is not None:
        made[process.LISTEN] = f"0.0.0.0:{one.port}"  # the kubelet's probes come from outside the pod
    return {**made, **one.environment}


def _probes(one: Process) -> Body:
    """Nothing is sent to a process, nor started after it, before it has said that its weights are loaded."""
    health: Body = {"path": "/health", "port": "http", "scheme": "HTTP"}
    alive: Body = {
        "livenessProbe": {"httpGet": health, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 3}
    }
    return {
        "startupProbe": {
            "httpGet": health,
            "periodSeconds": _STARTUP_PERIOD_SECONDS,
            "timeoutSeconds": 5,
            "failureThreshold": STARTUP_SECONDS // _STARTUP_PERIOD_SECONDS,
        },
        "readinessProbe": {"httpGet": health, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        **(alive if one.restarted_when_unhealthy else {}),
    }


def _resources(one: Process) -> Body:
    """Asked for and allowed are the same: a pod that is measured must not be slowed by its neighbours."""
    amounts: dict[str, str] = {"cpu": one.resources.cpu, "memory": one.resources.memory}
    if one.gpus:
        amounts["nvidia.com/gpu"] = str(one.gpus)
    return {"requests": dict(amounts), "limits": dict(amounts)}
