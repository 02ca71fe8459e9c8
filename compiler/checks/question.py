"""The two shapes of a check: one that asks the graph alone, and one that also asks which files there are.

Used by every family beside this file. Third parties may use them, or write their own
(`compiler.ports.Check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from compiler.diagnostics.model import Diagnostic
from compiler.graph import ResourceGraph
from compiler.ports import Reader


@dataclass(frozen=True, kw_only=True)
class GraphCheck:
    name: str
    ask: Callable[[ResourceGraph], Iterable[Diagnostic]]

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]:  # noqa: ARG002  # the port's
        return self.ask(graph)


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    name: str
    ask: Callable[[ResourceGraph, Reader], Iterable[Diagnostic]]

    def findings(self, graph: ResourceGraph, files: Reader) -> Iterable[Diagnostic]:
        return self.ask(graph, files)
