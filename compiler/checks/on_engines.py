"""Families of checks about engines, GPUs and the models that run on them, loaded where a project names such things.

They read the catalogue of `compiler.sizing`, which costs more to load than all other checks take; a project that serves
a small model on a desk asks nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from compiler.diagnostics.model import Diagnostic
from compiler.graph import ResourceGraph
from compiler.ports import Check, Reader
from llmops_spec.model import Model
from llmops_spec.retriever import Retriever
from llmops_spec.service import Service, ServiceSpec
from llmops_spec.training import Training

FAMILIES: Final = (
    "adapters",
    "capacity",
    "compression",
    "engine_compatibility",
    "numerics",
    "parallelism",
    "placement",
    "retrieval",
    "scaling",
    "service_gpus",
)
"""Modules beside this one, each with its `CHECKS`."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """The checks of one module, as one."""

    name: str

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
        if not is_about_engines(graph):
            return
        checks: tuple[Check, ...] = import_module(f"compiler.checks.{self.name}").CHECKS
        for one in checks:
            yield from one.findings(graph, files)


def is_about_engines(graph: ResourceGraph) -> bool:
    """Whether anything is written that one of the families asks about."""
    environment = graph.environment.spec
    volume = environment.store.pvc
    return (
        bool(environment.gpu_pools)
        or (volume is not None and volume.access_mode != "ReadWriteMany")
        or any(True for _ in graph.of(Retriever))
        or any(_is_placed(service.spec) for _, service in graph.of(Service))
        or any(training.spec.distribution is not None for _, training in graph.of(Training))
        or any(one.spec.task != "causal" or _is_elsewhere(one) for _, one in graph.of(Model))
    )


def _is_elsewhere(model: Model) -> bool:
    return model.spec.from_.compress is not None or model.spec.from_.hosted is not None


def _is_placed(spec: ServiceSpec) -> bool:
    offered = set(spec.api.endpoints) & {"embeddings", "rerank"}
    asked = (spec.gpu, spec.parallelism, spec.scaling, spec.rollout, spec.route, spec.retrieval, spec.startup_seconds)
    more = spec.workload != "deployment" or spec.nodes > 1 or bool(spec.adapters)
    return more or bool(offered) or spec.engine.transformers is None or any(one is not None for one in asked)


CHECKS: Final = tuple(Family(name=one) for one in FAMILIES)
