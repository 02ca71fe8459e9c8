"""A Pulumi program in Python that registers exactly the standing objects of a cluster environment.

Called by `llmops compile` with what `backends.kubernetes` lowered, for every environment that has standing objects.
Pure: the same objects give equal bytes. Nothing in the program comes from a template, and a text of the spec enters
it as a literal alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from backends.pulumi.program import PACKAGE, by_source, module_name, write_main, write_module
from compiler.graph import ResourceGraph
from compiler.ports import KubernetesObject
from compiler.yaml_writer import write_yaml
from llmops_spec.digests import Json

LIBRARIES: Final = ("pulumi", "pulumi-kubernetes")
"""What the program needs; `versions` gives the exact one of each."""


def emit(
    graph: ResourceGraph, standing: Sequence[KubernetesObject], versions: Mapping[str, str]
) -> Mapping[str, bytes]:
    """Files below `build/<environment>/`, all in `pulumi/`; none where nothing stands.

    Raises:
        LookupError: an object of a kind that the program cannot register, or a library without a version.
    """
    if not standing:
        return {}
    environment = graph.environment.metadata.name
    groups = by_source(standing)
    files = {
        "Pulumi.yaml": write_yaml(_project(graph)),
        f"Pulumi.{environment}.yaml": write_yaml(_stack()),
        "requirements.txt": _requirements(versions),
        "__main__.py": write_main(list(groups), environment=environment),
        f"{PACKAGE}/__init__.py": b'"""One module for each resource."""\n',
        **{f"{PACKAGE}/{module_name(source)}.py": write_module(source, one) for source, one in groups.items()},
    }
    return {f"pulumi/{path}": data for path, data in sorted(files.items())}


def _requirements(versions: Mapping[str, str]) -> bytes:
    """Package names compare without regard to case and to `-` or `_`."""
    pins = {name.lower().replace("_", "-"): version for name, version in versions.items()}
    missing = [name for name in LIBRARIES if name not in pins]
    if missing:
        raise LookupError(f"no version is known of {', '.join(missing)}")
    return "".join(f"{name}=={pins[name]}\n" for name in LIBRARIES).encode()


def _project(graph: ResourceGraph) -> Mapping[str, Json]:
    return {
        "name": graph.project.metadata.name,
        "description": "Written by llmops compile; do not edit",
        "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": "venv"}},
    }


def _stack() -> Mapping[str, Json]:
    """No default provider: an object that forgot ours fails instead of going to whatever cluster is current."""
    return {"config": {"pulumi:disable-default-providers": ["kubernetes"]}}
