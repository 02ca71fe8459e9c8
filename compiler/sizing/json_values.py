"""The type of JSON values, by itself: sizing starts in a tenth of a second, and the spec's package loads pydantic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]
