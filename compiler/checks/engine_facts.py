"""The engine version that a service pins, with its facts.

Shared by the checks that depend on what an engine does at one version.
"""

from __future__ import annotations

from compiler.graph import ResourceNode
from compiler.sizing.engines import EngineName, EngineVersion, find_engine
from compiler.source import Span
from llmops_spec.engine import Engine


def engine_version(engine: Engine) -> EngineVersion | None:
    """Facts of the engine that does the arithmetic; None for engines without a version of their own.

    Triton is asked for its back end, whose rules hold.
    """
    named = _named(engine)
    return find_engine(named[0], named[1]) if named is not None else None


def named_version(node: ResourceNode, engine: Engine, *below: str) -> Span:
    """Where the version is written. `below` is the path of the part that holds `engine`, without `spec`."""
    if engine.triton is not None:
        return node.span("spec", *below, "engine", "triton", "backendVersion")
    return node.span("spec", *below, "engine", engine.name, "version")


def _named(engine: Engine) -> tuple[EngineName, str] | None:
    if engine.vllm is not None:
        return "vllm", engine.vllm.version
    if engine.sglang is not None:
        return "sglang", engine.sglang.version
    if engine.triton is not None:
        return engine.triton.backend, engine.triton.backend_version
    return None
