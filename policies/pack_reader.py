"""Read a policy pack: YAML to rules whose expressions are compiled.

Called by `llmops`, which hands in the bytes. Every mistake of a pack is reported at once, each with its place:
a pack that is read in part would be a pack that allows what it was written to deny.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import locate
from compiler.source import LocatedMapping, Span
from llmops_spec.base import SpecModel
from llmops_spec.kinds import KINDS
from policies.expressions import Expression, ExpressionInvalid, compile_expression
from policies.pack_text import PackInvalid, PackProblem, read_mapping, typed
from policies.rules import ANY_OBJECT, Pack, Rule, RuleSeverity

_Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Cel = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class _RuleText(SpecModel):
    id: str = Field(pattern=r"^[A-Z]{2,4}-[0-9]{2}[a-z]?$")
    title: _Words
    severity: RuleSeverity
    kinds: list[str] | None = Field(default=None, min_length=1)
    objects: list[str] | None = Field(default=None, min_length=1)
    when: _Cel | None = None
    expression: _Cel
    path: list[_Words] = Field(default=["metadata.name"], min_length=1)
    message: _Words
    help: _Words
    references: list[_Words] = Field(default_factory=list)


class _PackText(SpecModel):
    format_version: int
    rules: list[_RuleText] = Field(min_length=1)


def load_pack(name: str, data: bytes) -> Pack:
    """Read and compile a pack. `name` is its file, for positions and for people.

    Raises:
        PackInvalid: with every problem that was found.
    """
    document = read_mapping(name, data, "a pack is one mapping with `formatVersion` and `rules`")
    reader = _Reader(document)
    rules = tuple(
        rule
        for index, text in enumerate(typed(_PackText, document).rules)
        if (rule := reader.rule(index, text)) is not None
    )
    reader.refuse_repeated(rules)
    if reader.problems:
        raise PackInvalid(tuple(reader.problems))
    return Pack(name=name, rules=rules)


class _Reader:
    """Turns typed texts into rules and gathers what is wrong with them."""

    def __init__(self, document: LocatedMapping) -> None:
        self._document = document
        self.problems: list[PackProblem] = []

    def rule(self, index: int, text: _RuleText) -> Rule | None:
        before = len(self.problems)
        self._check_scope(index, text)
        expression = self._compiled(index, "expression", text.expression)
        when = self._compiled(index, "when", text.when)
        if expression is None or len(self.problems) > before:
            return None
        return Rule(
            id=text.id,
            title=text.title,
            severity=text.severity,
            kinds=tuple(text.kinds or ()),
            objects=tuple(text.objects or ()),
            when=when,
            expression=expression,
            paths=tuple(_parsed_path(path) for path in text.path),
            message=text.message,
            help=text.help,
            references=tuple(text.references),
            span=self._span(index, "id"),
        )

    def refuse_repeated(self, rules: tuple[Rule, ...]) -> None:
        seen: dict[str, Rule] = {}
        for rule in rules:
            if rule.id in seen:
                self._add(rule.span, f"rule `{rule.id}` is written twice, first at {seen[rule.id].span}")
            seen.setdefault(rule.id, rule)

    def _check_scope(self, index: int, text: _RuleText) -> None:
        if (text.kinds is None) == (text.objects is None):
            self._add(self._span(index, "id"), f"rule `{text.id}` needs either `kinds` or `objects`")
        for position, kind in enumerate(text.kinds or ()):
            if kind not in KINDS:
                self._add(
                    self._span(index, "kinds", position), f"there is no kind `{kind}`; {did_you_mean(kind, KINDS)}"
                )
        for position, kind in enumerate(text.objects or ()):
            if kind != ANY_OBJECT and not kind.isidentifier():
                self._add(self._span(index, "objects", position), f"`{kind}` is no kind of object, nor `{ANY_OBJECT}`")

    def _compiled(self, index: int, field: str, text: str | None) -> Expression | None:
        if text is None:
            return None
        try:
            return compile_expression(text)
        except ExpressionInvalid as error:
            span = self._span(index, field)
            where = _within(span, text, error)
            self._add(where, f"`{field}` does not compile: {error.message} (line {error.line}, column {error.column})")
            return None

    def _span(self, index: int, *path: str | int) -> Span:
        return locate(self._document, ("rules", index, *path))

    def _add(self, span: Span, message: str) -> None:
        self.problems.append(PackProblem(message=message, span=span))


def _within(span: Span, text: str, error: ExpressionInvalid) -> Span:
    """The place inside the scalar where it stands on one line, as it is; else the whole scalar."""
    width = span.end_column - span.column
    quotes = width - len(text)
    if span.line != span.end_line or quotes not in (0, 2):
        return span
    column = span.column + quotes // 2 + error.column - 1
    return Span(span.file, span.line, min(column, span.end_column), span.line, span.end_column)


def _parsed_path(path: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))
