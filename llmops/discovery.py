"""The built-in checks, back ends and policy packs, handed to the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from compiler.pipeline import Compilation, CompiledEnvironment
from compiler.ports import Backend, Check, PolicyEngine
from llmops import __version__
from llmops.facts import package_origin, pinned_versions
from policies import packs

_PACK_FOLDER: Final = Path(packs.__file__).parent


def checks() -> Sequence[Check]:
    from compiler.checks import BUILT_IN
    from policies.gates.checks import GATE_CHECKS

    return (*BUILT_IN, *GATE_CHECKS)


def backends() -> Mapping[str, Backend]:
    """By the target that each serves."""
    from backends.kubernetes.backend import KubernetesBackend
    from backends.local.backend import LocalBackend

    return {one.target: one for one in (LocalBackend(), KubernetesBackend())}


def policy_packs() -> Mapping[str, bytes]:
    """Text of the packs in force, by name."""
    return {name: _PACK_FOLDER.joinpath(f"{name}.yaml").read_bytes() for name in packs.PACKS}


def policy_fixtures() -> Mapping[str, bytes]:
    """Text of the examples of each of these packs, by the pack's name."""
    return {name: _PACK_FOLDER.joinpath(f"{name}.fixtures.yaml").read_bytes() for name in packs.PACKS}


def policies() -> PolicyEngine:
    from policies.engine import CelPolicies
    from policies.pack_reader import load_pack

    return CelPolicies([load_pack(name, data) for name, data in policy_packs().items()])


def programs(compiled: CompiledEnvironment) -> Mapping[str, bytes]:
    """The Pulumi program that registers an environment's standing objects, by path below `build/<environment>/`."""
    from backends.pulumi.backend import emit

    assert compiled.lowered is not None  # callers ask only after `Compilation.sound`
    return emit(compiled.graph, compiled.lowered.standing, pinned_versions())


def pipeline_paths() -> tuple[str, ...]:
    """Where pipelines lie in a repository."""
    from backends.ci.paths import GITHUB

    return (GITHUB,)


def pipeline_requirements() -> tuple[str, bytes]:
    """The file that says which llmops a pipeline installs: its path, and what it begins with."""
    from backends.ci.paths import REQUIREMENTS
    from backends.ci.requirements import first_requirements

    return REQUIREMENTS, first_requirements(__version__, origin=package_origin())


def pipeline_fault(requirements: str | None) -> str | None:
    """What is wrong with the text of that file, or with there being none."""
    from backends.ci.requirements import requirements_fault

    return requirements_fault(requirements, version=__version__)


def pipelines(compilation: Compilation) -> Mapping[str, bytes]:
    """The CI pipelines of the repository, by path below its root."""
    from backends.ci.backend import emit

    return emit([one.graph for one in compilation.environments.values()], version=__version__)
