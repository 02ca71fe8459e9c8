"""Names of rendered objects: valid, at most 63 characters, distinct for distinct paths, and the same every time.

A name that stays while its object changes is the plain path, which people type: `support-gateway`. A name that must
move with the content, since the object is immutable or another revision stands beside it, ends in a short digest.
"""

from __future__ import annotations

import re
from typing import Final

from compiler.plan import ArtifactStep
from llmops_spec.digests import digest

MAX_LENGTH: Final = 63
DIGEST_LENGTH: Final = 10
_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
"""A DNS label that may also name a Service, so it begins with a letter (RFC 1035)."""


def plain_name(resource: str, role: str) -> str:
    """Name of what serves in `role` for a resource.

    `role` is a word of ours without a dash, so two paths never join to the same text.
    """
    joined = f"{resource}-{role}"
    if len(joined) <= MAX_LENGTH and _LABEL.fullmatch(joined):
        return joined
    return digest_name(resource, role, content=digest([resource, role]))


def digest_name(resource: str, role: str, *, content: str) -> str:
    """Name of one state of an object; `content` is the digest of all that makes this state another one."""
    tail = digest([resource, role, content])[:DIGEST_LENGTH]
    joined = f"{resource}-{role}"
    head = joined if _LABEL.fullmatch(joined) else f"x-{joined}"
    return f"{head[: MAX_LENGTH - DIGEST_LENGTH - 1].rstrip('-')}-{tail}"


def job_name(step: ArtifactStep) -> str:
    """`<kind>-<first 16 hex digits of the key>`: the same work has the same name wherever it is asked for."""
    return f"{step.kind}-{step.key[:16]}"
