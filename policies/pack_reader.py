"""Read a policy pack: YAML to rules whose expressions are compiled.

Called by `llmops`, which hands in the bytes. Every mistake of a pack is reported at once, each with its place:
a pack that is read in part would be a pack that allows what it was written to deny.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import locate
from compiler.source import LocatedMapping, Span
from compiler.yaml_reader import read_yaml
from llmops_spec.base import SpecModel
from llmops_spec.kinds import KINDS
from policies.expressions import VARIABLES, Expression, ExpressionInvalid, compile_expression
from policies.rules import ANY_OBJECT, GROUPS, Fixture, Pack, Rule, RuleSeverity

PACK_FORMAT: Final = 1

_Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Cel = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
_Binding = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackProblem:
    message: str
    span: Span


class PackInvalid(ValueError):  # noqa: N818  # reads as what it says
    """The pack cannot be used. Carries every problem found."""

    def __init__(self, problems: tuple[PackProblem, ...]) -> None:
        super().__init__("; ".join(f"{one.span}: {one.message}" for one in problems))
        self.problems = problems


class _FixtureText(SpecModel):
    resource: _Binding | None = None
    related: _Binding | None = None
    environment: _Binding | None = None
    object: _Binding | None = None
    rendered: _Binding | None = None


class _FixturesText(SpecModel):
    pass_: list[_FixtureText] = Field(alias="pass", min_length=1)
    fail: list[_FixtureText] = Field(min_length=1)
    error: list[_FixtureText] = Field(min_length=1)


class _RuleText(SpecModel):
    id: str = Field(pattern=r"^[A-Z]{2,4}-\d{2}[a-z]?$")
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
    fixtures: _FixturesText


class _PackText(SpecModel):
    format_version: int
    rules: list[_RuleText] = Field(min_length=1)


def load_pack(name: str, data: bytes) -> Pack:
    """Read and compile a pack. `name` is its file, for positions and for people.

    Raises:
        PackInvalid: with every problem that was found.
    """
    document = _document(name, data)
    reader = _Reader(document)
    rules = tuple(
        rule for index, text in enumerate(_typed(document).rules) if (rule := reader.rule(index, text)) is not None
    )
    reader.refuse_repeated(rules)
    if reader.problems:
        raise PackInvalid(tuple(reader.problems))
    return Pack(name=name, rules=rules)


def _document(name: str, data: bytes) -> LocatedMapping:
    file = read_yaml(name, data)
    start = Span(name, 1, 1, 1, 1)
    if file.problems:
        raise PackInvalid(tuple(PackProblem(message=one.message, span=one.span) for one in file.problems))
    if len(file.documents) != 1 or not isinstance(value := file.documents[0].value, LocatedMapping):
        raise PackInvalid((PackProblem(message="a pack is one mapping with `formatVersion` and `rules`", span=start),))
    version = value.get("formatVersion")
    if isinstance(version, int) and version > PACK_FORMAT:
        said = f"format version {version} is newer than {PACK_FORMAT}, the newest that is known here"
        raise PackInvalid((PackProblem(message=said, span=locate(value, ("formatVersion",))),))
    return value


def _typed(document: LocatedMapping) -> _PackText:
    try:
        return _PackText.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise PackInvalid(
            tuple(
                PackProblem(
                    message=f"`{'.'.join(str(part) for part in one['loc'])}`: {one['msg']}",
                    span=locate(document, one["loc"]),
                )
                for one in error.errors(include_url=False, include_input=False)
            )
        ) from error


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
            fixtures=self._fixtures(index, text.fixtures),
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

    def _fixtures(self, index: int, text: _FixturesText) -> tuple[Fixture, ...]:
        groups = {"pass": text.pass_, "fail": text.fail, "error": text.error}
        return tuple(
            Fixture(
                group=group,
                bindings={name: value for name in VARIABLES if (value := getattr(one, name)) is not None},
                span=self._span(index, "fixtures", group, position),
            )
            for group in GROUPS
            for position, one in enumerate(groups[group])
        )

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
