"""The prompt language: Jinja2 syntax cut down to what cannot run away, and its rendering.

Called by the compiler's checks (`analyse`), and by training and the gateway (`render_messages`).

Promises: the syntax tree is judged by an allow-list before anything is compiled, so no call, attribute, index,
arithmetic, include or macro ever reaches Jinja's compiler; rendering time and output are bounded by the lengths
of template and values; values are data and are never read as templates.

What a template may hold: text, `{{ variable }}`, `{% if %}` with comparisons and `and`, `or`, `not`,
one level of `{% for character in variable %}`, comments, `{% raw %}`, and the filters in `FILTERS` with constant
arguments. A line that holds only a `{% … %}` leaves no empty line behind. Booleans are written `true` and `false`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from llmops_spec.prompt import Message, ValueType

Value: TypeAlias = str | int | float | bool


class TypedVariable(Protocol):
    """What rendering knows of a variable."""

    @property
    def type(self) -> ValueType: ...


class RenderablePrompt(Protocol):
    """What rendering knows of a prompt: a service's, or what a training keeps of one."""

    @property
    def messages(self) -> Sequence[Message]: ...

    @property
    def variables(self) -> Mapping[str, TypedVariable]: ...


FILTERS: Final = frozenset({"capitalize", "length", "lower", "trim", "truncate", "upper"})
"""None of these can make a text much longer than its input."""

OUTPUT_LIMIT_CHARACTERS: Final = 4_000_000
DEPTH_LIMIT: Final = 48
"""Nesting of the syntax tree. Jinja compiles to nested Python, whose own limits are not errors but crashes."""

_PLAIN_NODES: Final = frozenset({"Template", "Output", "TemplateData", "If", "Operand", "And", "Or", "Not"})
_RESERVED_NAMES: Final = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs"})
"""Names that Jinja fills with objects of its own."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_REFUSED: Final[Mapping[str, str]] = {
    "Getattr": "attributes (`a.b`)",
    "Getitem": "subscripts (`a[b]`)",
    "Slice": "slices",
    "Call": "calls",
    "Test": "tests (`is …`)",
    "CondExpr": "inline `if`; write `{% if %}`",
    "Concat": "concatenation (`~`)",
    "List": "lists",
    "Tuple": "tuples",
    "Dict": "dictionaries",
    "Include": "`{% include %}`",
    "Import": "`{% import %}`",
    "FromImport": "`{% from … import %}`",
    "Extends": "`{% extends %}`",
    "Macro": "`{% macro %}`",
    "CallBlock": "`{% call %}`",
    "FilterBlock": "`{% filter %}`",
    "Block": "`{% block %}`",
    "Assign": "`{% set %}`",
    "AssignBlock": "`{% set %}`",
    "With": "`{% with %}`",
}
_ARITHMETIC: Final = frozenset({"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"})


@dataclass(frozen=True, kw_only=True)
class TemplateProblem:
    line: int
    """Counted from 1 within the template's text."""
    message: str


@dataclass(frozen=True, kw_only=True)
class TemplateFacts:
    variables: frozenset[str]
    """Names that rendering needs."""
    problems: tuple[TemplateProblem, ...]
    """Why the template is refused; empty where it is not."""


class PromptError(Exception):
    """A template or its values are refused. The message is one sentence for the user."""

    def __init__(self, message: str, variable: str | None = None) -> None:
        super().__init__(message)
        self.variable = variable
        """The variable at fault, where it is one."""


@lru_cache(maxsize=512)
def analyse(text: str) -> TemplateFacts:
    """What a template needs, and every construct in it that is not part of the language. Never raises."""
    from jinja2 import TemplateSyntaxError

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        return _unreadable(error.lineno, f"the template cannot be read: {error.message}")
    except (RecursionError, MemoryError):
        return _unreadable(1, "the template is nested too deeply")
    except ValueError as error:  # a number of thousands of digits
        return _unreadable(1, f"the template cannot be read: {error}")
    if _too_deep(tree):
        return _unreadable(1, f"the template is nested more than {DEPTH_LIMIT} levels deep")
    walk = _Walk()
    walk.visit(tree, local=frozenset(), looping=False)
    return TemplateFacts(variables=frozenset(walk.variables), problems=tuple(walk.problems))


