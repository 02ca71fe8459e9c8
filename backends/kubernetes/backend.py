"""The `kubernetes` target: what it honours, what it needs, and what it renders.

Listed in `llmops.discovery`. `compile` writes `jobs/` and `standing/`; the Pulumi program that registers the standing
objects comes from `backends.pulumi`, which takes them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from backends.kubernetes.checks import CarriedMetadata, ClusterSite
from backends.kubernetes.lower import lower_to_cluster
from backends.kubernetes.render import render
from compiler.graph import ResourceGraph
from compiler.ports import Ability, Check, FieldAbility, Lowered, Made
from compiler.unmade import UNMADE


def _unsupported(reason: str) -> FieldAbility:
    return FieldAbility(ability=Ability.UNSUPPORTED, reason=reason)


def _trivial(reason: str) -> FieldAbility:
    return FieldAbility(ability=Ability.SATISFIED_TRIVIALLY, reason=reason)


_WITHOUT_OBJECTS: Final = ("Gate", "Guardrail", "Model", "Project", "Prompt")
"""Kinds for which nothing of its own is rendered; what they say reaches the payloads of others."""

ABILITIES: Final[Mapping[str, FieldAbility]] = MappingProxyType(
    {
        "Environment.spec.store.file": _unsupported(
            "a pod cannot reach a folder of this machine; give `store: {pvc: {claim: …}}`"
        ),
        "Environment.spec.target.local": _unsupported("the environment is a cluster"),
        **{
            f"Environment.spec.tracking.mlflow.token.{place}": _unsupported(
                f"a pod has no {what} of this machine; give `kubernetesSecret: {{name: …, key: …}}`"
            )
            for place, what in (("env", "environment variable"), ("file", "file"))
        },
        **{field: _unsupported(reason) for field, reason in UNMADE.items()},
        **{
            f"{kind}.metadata.{part}": _trivial(f"no object in a cluster stands for a {kind.lower()}")
            for kind in _WITHOUT_OBJECTS
            for part in ("labels", "annotations")
        },
    }
)
"""What is not named here is honoured: it reaches a payload, an object or a check."""


@dataclass(frozen=True, kw_only=True)
class KubernetesBackend:
    """Implements `compiler.ports.Backend`."""

    target: str = "kubernetes"

    def abilities(self) -> Mapping[str, FieldAbility]:
        return ABILITIES

    def checks(self) -> Sequence[Check]:
        return (ClusterSite(), CarriedMetadata())

    def lower(self, graph: ResourceGraph, make: Callable[[], Made]) -> Lowered:
        return lower_to_cluster(graph, make())

    def emit(self, graph: ResourceGraph, lowered: Lowered) -> Mapping[str, bytes]:  # noqa: ARG002  # the port's
        return {**render("jobs", lowered.jobs), **render("standing", lowered.standing)}
