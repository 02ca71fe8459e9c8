"""What the installed package says of itself: library versions, and digests of the code that takes part in keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from compiler.ports import Facts
from llmops_spec.digests import digest_bytes
from llmops_spec.guardrail import VALIDATORS


def package_facts(policies: str) -> Facts:
    """Facts for lowering. `policies` is the digest of the rules in force."""
    return Facts(versions=pinned_versions(), code=_code_digests(), policies=policies)


@cache
def pinned_versions() -> dict[str, str]:
    """Exact version of every library in the constraints that the package ships, by lower-case name."""
    text = files("llmops").joinpath("constraints.txt").read_text()
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


@cache
def _code_digests() -> dict[str, str]:
    runtime, spec, policies = files("llmops_runtime"), files("llmops_spec"), files("policies")
    digests = {
        "prompt-language": _digest(spec / "prompt_language.py"),
        "statistics": _digest(policies / "gates"),
    }
    shared_rails = [runtime / "personal_data.py"]
    for validator in VALIDATORS:
        parts = [runtime / "rails" / f"{validator}.py", *(shared_rails if validator == "personal_data" else [])]
        digests[f"rail:{validator}"] = _digest(*parts)
    for metric in ("exact-match", "label-accuracy", "rouge-l", "latency-seconds"):
        digests[f"metric:{metric}"] = _digest(runtime / "metrics" / f"{metric.replace('-', '_')}.py")
    return digests


def _digest(*parts: Traversable) -> str:
    """Digest of source files, or of every module of a package folder."""
    return digest_bytes(b"".join(f"{name}\0".encode() + data + b"\0" for name, data in _sources(parts)))


def _sources(parts: tuple[Traversable, ...]) -> Iterator[tuple[str, bytes]]:
    for part in parts:
        if part.is_dir():
            inner = sorted((one for one in part.iterdir() if one.name.endswith(".py")), key=lambda one: one.name)
            yield from _sources(tuple(inner))
        else:
            yield part.name, part.read_bytes()