def render(text: str, values: Mapping[str, Value]) -> str:
    """The template filled with values. Values that it does not use are ignored.

    Raises:
        PromptError: the template is refused, a variable has no value, or the text grows too long.
    """
    from jinja2 import TemplateError

    facts = analyse(text)
    if facts.problems:
        first = facts.problems[0]
        raise PromptError(f"line {first.line} of the template: {first.message}")
    missing = sorted(facts.variables - values.keys())
    if missing:
        raise PromptError(f"`{missing[0]}` has no value", missing[0])
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(text).generate(values):
            length += len(piece)
            if length > OUTPUT_LIMIT_CHARACTERS:
                raise PromptError(f"the rendered text is longer than {OUTPUT_LIMIT_CHARACTERS} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError) as error:
        raise PromptError(f"the template does not fit its values: {error}") from error
    return "".join(pieces)


def render_messages(prompt: RenderablePrompt, values: Mapping[str, Value]) -> list[dict[str, str]]:
    """The chat messages of a prompt, as the OpenAI API takes them.

    Raises:
        PromptError: a value is missing, unknown or of another type than declared, or a template is refused.
    """
    check_values(prompt.variables, values)
    return [{"role": message.role, "content": render(message.content, values)} for message in prompt.messages]


def check_values(variables: Mapping[str, TypedVariable], values: Mapping[str, object]) -> None:
    """Compare values with the declared variables.

    Raises:
        PromptError: naming the first variable that is missing, of another type, or unknown.
    """
    for name, variable in variables.items():
        if name not in values:
            raise PromptError(f"`{name}` has no value", name)
        _check_type(name, variable, values[name])
    for name in values:
        if name not in variables:
            known = ", ".join(f"`{one}`" for one in variables) or "none"
            raise PromptError(f"`{name}` is not a variable of this prompt; it has {known}", name)


def _check_type(name: str, variable: TypedVariable, value: object) -> None:
    match variable.type:
        case "string":
            fits = isinstance(value, str)
        case "boolean":
            fits = isinstance(value, bool)
        case "integer":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "number":
            fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits:
        raise PromptError(f"`{name}` must be of type {variable.type}", name)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise PromptError(f"`{name}` holds half of a surrogate pair, which is no character", name) from error


class _Node(Protocol):
    """What we ask of a Jinja syntax node."""

    lineno: int

    def iter_child_nodes(self) -> Iterable[_Node]: ...


class _Walk:
    """One pass over a syntax tree. A refused node is reported once, and not looked into."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.problems: list[TemplateProblem] = []

    def visit(self, node: _Node, *, local: frozenset[str], looping: bool) -> None:
        from jinja2 import nodes

        match node:
            case nodes.Name():
                self._name(node.name, node, local)
            case nodes.Const():
                pass
            case nodes.Filter():
                self._filter(node, local=local, looping=looping)
            case nodes.For():
                self._for(node, local=local, looping=looping)
            case nodes.Compare():
                for part in (node.expr, *node.ops):
                    self.visit(part, local=local, looping=looping)
            case _ if type(node).__name__ in _PLAIN_NODES:
                for child in node.iter_child_nodes():
                    self.visit(child, local=local, looping=looping)
            case _:
                self._refuse(node, _what(node))

    def _name(self, name: str, node: _Node, local: frozenset[str]) -> None:
        if name in local:
            return
        if name in _RESERVED_NAMES or not _IDENTIFIER.fullmatch(name):
            self._refuse(node, f"the name `{name}`")
        else:
            self.variables.add(name)

    def _filter(self, node: _Node, *, local: frozenset[str], looping: bool) -> None:
        from jinja2 import nodes

        assert isinstance(node, nodes.Filter)  # narrows for the type checker
        arguments: list[_Node] = [*node.args, *(one.value for one in node.kwargs)]
        if node.name not in FILTERS or node.node is None:
            self._refuse(node, f"the filter `{node.name}`; there are {', '.join(sorted(FILTERS))}")
        elif node.dyn_args or node.dyn_kwargs or not all(isinstance(one, nodes.Const) for one in arguments):
            self._refuse(node, f"arguments of `{node.name}` that are not constants")
        else:
            self.visit(node.node, local=local, looping=looping)

    def _for(self, node: _Node, *, local: frozenset[str], looping: bool) -> None:
        from jinja2 import nodes

        assert isinstance(node, nodes.For)  # as above
        target = node.target
        if looping:  # loops in loops make the work a power of the input's length
            self._refuse(node, "`{% for %}` inside `{% for %}`")
        elif node.recursive:
            self._refuse(node, "a recursive `{% for %}`")
        elif not isinstance(node.iter, nodes.Name):
            self._refuse(node, "`{% for %}` over anything but a variable")
        elif not isinstance(target, nodes.Name) or not _IDENTIFIER.fullmatch(target.name):
            self._refuse(node, "`{% for %}` with several targets")
        elif target.name in _RESERVED_NAMES:
            self._refuse(target, f"the name `{target.name}`")
        else:
            self.visit(node.iter, local=local, looping=looping)
            inner = local | {target.name}
            for child in (*node.body, *([node.test] if node.test is not None else [])):
                self.visit(child, local=inner, looping=True)
            for child in node.else_:
                self.visit(child, local=local, looping=looping)

    def _refuse(self, node: _Node, what: str) -> None:
        self.problems.append(TemplateProblem(line=node.lineno, message=f"the prompt language does not have {what}"))


def _what(node: _Node) -> str:
    name = type(node).__name__
    return "arithmetic" if name in _ARITHMETIC else _REFUSED.get(name, f"this ({name})")


def _too_deep(tree: _Node) -> bool:
    # By hand and not by recursion: what is too deep for us is too deep for the stack as well.
    level = [tree]
    for _ in range(DEPTH_LIMIT):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return False
    return True


def _unreadable(line: int, message: str) -> TemplateFacts:
    return TemplateFacts(variables=frozenset(), problems=(TemplateProblem(line=line, message=message),))


@lru_cache(maxsize=1)
def _environment():  # noqa: ANN202  # Jinja's type; naming it would import Jinja with this module
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        autoescape=False,  # prompts are plain text, not HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_spelled,
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


def _spelled(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


@lru_cache(maxsize=512)
def _compiled(text: str):  # noqa: ANN202  # as above
    return _environment().from_string(text)
