"""The facts of a cluster environment that every object needs, known to be there.

Made by `lower`; without one, nothing is rendered, and `checks` has said what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from compiler.graph import ResourceGraph
from llmops_spec.environment import Images, Mlflow
from llmops_spec.payloads import process
from llmops_spec.secret import KubernetesSecret


@dataclass(frozen=True, kw_only=True)
class Site:
    graph: ResourceGraph
    namespace: str
    version: str
    """Kubernetes minor version, such as `1.34`."""
    images: Images
    claim: str
    """PersistentVolumeClaim of the store."""

    @property
    def mlflow(self) -> Mlflow | None:
        tracking = self.graph.environment.spec.tracking
        return tracking.mlflow if tracking else None

    def tracking_environment(self) -> Mapping[str, str]:
        """What a training needs to report to the tracking server; empty where there is none."""
        if self.mlflow is None or self.mlflow.uri is None:
            return {}
        return {process.TRACKING_URI: self.mlflow.uri, process.TRACKING_EXPERIMENT: self.mlflow.experiment}

    def tracking_secrets(self) -> Mapping[str, KubernetesSecret]:
        """What a training alone may know of the tracking server; empty where it needs no token."""
        token = self.mlflow.token if self.mlflow is not None else None
        if token is None or token.kubernetes_secret is None:
            return {}
        return {process.TRACKING_TOKEN: token.kubernetes_secret}

    @property
    def tracking_port(self) -> int | None:
        """TCP port of the tracking server, which trainings may reach."""
        if self.mlflow is None or self.mlflow.uri is None:
            return None
        return port_of(self.mlflow.uri)


def port_of(uri: str) -> int | None:
    """The TCP port of an HTTP address; None where it is no such address."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.hostname is None:
        return None
    return port or {"http": 80, "https": 443}.get(parts.scheme)


def site_of(graph: ResourceGraph) -> Site | None:
    """None where the environment is no cluster, or lacks its images or its volume."""
    spec = graph.environment.spec
    if spec.target.kubernetes is None or spec.images is None or spec.store.pvc is None:
        return None
    return Site(
        graph=graph,
        namespace=spec.target.kubernetes.namespace,
        version=spec.target.kubernetes.version,
        images=spec.images,
        claim=spec.store.pvc.claim,
    )
