"""What a cluster needs before anything can be rendered for it: images, a volume, labels that it will take.

Handed to the pipeline by `backend` for environments of this target.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from backends.kubernetes.metadata import RESERVED
from backends.kubernetes.site import port_of
from compiler.diagnostics.model import Declared, Diagnostic, declare
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from llmops_spec.base import Resource
from llmops_spec.environment import Environment

MISSING_IMAGE: Final = declare("missing-image", "a cluster environment without container images")
MISSING_VOLUME: Final = declare("missing-volume", "a cluster environment whose store is no volume of the cluster")
UNUSABLE_LABEL: Final = declare("unusable-label", "a label or annotation that a cluster refuses, or that is ours")
UNREACHABLE_TRACKING: Final = declare("unreachable-tracking", "a tracking server that a pod cannot reach")

DECLARED: Final[tuple[Declared, ...]] = (MISSING_IMAGE, MISSING_VOLUME, UNREACHABLE_TRACKING, UNUSABLE_LABEL)

_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_DOMAIN_LENGTH: Final = 253
_ANNOTATIONS_BYTES: Final = 262_144


@dataclass(frozen=True, kw_only=True)
class ClusterSite:
    """Images, volume and tracking server of the environment."""

    name: str = "cluster-site"

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]:  # noqa: ARG002
        node, spec = graph.environment_node, graph.environment.spec
        if spec.images is None:
            yield MISSING_IMAGE.at(
                node.span("spec", "target"),
                f"environment `{node.name}` runs in a cluster and names no container images",
                help="add `images: {runtime: …, engine: …}`; `deploy/Containerfile` builds one that serves as both",
            )
        if spec.store.pvc is None and not node.has("spec", "store", "file"):  # what is written is refused by abilities
            yield MISSING_VOLUME.at(
                node.span("spec", "target"),
                f"environment `{node.name}` runs in a cluster, and its store is a folder of this machine",
                help="add `store: {pvc: {claim: …}}` with the name of a PersistentVolumeClaim",
            )
        mlflow = spec.tracking.mlflow if spec.tracking else None
        if mlflow is not None and (mlflow.uri is None or port_of(mlflow.uri) is None):
            said = f"`{mlflow.uri}` is no address of a server" if mlflow.uri else "no tracking server is named"
            yield UNREACHABLE_TRACKING.at(
                node.span("spec", "tracking", "mlflow", *(["uri"] if mlflow.uri else [])),
                f"environment `{node.name}` tracks from pods, and {said}",
                help="give `uri: http://…` of an MLflow server, or remove `tracking`",
            )


@dataclass(frozen=True, kw_only=True)
class CarriedMetadata:
    """Labels and annotations of the resources that objects are rendered for."""

    name: str = "carried-metadata"

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]:  # noqa: ARG002
        for node in graph.nodes.values():
            other_place = node.kind == Environment.KIND and node is not graph.environment_node
            if node.resource is not None and not other_place:
                yield from _metadata_findings(node, node.resource)


def _metadata_findings(node: ResourceNode, resource: Resource) -> Iterator[Diagnostic]:
    for key, value in resource.metadata.labels.items():
        reason = _key_fault(key)
        if reason is None and not _VALUE.fullmatch(value):
            reason = "a label's value has at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with one"
        if reason is not None:
            yield _unusable(node, "labels", key, reason)
    for key in resource.metadata.annotations:
        if (reason := _key_fault(key)) is not None:
            yield _unusable(node, "annotations", key, reason)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in resource.metadata.annotations.items())
    if size > _ANNOTATIONS_BYTES // 2:
        said = (
            f"the annotations of {node.kind.lower()} `{node.name}` are {size} bytes; half of a cluster's limit is ours"
        )
        yield UNUSABLE_LABEL.at(node.key_span("metadata", "annotations"), said, help="keep long texts elsewhere")


def _unusable(node: ResourceNode, field: str, key: str, reason: str) -> Diagnostic:
    shown = key if key.isprintable() else ascii(key)[1:-1]
    return UNUSABLE_LABEL.at(
        node.span("metadata", field, key),
        f"{field[:-1]} `{shown}` of {node.kind.lower()} `{node.name}` cannot be carried to a cluster",
        note=reason,
        help="use an annotation for values that are not identifiers" if field == "labels" else "rename it",
    )


def _key_fault(key: str) -> str | None:
    """Why a label's or annotation's key cannot stand; None where it can."""
    if key.startswith(RESERVED):
        return "keys below `llmops.dev/` and `app.kubernetes.io/` are written by llmops itself"
    domain, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name):
        return "a key is at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit"
    if slash and not (_DOMAIN.fullmatch(domain) and len(domain) <= _DOMAIN_LENGTH):
        return "what stands before the `/` of a key is a domain name"
    return None
