"""Findings as text for a terminal: sentence, place, excerpt with marks, related places, note, help.

Called by `llmops.cli`. Pure: the caller says whether to use colours and gives the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from compiler.diagnostics.excerpt import excerpt, printable, split_lines
from compiler.diagnostics.shown import Finding, Shown, Weight, shown
from compiler.source import Span


class _Style(StrEnum):
    RED = "\x1b[1;31m"
    YELLOW = "\x1b[1;33m"
    BLUE = "\x1b[1;34m"
    GREEN = "\x1b[1;32m"
    BOLD = "\x1b[1m"


_RESET = "\x1b[0m"
_WEIGHT_STYLES: dict[Weight, _Style] = {"error": _Style.RED, "denied": _Style.RED, "warning": _Style.YELLOW}


def render_text(
    findings: Iterable[Finding],
    sources: Callable[[str], str | None],
    *,
    colour: bool,
    environments: Collection[str] = (),
) -> str:
    """Every finding in full, sorted by place, with an empty line between them; an empty text for none.

    `sources` gives the text of a file, None where it cannot be shown. A finding that holds in some of `environments`
    alone names them. What comes from the project is printed without its control characters.
    """
    every = shown(findings)
    places = [one.confidential for one in every if one.confidential is not None]
    hidden = frozenset((one.file, line) for one in places for line in range(one.line, one.end_line + 1))
    page = _Page(sources=sources, colour=colour, environments=frozenset(environments), hidden=hidden, lines={})
    return "\n".join(page.finding(one) for one in every)


@dataclass(frozen=True, kw_only=True)
class _Page:
    sources: Callable[[str], str | None]
    colour: bool
    environments: frozenset[str]
    hidden: frozenset[tuple[str, int]]
    """File and line of what may be a secret: other findings may lie on the same line."""
    lines: dict[str, list[str]]
    """Split sources, by file: many findings point into the same few."""

    def finding(self, one: Shown) -> str:
        style = _WEIGHT_STYLES[one.weight]
        head = self._styled(f"{one.weight}[{printable(one.name)}]", style)
        rows = [f"{head}{self._styled(': ' + printable(one.message), _Style.BOLD)}"]
        rows += self._place(one.span, one.label, mark="^", style=style)
        for label in one.related:
            rows += self._place(label.span, label.text, mark="-", style=_Style.BLUE)
        rows += self._remark("note", one.note, _Style.BLUE)
        rows += self._remark("help", one.help, _Style.GREEN)
        rows += self._remark("rule", "; ".join(one.references), _Style.BLUE)
        if one.environments and frozenset(one.environments) != self.environments:
            word = "environment" if len(one.environments) == 1 else "environments"
            rows += self._remark(word, ", ".join(one.environments), _Style.BLUE)
        return "".join(f"{row}\n" for row in rows)

    def _place(self, span: Span, label: str, *, mark: str, style: _Style) -> list[str]:
        arrow = f"  {self._styled('-->', _Style.BLUE)} {printable(str(span))}"
        found = excerpt(self._lines_of(span.file), span, mark=mark)
        if found is None or (span.file, span.line) in self.hidden:
            return [f"{arrow} {printable(label)}".rstrip()]
        text, marks = found
        number = str(span.line)
        gutter, empty = self._styled(f"{number} |", _Style.BLUE), self._styled(f"{' ' * len(number)} |", _Style.BLUE)
        indent = " " * (len(marks) - len(marks.lstrip(" ")))
        below = self._styled(f"{marks.lstrip(' ')} {printable(label)}".rstrip(), style)
        return [arrow, f"{gutter} {text}".rstrip(), f"{empty} {indent}{below}"]

    def _remark(self, word: str, text: str, style: _Style) -> list[str]:
        first, *more = [printable(line) for line in text.splitlines()] or [""]
        if not first:
            return []
        return [f"{self._styled(word + ':', style)} {first}", *(f"{' ' * len(word)}  {line}" for line in more)]

    def _lines_of(self, file: str) -> list[str]:
        if file not in self.lines:
            source = self.sources(file)
            self.lines[file] = split_lines(source) if source is not None else []
        return self.lines[file]

    def _styled(self, text: str, style: _Style) -> str:
        return f"{style}{text}{_RESET}" if self.colour else text
