"""Where something stands inside a template that is written in YAML.

Used by the prompt checks, so that a caret points at the variable and not at the whole message.
"""

from __future__ import annotations

import re

from compiler.diagnostics.excerpt import split_lines
from compiler.ports import Reader
from compiler.source import Span


def place_of_variable(files: Reader, template: Span, name: str) -> Span:
    """The first use of a variable in the template that is written at `template`; that place where it is not found."""
    use = re.compile(rf"\{{[{{%][^{{}}]*?\b({re.escape(name)})\b")
    lines = _source(files, template)
    for number, text in lines:
        if found := use.search(text):
            column = found.start(1) + 1 + (template.column - 1 if number == template.line else 0)
            return Span(template.file, number, column, number, column + len(name))
    return template


def place_of_line(files: Reader, template: Span, line: int) -> Span:
    """A line of a template, counted from 1, where it is written as a literal block (`|`); else the whole template."""
    lines = dict(_source(files, template))
    target = template.line + line
    if not lines.get(template.line, "").startswith("|") or not lines.get(target, "").strip():
        return template
    text = lines[target].rstrip()
    return Span(template.file, target, len(text) - len(text.lstrip()) + 1, target, len(text) + 1)


def _source(files: Reader, span: Span) -> list[tuple[int, str]]:
    """The source lines of a span, with their numbers; empty where the file is gone by now."""
    try:
        lines = split_lines(files.read(span.file).decode("utf-8", errors="replace"))
    except OSError:
        return []
    first, last = span.line - 1, min(span.end_line, len(lines))
    stretch = lines[first:last]
    if stretch and span.end_line <= len(lines):
        stretch[-1] = stretch[-1][: span.end_column - 1]
    if stretch:
        stretch[0] = stretch[0][span.column - 1 :]
    return [(span.line + offset, text) for offset, text in enumerate(stretch)]
