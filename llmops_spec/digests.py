"""Digests: SHA-256, in hexadecimal, over bytes or over the RFC 8785 form of a JSON value.

The compiler names artifacts by them, the runtime checks what it reads against them, and evidence binds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]


def canonical(value: Json) -> bytes:
    """RFC 8785 bytes of a JSON value: one spelling for equal values, NaN and infinity refused."""
    import rfc8785

    return rfc8785.dumps(value)  # pyright: ignore[reportArgumentType]  # its own alias excludes Mapping and Sequence


def digest(value: Json) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
