"""What reading a YAML file gives: documents and problems. Plain data, made here alone, read by the `parse` pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from compiler.source import LocatedValue, Span

MAX_PROBLEMS: Final = 100
"""Reading of a file stops at this many problems: nobody reads more, and a hostile file could make one a byte."""

YamlRule: TypeAlias = Literal[
    "bidi-control",
    "duplicate-key",
    "mixed-script-key",
    "non-finite-number",
    "non-string-key",
    "not-utf8",
    "yaml-anchor",
    "yaml-directive",
    "yaml-merge-key",
    "yaml-syntax",
    "yaml-tag",
    "yaml-too-deep",
    "yaml-too-large",
    "yaml-too-many-nodes",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlProblem:
    """One mistake in a file: a value, so that all of them can be shown at once."""

    rule: YamlRule
    message: str
    """Understandable alone, in the user's words."""
    span: Span
    related: tuple[tuple[str, Span], ...] = ()
    """Other places that take part, each with what it is: `("first written here", span)`."""
    help: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlDocument:
    """One `---` part of a file. A part in which nothing at all is written is left out."""

    value: LocatedValue
    span: Span
    sound: bool = True
    """False where a problem lies inside it: then read kind and name from it, and report nothing about the rest."""


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """What a file holds, in file order."""

    documents: tuple[YamlDocument, ...]
    """The documents that were read to their end."""
    problems: tuple[YamlProblem, ...]
    unfinished: tuple[YamlDocument, ...] = ()
    """What could be read of documents that a syntax error or a limit cut short. Never `sound`."""
