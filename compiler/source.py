"""Where a value was written: spans, and trees of plain values that remember theirs.

Used by every part of the compiler that reports a place. Pure data: nothing here reads a file.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, Union


class Span(NamedTuple):
    """A stretch of one source file. Lines and columns are 1-based, count Unicode code points; ends are exclusive.

    A named tuple, since a project has one or two for each of its values and they must be cheap to make.
    """

    file: str
    """Path relative to the project root, with forward slashes."""
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class LocatedMapping(dict[str, "LocatedValue"]):
    """A YAML mapping that remembers where each key and each value stands.

    A plain `dict` to everybody who does not ask, so pydantic and `json` take it as it is.
    An overlay makes a new mapping whose entries may come from different files.
    """

    __slots__ = ("key_spans", "span", "value_spans")

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.span = span
        self.key_spans: dict[str, Span] = {}
        self.value_spans: dict[str, Span] = {}


class LocatedSequence(list["LocatedValue"]):
    """A YAML sequence that remembers where each item stands."""

    __slots__ = ("item_spans", "span")

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.span = span
        self.item_spans: list[Span] = []


LocatedValue: TypeAlias = Union[LocatedMapping, LocatedSequence, str, int, float, bool, None]


def child(value: object, part: str | int) -> tuple[LocatedValue, Span] | None:
    """The value one step down a tree, with its span; None where nothing is written there."""
    if isinstance(value, LocatedMapping) and isinstance(part, str) and part in value:
        return value[part], value.value_spans[part]
    if isinstance(value, LocatedSequence) and isinstance(part, int) and part < len(value):
        return value[part], value.item_spans[part]
    return None
