"""What the installed package says of itself: library versions, and digests of the code that takes part in keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from compiler.ports import Facts
from llmops_spec.digests import digest_bytes

_PACKAGES: Final = Path(__file__).parents[1]
"""They lie beside each other, installed or not."""


def package_facts(policies: str) -> Facts:
    """Facts for lowering. `policies` is the digest of the rules in force."""
    return Facts(versions=pinned_versions(), code=_code_digests(), policies=policies)


@cache
def pinned_versions() -> dict[str, str]:
    """Exact version of every library in the constraints that the package ships, by lower-case name."""
    text = _PACKAGES.joinpath("llmops", "constraints.txt").read_text()
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def package_origin() -> str | None:
    """Address and digest of the wheel that this package was installed from, where the installer knew one (PEP 610)."""
    try:
        told = json.loads(metadata.distribution("llmops").read_text("direct_url.json") or "{}")
        address, digest = str(told["url"]), str(told["archive_info"]["hashes"]["sha256"])
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        return None
    is_public = address.startswith("https://") and "@" not in address
    return f"{address.partition('#')[0]}#sha256={digest}" if is_public else None


_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt-language": ("llmops_spec/prompt_language.py",),
    "statistics": ("policies/gates",),
    "measuring": ("llmops_runtime/evaluation", "llmops_runtime/evaluate.py"),
    "serving": (
        "llmops_runtime/engines",
        "llmops_runtime/gateway",
        "llmops_runtime/serving",
        "llmops_runtime/weights.py",
        "llmops_spec/catalogue/weights.py",
        "llmops_runtime/rails/chain.py",
        "llmops_runtime/rails/builtin.py",
        "llmops_runtime/rails/validator.py",
    ),
    "rail:max_length": ("llmops_runtime/rails/max_length.py",),
    "rail:deny_pattern": ("llmops_runtime/rails/deny_pattern.py",),
    "rail:personal_data": ("llmops_runtime/rails/personal_data.py", "llmops_spec/personal_data.py"),
    "rail:guardrails_ai": ("llmops_runtime/rails/guardrails_ai.py", "llmops_runtime/rails/banned_phrases.py"),
    "metric:exact-match": ("llmops_runtime/metrics/exact_match.py",),
    "metric:label-accuracy": ("llmops_runtime/metrics/label_accuracy.py",),
    "metric:rouge-l": ("llmops_runtime/metrics/rouge_l.py",),
    "metric:latency-seconds": ("llmops_runtime/metrics/latency.py",),
}
"""The modules, or packages of them, that decide what each area does."""


@cache
def _code_digests() -> dict[str, str]:
    return {area: _digest(*(_PACKAGES / path for path in paths)) for area, paths in _MODULES.items()}


def _digest(*parts: Path) -> str:
    """Digest of source files, or of every module of a package folder."""
    return digest_bytes(b"".join(f"{name}\0".encode() + data + b"\0" for name, data in _sources(parts)))


def _sources(parts: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    for part in parts:
        if part.is_dir():
            inner = sorted((one for one in part.iterdir() if one.name.endswith(".py")), key=lambda one: one.name)
            yield from _sources(tuple(inner))
        else:
            yield part.name, part.read_bytes()
