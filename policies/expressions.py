"""CEL expressions: compiled once, evaluated to yes, no or broken.

Called by `pack_reader`, which compiles, and by `engine` and `fixtures`, which evaluate. Pure: CEL reaches nothing
but what is bound, and stops at 10,000 loop steps. Whatever is not a boolean is `Broken`, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol, TypeAlias, cast

from llmops_spec.digests import Json

Bindings: TypeAlias = Mapping[str, Json]

VARIABLES: Final = ("resource", "related", "environment", "object", "rendered")
"""Names that an expression may use; each is a map."""

_ERROR_PLACE: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class ExpressionInvalid(ValueError):  # noqa: N818  # reads as what it says
    """The text is no CEL, or cannot give a boolean."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        """1-based, within the expression."""
        self.column = column
        """1-based, within that line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """The expression gave no answer."""

    why: str


class _CelType(Protocol):
    def name(self) -> str: ...


class _CelValue(Protocol):
    def type(self) -> _CelType: ...

    def value(self) -> object: ...


class _CelExpression(Protocol):
    def eval(self, activation: object) -> _CelValue: ...

    def return_type(self) -> _CelType: ...


class _CelEnvironment(Protocol):
    def compile(self, expression: str) -> _CelExpression: ...

    def Activation(self, data: Mapping[str, object]) -> object: ...  # noqa: N802  # CEL's name


class Bound:
    """What expressions see: CEL converts a value when the first of them asks for it, and keeps it for the others."""

    def __init__(self, bindings: Bindings) -> None:
        self.activation: Final = _environment().Activation(bindings)


@dataclass(frozen=True, eq=False)
class Expression:
    """A compiled expression."""

    text: str
    variables: frozenset[str]
    """The names of `VARIABLES` that the text mentions."""
    _compiled: _CelExpression

    def holds(self, bound: Bound) -> bool | Broken:
        """Evaluate. CEL errors are values, so anything but a boolean counts as broken."""
        try:
            answer = self._compiled.eval(bound.activation)
            value, kind = answer.value(), answer.type().name()
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # what the binding raises for bad data
            return Broken(why=_first_line(str(error)))
        if isinstance(value, bool):
            return value
        return Broken(why=_first_line(str(value)) if kind == "ERROR" else f"it gives no yes or no but {kind.lower()}")


@cache
def compile_expression(text: str) -> Expression:
    """Compile, once for each text.

    Raises:
        ExpressionInvalid: with the place in the text.
    """
    try:
        compiled = _environment().compile(text)
    except RuntimeError as error:
        raise _located(str(error)) from error
    if compiled.return_type().name() not in {"BOOL", "DYN"}:
        raise ExpressionInvalid("it must give true or false", 1, 1)
    mentioned = frozenset(name for name in VARIABLES if re.search(rf"\b{name}\b", text))
    return Expression(text, mentioned, compiled)


@cache
def _environment() -> _CelEnvironment:
    from cel_expr_python import cel

    bound = {name: cel.Type("map<string, dyn>") for name in VARIABLES}
    return cast("_CelEnvironment", cel.NewEnv(variables=bound))


def _located(text: str) -> ExpressionInvalid:
    found = _ERROR_PLACE.search(text)
    if found is None:
        return ExpressionInvalid(_first_line(text), 1, 1)
    return ExpressionInvalid(
        found.group(3).removesuffix(" [INVALID_ARGUMENT]"), int(found.group(1)), int(found.group(2))
    )


def _first_line(text: str) -> str:
    return text.split("\n", maxsplit=1)[0][:300] or "no reason given"
