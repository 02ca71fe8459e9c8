"""Documents between YAML and types: raw trees with their kind and name, and pydantic's errors as findings.

Used by `load` and `parse`, and again by `resolve` for documents that an overlay changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from compiler.diagnostics import catalogue
from compiler.diagnostics.model import Declared, Diagnostic, DiagnosticSink, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import locate, locate_key
from compiler.source import LocatedMapping, LocatedSequence, LocatedValue, Span, child
from compiler.spec_fields import fields_at
from compiler.yaml_reader import YamlDocument, YamlProblem, read_yaml
from llmops_spec.base import API_VERSION, Resource
from llmops_spec.kinds import KINDS


@dataclass(frozen=True, kw_only=True, eq=False)
class RawDocument:
    """A document of ours: its kind is known, its name is where it could be read."""

    kind: str
    name: str | None
    tree: LocatedMapping
    sound: bool = True
    """False where the YAML itself is at fault: kind and name can be trusted, and nothing more is said of it."""

    @property
    def span(self) -> Span:
        return self.locate(("metadata", "name"))

    def locate(self, path: tuple[str | int, ...]) -> Span:
        return locate(self.tree, path)


def read_documents(path: str, data: bytes, sink: DiagnosticSink) -> list[RawDocument]:
    """The documents of one file that are ours; whatever else is in it is reported."""
    found = read_yaml(path, data)
    sink.extend(_yaml_finding(problem) for problem in found.problems)
    if not found.documents and not found.problems:
        place = Span(path, 1, 1, 1, 1)
        sink.add(catalogue.EMPTY_FILE.at(place, f"`{path}` holds no document", help="delete it, or `exclude` it"))
    every = [*found.documents, *found.unfinished]
    return [one for document in every if (one := _ours(document, sink)) is not None]


def _yaml_finding(problem: YamlProblem) -> Diagnostic:
    return catalogue.YAML_RULES[problem.rule].at(
        problem.span,
        problem.message,
        help=problem.help or "",
        related=[Label(text=text, span=span) for text, span in problem.related],
    )


def _ours(document: YamlDocument, sink: DiagnosticSink) -> RawDocument | None:
    tree = document.value
    if not document.sound:
        return _poisoned(tree)
    if not isinstance(tree, LocatedMapping):
        sink.add(catalogue.WRONG_TYPE.at(document.span, "a spec document is a mapping", help=_HEAD_HELP))
        return None
    version = tree.get("apiVersion")
    if version != API_VERSION:
        said = f"`{version}` is not an apiVersion of ours" if "apiVersion" in tree else "the document has no `apiVersion`"
        sink.add(catalogue.FOREIGN_DOCUMENT.at(locate(tree, ("apiVersion",)), said, help=_FOREIGN_HELP))
        return None
    kind = tree.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        said = f"`{kind}` is not a kind" if "kind" in tree else "the document has no `kind`"
        sink.add(catalogue.UNKNOWN_KIND.at(locate(tree, ("kind",)), said, help=did_you_mean(str(kind), KINDS)))
        return None
    metadata = tree.get("metadata")
    name = metadata.get("name") if isinstance(metadata, LocatedMapping) else None
    return RawDocument(kind=kind, name=name if isinstance(name, str) else None, tree=tree)


def _poisoned(tree: LocatedValue) -> RawDocument | None:
    """What can be known of a document with broken YAML inside: that something of this kind and name is there."""
    kind = tree.get("kind") if isinstance(tree, LocatedMapping) else None
    metadata = tree.get("metadata") if isinstance(tree, LocatedMapping) else None
    name = metadata.get("name") if isinstance(metadata, LocatedMapping) else None
    if isinstance(tree, LocatedMapping) and isinstance(kind, str) and kind in KINDS and isinstance(name, str):
        return RawDocument(kind=kind, name=name, tree=tree, sound=False)
    return None


_HEAD_HELP = f"begin with `apiVersion: {API_VERSION}`, `kind:`, `metadata:`, `spec:`"
_FOREIGN_HELP = f"write `apiVersion: {API_VERSION}`, or name the file in `spec.exclude` of llmops.yaml"


def type_document(document: RawDocument, sink: DiagnosticSink) -> Resource | None:
    """The typed resource, or None with every mistake reported at its place."""
    if not document.sound:
        return None
    try:
        return KINDS[document.kind].model_validate(document.tree)
    except ValidationError as error:
        sink.extend(_findings(document, error.errors(include_url=False, include_context=True)))
        return None


def _findings(document: RawDocument, errors: list[ErrorDetails]) -> list[Diagnostic]:
    """One finding per mistake: the branches of a union that was not met speak as one."""
    grouped: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for error in errors:
        grouped.setdefault(_written_path(document.tree, error), []).append(error)
    return [_finding(document, path, some) for path, some in grouped.items() if not _covered(path, grouped)]


def _covered(path: tuple[str | int, ...], grouped: Mapping[tuple[str | int, ...], object]) -> bool:
    """Whether a deeper mistake explains this one: of a union, the branch that went deepest was meant."""
    return any(other != path and other[: len(path)] == path for other in grouped)


def _written_path(tree: LocatedMapping, error: ErrorDetails) -> tuple[str | int, ...]:
    """The error's place as a path in the document: pydantic's names of union branches are left out."""
    here: object = tree
    path: list[str | int] = []
    parts = error["loc"]
    for index, part in enumerate(parts):
        found = child(here, part)
        if found is not None:
            here = found[0]
        elif not (error["type"] == "missing" and index == len(parts) - 1):
            continue
        path.append(part)
    return tuple(path)


def _finding(document: RawDocument, path: tuple[str | int, ...], errors: list[ErrorDetails]) -> Diagnostic:
    error = errors[0]
    key = str(path[-1]) if path else document.kind
    match error["type"]:
        case "extra_forbidden":
            known = fields_at(KINDS[document.kind], path[:-1])
            place = locate_key(document.tree, path)
            return catalogue.UNKNOWN_KEY.at(place, f"unknown key `{key}`", help=did_you_mean(key, known))
        case "missing":
            parent = document.locate(path[:-1]) if len(path) > 1 else document.span
            return catalogue.MISSING_FIELD.at(parent, f"`{_dotted(path)}` is missing", help=f"add `{key}: …`")
        case "value_error":
            rule = catalogue.ONE_OF if "exactly one of" in error["msg"] else catalogue.INVALID_VALUE
            return rule.at(_key_or_value(document, path), error["msg"].removeprefix("Value error, "))
        case _:
            rule, said = _value_sentence(errors)
            return rule.at(document.locate(path), f"`{_dotted(path)}` {said}")


def _key_or_value(document: RawDocument, path: tuple[str | int, ...]) -> Span:
    return locate_key(document.tree, path) if path else document.span


def _value_sentence(errors: list[ErrorDetails]) -> tuple[Declared, str]:
    """What a value should be, in the user's words. Several errors are the branches of one union."""
    wanted = dict.fromkeys(_wanted(error) for error in errors)
    mistyped = all(error["type"].endswith(("_type", "_parsing")) for error in errors)
    rule = catalogue.WRONG_TYPE if mistyped else catalogue.INVALID_VALUE
    given = errors[0]["input"]
    return rule, f"must be {' or '.join(wanted)}, and is {_shown(given)}"


