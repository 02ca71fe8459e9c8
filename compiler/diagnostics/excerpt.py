"""One line of a source file with a place in it underlined, as a terminal shows it.

Used by the text renderer. Pure.

Promises: the marks stand below the marked characters, whatever tabs, wide or combining characters come before them;
no control or reordering character of the source reaches the terminal; nothing printed is wider than a screen or two.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from compiler.source import Span

LINE_COLUMNS: Final = 100
"""Longest stretch of a source line that is shown; more would wrap and part the marks from what they mark."""
CONTEXT_CHARACTERS: Final = 30
"""How much of a long line is shown before the place."""
TAB: Final = "    "

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters that scripts and emoji need and that reorder nothing."""


def split_lines(text: str) -> list[str]:
    """Lines as `compiler.yaml_reader` counts them: they end at LF, CR LF or CR only."""
    return _LINE_END.split(text.removeprefix("\ufeff"))


def printable(text: str) -> str:
    """The text with what a terminal would obey, and not show, written as an escape."""
    return "".join(_cell(character) for character in text)


def width(shown: str) -> int:
    """Terminal columns of a printable text."""
    return sum(map(_columns, shown))


def excerpt(lines: list[str], span: Span, *, mark: str = "^") -> tuple[str, str] | None:
    """The source line of a place and the marks below it; None where the file has no such line.

    A place of several lines is marked to the end of its first one.
    """
    if not 1 <= span.line <= len(lines):
        return None
    line = lines[span.line - 1]
    start = min(max(span.column - 1, 0), len(line))
    end = len(line) if span.end_line > span.line else min(max(span.end_column - 1, start), len(line))
    first = 0 if len(line) <= LINE_COLUMNS else max(0, start - CONTEXT_CHARACTERS)
    last = _fitting(line, first, least=start + 1)
    before = ("…" if first else "") + printable(line[first:start])
    marked = printable(line[start : min(end, last)])
    after = printable(line[min(max(end, start), last) : last]) + ("…" if last < len(line) else "")
    marks = " " * width(before) + mark * max(width(marked), 1)
    return (before + marked + after).rstrip(), marks


def _fitting(line: str, first: int, *, least: int) -> int:
    """Where the stretch from `first` ends that fits the screen, but not before `least`."""
    columns = 0
    for index in range(first, len(line)):
        columns += width(_cell(line[index]))
        if columns > LINE_COLUMNS and index >= least:
            return index
    return len(line)


def _cell(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character == "\t":
        return TAB
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS:
        return f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{ord(character):04x}"
    return character


def _columns(character: str) -> int:
    if character < "\u0300":
        return 1
    if character in _JOINERS or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
