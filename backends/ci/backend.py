"""The pipelines of a repository: what every change goes through before and after it is merged.

Called by `llmops compile --ci` with the graphs of all environments, and by `validate`, which compares them with the
committed ones. Pure: the same graphs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from backends.ci.github import PipelineFacts, Place, workflow
from backends.ci.paths import GITHUB
from compiler.graph import ResourceGraph
from compiler.yaml_writer import write_yaml
from llmops_spec.gate import Gate

_TIERS: Final = {"development": 0, "staging": 1, "production": 2}
_HEADING: Final = ("Written by `llmops compile --ci`; `llmops validate` reports a committed copy that differs.",)


def emit(graphs: Sequence[ResourceGraph], *, version: str) -> Mapping[str, bytes]:
    """Files by path below the repository's root.

    `graphs` are those of every environment, and `version` is that of the llmops that renders them.
    """
    if not graphs:
        return {}
    ordered = sorted(graphs, key=lambda one: (_TIERS[one.environment.spec.tier], one.environment.metadata.name))
    facts = PipelineFacts(
        version=version,
        branch=graphs[0].project.spec.protected_branch,
        places=tuple(_place(one) for one in ordered),
        locked=graphs[0].lock.present,
    )
    return {GITHUB: write_yaml(workflow(facts), heading=_HEADING)}


def _place(graph: ResourceGraph) -> Place:
    return Place(
        name=graph.environment.metadata.name,
        local=graph.environment.spec.target.local is not None,
        gates=tuple(gate.metadata.name for _, gate in graph.of(Gate)),
    )
