"""Will it work? Run every check over one environment's graph.

Called by `compiler.pipeline` after `resolve`. Reports what the checks report, and `internal-check-failure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.diagnostics.catalogue import INTERNAL_CHECK_FAILURE
from compiler.diagnostics.model import Diagnostic, DiagnosticSink
from compiler.graph import ResourceGraph
from compiler.ports import Check, Reader


def check(graph: ResourceGraph, checks: Sequence[Check], files: Reader, sink: DiagnosticSink) -> None:
    """Run each check. One that crashes is a finding of its own and never hides the others."""
    for one in checks:
        sink.extend(_guarded(one, graph, files))


def _guarded(one: Check, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]:
    try:
        return tuple(one.findings(graph, files))
    except Exception as error:  # noqa: BLE001  # plug-in boundary: a check of a third party may do anything
        said = f"the check `{one.name}` failed: {type(error).__name__}: {error}"
        return (INTERNAL_CHECK_FAILURE.at(graph.environment_node.span(), said, help="report this as a bug of llmops"),)
