"""Parts of JSON that a server sent, held to their types. Called by the resolvers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmops.lock.fetcher import Unreachable
from llmops_spec.digests import Json


def mapping(value: Json, what: str) -> Mapping[str, Json]:
    """Raises: Unreachable: it is something else."""
    if not isinstance(value, Mapping):
        raise Unreachable(f"{what} is no object")
    return value


def text_at(value: Mapping[str, Json], key: str) -> str:
    """Raises: Unreachable: it is absent, or no text."""
    found = value.get(key)
    if not isinstance(found, str):
        raise Unreachable(f"a server's answer has no `{key}`")
    return found


def integer_at(value: Mapping[str, Json], key: str) -> int:
    """Raises: Unreachable: it is absent, or no count."""
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise Unreachable(f"a server's answer has no count `{key}`")
    return found


def sequence_at(value: Mapping[str, Json], key: str) -> Sequence[Json]:
    """Raises: Unreachable: it is absent, or no list."""
    found = value.get(key)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise Unreachable(f"a server's answer has no list `{key}`")
    return found
