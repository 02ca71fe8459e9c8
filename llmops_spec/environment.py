"""The `Environment` kind: where a spec is made real, and how strictly it is judged there."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmops_spec.base import Resource, ResourceName, SpecModel, exactly_one
from llmops_spec.secret import Secret, SecretHolder


class LocalTarget(SpecModel):
    """Supervised processes on this machine, on loopback only."""

    gateway_port: int = Field(default=8080, ge=1024, le=65535)
    """TCP port of the gateway on 127.0.0.1. Several services count up from it, by name, unless `ports` has theirs."""
    ports: dict[ResourceName, int] = Field(default_factory=dict)
    """Service name to port, so that a service keeps its port when others come and go."""


class KubernetesTarget(SpecModel):
    """Manifests and a Pulumi program for a cluster."""

    namespace: ResourceName
    version: str = Field(default="1.34", pattern=r"^1\.[0-9]{2}$")
    """Kubernetes minor version whose schemas the rendered objects must pass."""
    apis: list[str] = Field(default_factory=list)
    """API groups with versions that the cluster serves beside Kubernetes' own, such as
    `inference.networking.k8s.io/v1`."""


class Target(SpecModel):
    """Exactly one of the alternatives."""

    local: LocalTarget | None = None
    kubernetes: KubernetesTarget | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class FileStore(SpecModel):
    path: str = Field(min_length=1, max_length=1024)
    """Folder of artifacts and evidence: relative to the project root, absolute, or below `~`."""


class VolumeStore(SpecModel):
    claim: ResourceName
    """Name of an existing PersistentVolumeClaim that jobs and engines mount."""
    access_mode: Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"] = "ReadWriteMany"
    """Of that claim."""


class Store(SpecModel):
    """Exactly one of the alternatives."""

    file: FileStore | None = None
    pvc: VolumeStore | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class Images(SpecModel):
    """Container images of a cluster target. `deploy/Containerfile` builds one that serves as both."""

    runtime: str = Field(min_length=1, max_length=512)
    """Image of training and evaluation jobs and of the gateway."""
    engine: str = Field(min_length=1, max_length=512)
    """Image of the inference engine."""


MLFLOW_URI = r"^[a-z][a-z0-9+.-]*:(//[^/?#@]*([/?#].*)?|[^/].*)$"
"""A URL whose authority names no user: a password in a spec would be in Git, in manifests and in logs."""


class Mlflow(SecretHolder):
    uri: str | None = Field(default=None, max_length=1024, pattern=MLFLOW_URI)
    """Tracking server, with no password in it. If absent, a `local` target tracks in a SQLite file beside its state."""
    experiment: str = Field(default="llmops", min_length=1, max_length=100)
    token: Secret | None = None
    """Bearer token of the server at `uri`. Trainings alone are given it."""

    @model_validator(mode="after")
    def _token_for_a_server(self) -> Self:
        if self.token is not None and not (self.uri or "").startswith(("http://", "https://")):
            raise ValueError("`token` is for a tracking server: give its `uri: https://…`, or remove `token`")
        return self


class GpuPool(SpecModel):
    """Machines of one sort in a cluster, and how many of their GPUs are ours."""

    name: ResourceName
    gpu: str = Field(min_length=1, max_length=100)
    """Name of the catalogue, such as `L4`."""
    gpus_per_node: int = Field(ge=1, le=64)
    quota: int = Field(ge=0, le=100_000)
    """GPUs that this environment may use at once."""
    reserved: int = Field(default=0, ge=0, le=100_000)
    """GPUs of the quota that others use: trainings, notebooks, another team."""
    driver_cuda: str | None = Field(default=None, pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$")
    """Newest CUDA version that the machines' driver runs, as `nvidia-smi` shows it."""
    read_gib_per_second: float | None = Field(default=None, gt=0, le=1000)
    """Rate at which a pod reads weights from the store."""


class Tracking(SecretHolder):
    mlflow: Mlflow


class EnvironmentSpec(SecretHolder):
    target: Target
    tier: Literal["development", "staging", "production"] = "development"
    """How strictly policies judge: a production tier warns about nothing and denies instead."""
    store: Store = Field(default_factory=lambda: Store(file=FileStore(path=".llmops/store")))
    images: Images | None = None
    gpu_pools: list[GpuPool] = Field(default_factory=list)
    tracking: Tracking | None = None
    overrides: dict[str, dict[ResourceName, dict[str, Any]]] = Field(default_factory=dict)
    """Kind, then resource name, then the part of its `spec` that differs here.

    Mappings are merged key by key; anything else replaces. The result is checked like a file.
    """


class Environment(Resource):
    model_config = SecretHolder.model_config

    KIND: ClassVar[str] = "Environment"
    kind: Literal["Environment"] = "Environment"
    spec: EnvironmentSpec
