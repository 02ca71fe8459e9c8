"""Labels and annotations: ours first, then what the resource's own metadata asks to carry.

Selectors use ours alone, and a user's entry never replaces one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from compiler.graph import ResourceGraph
from compiler.ports import KubernetesObject
from llmops_spec.base import Resource
from llmops_spec.digests import Json

Body: TypeAlias = Mapping[str, Json]

PREFIX: Final = "llmops.dev"
RESERVED: Final = (f"{PREFIX}/", "app.kubernetes.io/")
"""Label keys below these are written by us alone."""
CLIENT: Final = f"{PREFIX}/client"
"""Pods of the namespace with this label, set to `true`, may call gateways."""
TASK: Final = f"{PREFIX}/task"
SERVICE: Final = f"{PREFIX}/service"
ROLE: Final = f"{PREFIX}/role"
REVISION: Final = f"{PREFIX}/revision"


def common_labels(graph: ResourceGraph, *, name: str, component: str) -> Body:
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": graph.project.metadata.name,
        "app.kubernetes.io/managed-by": "llmops",
    }


def carried_labels(resource: Resource | None, ours: Body) -> Body:
    carried = dict(sorted(resource.metadata.labels.items())) if resource else {}
    return {**ours, **{key: value for key, value in carried.items() if key not in ours}}


def carried_annotations(resource: Resource | None, ours: Body | None = None) -> Body:
    """The owner stands among the annotations: it may hold what a label cannot."""
    own: dict[str, Json] = dict(ours or {})
    if resource is None:
        return own
    if resource.metadata.owner is not None:
        own[f"{PREFIX}/owner"] = resource.metadata.owner
    carried = sorted(resource.metadata.annotations.items())
    return {**own, **{key: value for key, value in carried if key not in own}}


def manifest(api_version: str, kind: str, metadata: Body, *, source: str, **content: Json) -> KubernetesObject:
    """One object; empty parts of its metadata are left out."""
    body = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {key: value for key, value in metadata.items() if value not in ({}, None)},
        **content,
    }
    return KubernetesObject(body=body, source=source)