def _wanted(error: ErrorDetails) -> str:
    limits: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    if kind in _TYPES:
        return _TYPES[kind]
    match kind:
        case "literal_error":
            return f"one of {limits['expected']}".replace("'", "`")
        case "string_pattern_mismatch":
            return _PATTERNS.get(limits["pattern"], f"text that matches `{limits['pattern']}`")
        case "string_too_long":
            return f"at most {limits['max_length']} characters long"
        case "string_too_short":
            return "not empty" if limits["min_length"] == 1 else f"at least {limits['min_length']} characters long"
        case "too_short":
            return "not empty" if limits["min_length"] == 1 else f"at least {limits['min_length']} long"
        case "greater_than_equal":
            return f"at least {limits['ge']}"
        case "greater_than":
            return f"more than {limits['gt']}"
        case "less_than_equal":
            return f"at most {limits['le']}"
        case "less_than":
            return f"less than {limits['lt']}"
        case _:
            message = error["msg"]
            return message[:1].lower() + message[1:].removeprefix("nput should be ")


_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}

_PATTERNS = {
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": "a name of lower-case letters, digits and inner hyphens",
    r"^1\.\d{2}$": 'a minor version in quotes, such as `"1.34"`',
}

_SHOWN_CHARACTERS = 60


def _shown(value: object) -> str:
    """A value as the user wrote it, shortened; containers by their kind."""
    match value:
        case None:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case LocatedMapping():
            return "a mapping"
        case LocatedSequence():
            return "a list"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"`{value[:_SHOWN_CHARACTERS]}…` ({len(value)} characters)"
        case str():
            return f"the text `{value}`"
        case _:
            return f"`{value}`"


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
