"""Say a libyaml error in the user's words. Called by `builder` alone.

libyaml's texts are fixed strings of its source; one that is not listed here is passed on as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from compiler.yaml_reader.model import YamlRule


class Mark(Protocol):
    """A place as libyaml counts it: all from 0, in code points."""

    line: int
    column: int
    index: int


class SyntaxFault(Protocol):
    """The fields of PyYAML's `MarkedYAMLError`."""

    context: str | None
    context_mark: Mark | None
    problem: str | None
    problem_mark: Mark | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wording:
    needle: str
    """Part of libyaml's context and problem, joined by a colon."""
    message: str
    help: str | None = None
    opened: str | None = None
    """What libyaml's context mark is, where showing it helps."""
    at_context: bool = False
    """The mistake is where libyaml began, not where it noticed."""
    rule: YamlRule = "yaml-syntax"


_QUOTE = "put the whole text in quotes"
_WORDINGS = (
    _Wording(
        needle="scanning an alias: did not find",
        message="a text cannot start with `*`, which marks an alias",
        help=_QUOTE,
        rule="yaml-anchor",
    ),
    _Wording(
        needle="scanning an anchor: did not find",
        message="a text cannot start with `&`, which marks an anchor",
        help=_QUOTE,
        rule="yaml-anchor",
    ),
    _Wording(
        needle="directive",
        message="a line that starts with `%` is a directive, and directives are not allowed",
        help="remove the line",
        rule="yaml-directive",
    ),
    _Wording(
        needle="found incompatible YAML document",
        message="a `%YAML` directive is not allowed",
        help="remove the line; the file is read as YAML 1.2",
        rule="yaml-directive",
    ),
    _Wording(
        needle="undefined tag handle",
        message="tags (`!…`) are not allowed: a spec is plain data",
        help="remove the tag, or " + _QUOTE,
        rule="yaml-tag",
    ),
    _Wording(
        needle=" a tag: ",
        message="a text cannot start with `!`, which marks a tag",
        help=_QUOTE,
        rule="yaml-tag",
    ),
    _Wording(
        needle="mapping values are not allowed",
        message="this `:` makes a key of the text before it, and a key cannot stand there",
        help="check the indentation of this line and the one above, or put a text that holds `: ` in quotes",
    ),
    _Wording(
        needle="did not find expected key",
        message="a key was expected here, indented like the other keys of its mapping",
        help="check the indentation; after a quoted text nothing may follow on the line",
        opened="the mapping starts here",
    ),
    _Wording(
        needle="could not find expected ':'",
        message="a `:` is missing after this key",
        help="a text over several lines is indented below its key",
        at_context=True,
    ),
    _Wording(
        needle="did not find expected '-' indicator",
        message="a list item (`- …`) was expected here",
        help="check the indentation",
        opened="the list starts here",
    ),
    _Wording(
        needle="expected ',' or ']'",
        message="`,` or `]` was expected here",
        help="close the list with `]`",
        opened="the list is opened here",
    ),
    _Wording(
        needle="expected ',' or '}'",
        message="`,` or `}` was expected here",
        help="close the mapping with `}`",
        opened="the mapping is opened here",
    ),
    _Wording(
        needle="quoted scalar: found unexpected",
        message="the quoted text that starts here is never closed",
        help="close it with the same quote",
        at_context=True,
    ),
    _Wording(
        needle="found unknown escape character",
        message="after `\\` in double quotes stands a character that has no meaning there",
        help="write `\\\\` for a backslash, or use single quotes",
    ),
    _Wording(
        needle="scanning a block scalar: did not find expected comment",
        message="only `-`, `+` and a digit may follow `|` or `>` on their line",
        help="start the text on the next line, indented",
    ),
    _Wording(
        needle="found a tab character",
        message="a tab stands where only spaces may indent",
        help="replace the tab by spaces",
    ),
    _Wording(
        needle="block sequence entries are not allowed",
        message="a list item (`- …`) cannot stand here",
        help="start the list on the line below its key, or put the text in quotes",
    ),
    _Wording(
        needle="did not find expected node content",
        message="a value was expected here, or the bracket that closes what is open",
    ),
    _Wording(
        needle="did not find expected <document start>",
        message="the document has ended before this text",
        help="start a new document by a line `---`, or check the indentation",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A libyaml error as the user reads it."""

    rule: YamlRule
    message: str
    help: str | None
    at: Mark | None
    opened: tuple[str, Mark] | None


def explain(fault: SyntaxFault, text: str) -> Explanation:
    """Word the error that libyaml found in `text`."""
    where = fault.problem_mark
    if fault.problem == "found character that cannot start any token" and where is not None:
        return _unstartable(text[where.index : where.index + 1], where)
    found = f"{fault.context or ''}: {fault.problem or ''}"
    for wording in _WORDINGS:
        if wording.needle in found:
            return _worded(wording, fault)
    message = f"this is not valid YAML: {(fault.problem or 'it cannot be read').removeprefix('found ')}"
    return Explanation(rule="yaml-syntax", message=message, help=None, at=where or fault.context_mark, opened=None)


def never_closed(opening: Mark, text: str) -> Explanation:
    """The explanation of a document that ends inside brackets; libyaml would show its end only."""
    bracket = text[opening.index]
    closing = "]" if bracket == "[" else "}"
    message = f"the `{bracket}` that stands here is never closed"
    return Explanation(rule="yaml-syntax", message=message, help=f"close it with `{closing}`", at=opening, opened=None)


def _worded(wording: _Wording, fault: SyntaxFault) -> Explanation:
    context = fault.context_mark
    at = context if wording.at_context and context is not None else fault.problem_mark
    opened = (wording.opened, context) if wording.opened and context is not None else None
    return Explanation(rule=wording.rule, message=wording.message, help=wording.help, at=at, opened=opened)


def _unstartable(character: str, where: Mark) -> Explanation:
    if character == "\t":
        message, help_text = "a tab stands where only spaces may indent", "replace the tab by spaces"
    else:
        message, help_text = f"a text cannot start with `{character}`", _QUOTE
    return Explanation(rule="yaml-syntax", message=message, help=help_text, at=where, opened=None)
