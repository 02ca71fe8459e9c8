"""Is it allowed? Judge resources, and the rendered objects where there are any, by the policies in force.

Called by `compiler.pipeline` after `lower`. Denials are not errors: they go into the plan and stop `apply`.
"""

from __future__ import annotations

from compiler.graph import ResourceGraph
from compiler.ports import Denial, Lowered, PolicyEngine


def govern(graph: ResourceGraph, lowered: Lowered | None, policies: PolicyEngine) -> tuple[Denial, ...]:
    """Denials and warnings, sorted by place and rule."""
    objects = (*lowered.jobs, *lowered.standing) if lowered else ()
    found = policies.judge(graph, objects)
    return tuple(sorted(found, key=lambda one: (one.span, one.rule, one.message)))
