"""The built-in checks, back ends and policy packs, handed to the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from compiler.ports import Backend, Check, PolicyEngine


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
    folder = files("policies.packs")
    return {
        one.name.removesuffix(".yaml"): one.read_bytes()
        for one in sorted(folder.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".yaml")
    }


def policies() -> PolicyEngine:
    from policies.engine import CelPolicies
    from policies.pack_reader import load_pack

    return CelPolicies([load_pack(name, data) for name, data in policy_packs().items()])
