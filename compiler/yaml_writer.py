"""Write JSON values as YAML that every reader takes for the same values, byte for byte the same each time.

Called by back ends. The keys keep their order. A text is written plainly only where no version of YAML could read
anything else into it; otherwise it is quoted, with every invisible character escaped. So no text of a user can
become structure, a tag, an alias or a second document.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

from llmops_spec.digests import Json

_PLAIN: Final = re.compile(r"/?[A-Za-z][A-Za-z0-9_-]*(?:[./:-][A-Za-z0-9_-]+)*")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Plain words that some version of YAML takes for something else than text."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are escaped: controls, direction marks, surrogates, separators of lines."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A text with a comment for people behind it. The note is ours, never a user's."""

    text: str
    note: str


Yaml: TypeAlias = Union[Json, Noted, Sequence["Yaml"], Mapping[str, "Yaml"]]


def write_yaml(document: Mapping[str, Yaml], *, heading: Sequence[str] = ()) -> bytes:
    """One YAML document, ending in a newline. `heading` lines stand above it as comments."""
    lines = [*(f"# {one}" for one in heading), *_mapping(document, 0)]
    return ("\n".join(lines) + "\n").encode()


def _mapping(value: Mapping[str, Yaml], depth: int) -> Iterator[str]:
    for key, inner in value.items():
        yield from _entry(f"{'  ' * depth}{_text(key)}:", inner, depth)


def _sequence(value: Sequence[Yaml], depth: int) -> Iterator[str]:
    """Items stand as deep as their key; what is inside an item begins behind its dash."""
    indent = "  " * depth
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _mapping(inner, depth + 1)
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", inner, depth)


def _entry(head: str, value: Yaml, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from _mapping(value, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield head
        yield from _sequence(value, depth + (head.endswith("-")))
    elif isinstance(value, str) and _fits_a_block(value):
        yield f"{head} |"
        yield from (f"{'  ' * (depth + 1)}{line}" if line else "" for line in value.splitlines())
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Yaml) -> str:
    if isinstance(value, Noted):
        return f"{_text(value.text)} # {value.note}"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, Sequence):
        return "[]"
    return json.dumps(value, allow_nan=False)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(_escaped(one) for one in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if not _is_hidden(character):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN


def _fits_a_block(value: str) -> bool:
    """Whether a literal block holds exactly this text: whole lines, no blank at their ends, nothing hidden."""
    lines = value.split("\n")
    return (
        len(lines) > 2
        and lines[-1] == ""
        and lines[0].strip() != ""
        and lines[-2] != ""
        and not lines[0].startswith(" ")
        and not any(line != line.rstrip() for line in lines)
        and not any(_is_hidden(one) for line in lines for one in line)
    )
