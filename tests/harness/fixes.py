"""Carry out what a finding's `help` says, where it says one thing that can be done to the text at its place.

Used by `test_fixes`: a fix that is offered must work. Advice in other words ("use a smaller model") is for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from compiler.diagnostics.model import Diagnostic
from compiler.source import Span


def fixed(files: Mapping[str, str], finding: Diagnostic) -> dict[str, str] | None:
    """The files after the first piece of advice that can be carried out; None where there is none."""
    text = files.get(finding.span.file)
    if text is None:
        return None
    for pattern, change in _CHANGES:
        found = re.search(pattern, finding.help)
        after = change(text, finding.span, found) if found else None
        if after is not None and after != text:
            return {**files, finding.span.file: after}
    return None


def _replace(text: str, span: Span, found: re.Match[str]) -> str | None:
    """Another name, or another number, in the place of the wrong one."""
    lines = text.split("\n")
    if span.end_line != span.line:
        return None
    line = lines[span.line - 1]
    lines[span.line - 1] = line[: span.column - 1] + found[1] + line[span.end_column - 1 :]
    return "\n".join(lines)


def _set(text: str, span: Span, found: re.Match[str]) -> str | None:
    """`key: value`: a key on the line of the finding, else the only one of that name, else a new one beside it."""
    lines, key = text.split("\n"), rf"\b{found[1]}: *[^\s,}}#]+"
    with_key = [number for number, line in enumerate(lines) if re.search(key, line)]
    if span.line - 1 in with_key or len(with_key) == 1:
        number = span.line - 1 if span.line - 1 in with_key else with_key[0]
        lines[number] = re.sub(key, f"{found[1]}: {found[2]}", lines[number])
    elif not with_key:
        indent = len(lines[span.line - 1]) - len(lines[span.line - 1].lstrip())
        lines.insert(span.line, f"{' ' * indent}{found[1]}: {found[2]}")
    else:
        return None
    return "\n".join(lines)


def _remove(text: str, span: Span, found: re.Match[str]) -> str | None:
    """A key with a value on its own line, or among others in braces."""
    lines = text.split("\n")
    line = lines[span.line - 1]
    if re.match(rf" *{found[1]}: *[^\s{{\[]", line):
        del lines[span.line - 1]
        return "\n".join(lines)
    lines[span.line - 1] = re.sub(rf"(, *)?\b{found[1]}: *[^\s,}}\]]+", "", line).replace("{, ", "{")
    return "\n".join(lines)


_Change = Callable[[str, Span, re.Match[str]], str | None]
_CHANGES: tuple[tuple[str, _Change], ...] = (
    (r"did you mean `([^`]+)`", _replace),
    (r"^(?:set|write|add|declare) `([A-Za-z]+): ([\w./-]+)`(?! to)", _set),
    (r"^(?:use|set it to at most|start from|scale by) `?([\w.-]+)`?(?:$|:|,| or| heads)", _replace),
    (r"^set `([A-Za-z]+)` to (?:at least |at most )?([\d.]+)(?! or)", _set),
    (r"^set `([A-Za-z]+)` (?:above|below) \d+, such as (\d+)", _set),
    (r"^remove `([A-Za-z]+)`", _remove),
)
