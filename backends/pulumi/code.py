"""A small writer of Python source: calls, lists, mappings and JSON scalars, and nothing else.

Called by `program`. A text of a user enters as a literal alone, never as a name or a piece of code: names come from
our own tables and are checked to be identifiers.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, Union

from llmops_spec.digests import Json

_INDENT: Final = "    "
_ROOM: Final = 100
"""A value that fits into so many characters stays on one line."""


@dataclass(frozen=True, kw_only=True)
class Name:
    """A dotted name of ours."""

    path: str

    def __post_init__(self) -> None:
        for part in self.path.split("."):
            if not part.isidentifier() or not part.isascii() or keyword.iskeyword(part):
                raise ValueError(f"{part!r} is no name")


@dataclass(frozen=True, kw_only=True)
class Call:
    function: Name
    positional: Sequence[Expression] = ()
    named: Mapping[str, Expression] = field(default_factory=dict)


Expression: TypeAlias = Union[Name, Call, Json, Sequence["Expression"], Mapping[str, "Expression"]]


def assignment(target: Name, value: Expression, *, depth: int) -> list[str]:
    """The lines of `target = value`."""
    first, *rest = _lines(value, depth)
    return [f"{_INDENT * depth}{target.path} = {first}", *rest]


def statement(value: Expression, *, depth: int) -> list[str]:
    """The lines of an expression that stands for itself."""
    first, *rest = _lines(value, depth)
    return [f"{_INDENT * depth}{first}", *rest]


def docstring(sentence: str) -> str:
    """A docstring of our own words; what a user wrote is not among them."""
    if not sentence.isascii() or "\\" in sentence or '"' in sentence:
        raise ValueError(f"{sentence!r} is no docstring")
    return f'"""{sentence}"""'


def _lines(value: Expression, depth: int) -> Iterator[str]:
    """The first line without its indent, then the others whole."""
    short = _one_line(value)
    if short is not None and (len(short) <= _ROOM or not _opens(value)):
        yield short
        return
    inner = _INDENT * (depth + 1)
    opening, parts, closing = _parts(value)
    yield opening
    for prefix, part, comma in parts:
        first, *rest = _lines(part, depth + 1) if not isinstance(part, _Piece) else [repr(part.text)]
        ending = comma if not rest else ""
        yield f"{inner}{prefix}{first}{ending}"
        yield from rest[:-1]
        if rest:
            yield rest[-1] + comma
    yield f"{_INDENT * depth}{closing}"


def _opens(value: Expression) -> bool:
    """Whether there is anything to break into lines."""
    if isinstance(value, str):
        return value.count("\n") > 1
    if isinstance(value, Call):
        return bool(value.positional or value.named)
    return isinstance(value, Mapping | Sequence) and len(value) > 0


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """One line of a text that is written as adjacent literals."""

    text: str


def _parts(value: Expression) -> tuple[str, list[tuple[str, Expression | _Piece, str]], str]:
    if isinstance(value, Call):
        named = [(f"{_checked(name)}=", part, ",") for name, part in value.named.items()]
        return f"{value.function.path}(", [*(("", one, ",") for one in value.positional), *named], ")"
    if isinstance(value, Mapping):
        return "{", [(f"{key!r}: ", part, ",") for key, part in value.items()], "}"
    if isinstance(value, str):
        pieces = re.findall(r"[^\n]*\n|[^\n]+", value)
        return "(", [("", _Piece(text=line), "") for line in pieces], ")"
    if isinstance(value, Sequence):
        return "[", [("", one, ",") for one in value], "]"
    raise TypeError(f"{value!r} fits on one line")


def _one_line(value: Expression) -> str | None:
    """None where a value reads better on several lines."""
    if isinstance(value, Name):
        return value.path
    if isinstance(value, str):
        return repr(value) if value.count("\n") < 2 else None
    if isinstance(value, Call):
        parts = [_one_line(one) for one in value.positional]
        parts += [_named(_checked(name), part) for name, part in value.named.items()]
        return _joined(f"{value.function.path}(", parts, ")")
    if isinstance(value, Mapping):
        return _joined("{", [_named(repr(key), part, ": ") for key, part in value.items()], "}")
    if isinstance(value, Sequence):
        return _joined("[", [_one_line(one) for one in value], "]")
    return repr(value)


def _named(name: str, value: Expression, between: str = "=") -> str | None:
    short = _one_line(value)
    return None if short is None else f"{name}{between}{short}"


def _joined(opening: str, parts: Sequence[str | None], closing: str) -> str | None:
    if any(one is None for one in parts):
        return None
    return f"{opening}{', '.join(one for one in parts if one is not None)}{closing}"


def _checked(name: str) -> str:
    return Name(path=name).path
