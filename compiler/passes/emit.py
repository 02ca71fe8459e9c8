"""Render a lowered graph to files.

Called by `compiler.pipeline` last, and only for `compile`. Pure: the same graph gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.graph import ResourceGraph
from compiler.ports import Backend, Lowered


def emit(graph: ResourceGraph, lowered: Lowered, backend: Backend) -> Mapping[str, bytes]:
    """Files by path below `build/<environment>/`, sorted."""
    files = backend.emit(graph, lowered)
    return {path: files[path] for path in sorted(files)}
