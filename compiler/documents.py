"""Documents between YAML and types: raw trees with their kind and name, and pydantic's errors as findings.

Used by `load` and `parse`, and again by `resolve` for documents that an overlay changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from compiler.diagnostics import catalogue
from compiler.diagnostics.model import Declared, Diagnostic, DiagnosticSink, Label
from compiler.diagnostics.suggestions import did_you_mean, nearest
from compiler.graph import locate, locate_key
from compiler.source import LocatedMapping, LocatedSequence, Span, child
from compiler.spec_fields import fields_at, within
from compiler.yaml_reader import YamlDocument, YamlProblem, read_yaml
from llmops_spec.base import API_VERSION, NAME_PATTERN, Resource
from llmops_spec.environment import MLFLOW_URI
from llmops_spec.kinds import KINDS
from llmops_spec.secret import INLINE, KEY_PATTERN, OBJECT_PATTERN, VARIABLE_PATTERN, Secret


@dataclass(frozen=True, kw_only=True, eq=False)
class RawDocument:
    """A document of ours: its kind is known, its name is where it could be read."""

    kind: str
    """Empty where it could not be told: then it may be any."""
    name: str | None
    """None where it could not be told: what names a resource of this kind may mean this one."""
    tree: LocatedMapping
    sound: bool = True
    """False where kind and name alone can be trusted: why has been reported, and nothing more is said of it."""

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
    ours = [one for document in every if (one := _ours(document, sink)) is not None]
    if found.problems and all(one.sound for one in every):  # the problems lie where no document could be read
        ours.append(unread_document(path))
    return ours


def unread_document(path: str) -> RawDocument:
    """Stands for documents of which nothing could be read."""
    return RawDocument(kind="", name=None, tree=LocatedMapping(Span(path, 1, 1, 1, 1)), sound=False)


def _yaml_finding(problem: YamlProblem) -> Diagnostic:
    return catalogue.YAML_RULES[problem.rule].at(
        problem.span,
        problem.message,
        help=problem.help or "",
        related=[Label(text=text, span=span) for text, span in problem.related],
    )


def _ours(document: YamlDocument, sink: DiagnosticSink) -> RawDocument | None:
    tree = document.value
    if not isinstance(tree, LocatedMapping):
        if document.sound:
            sink.add(catalogue.WRONG_TYPE.at(document.span, "a spec document is a mapping", help=_HEAD_HELP))
        return unread_document(document.span.file)
    if not document.sound:
        return _poisoned(tree)
    version = tree.get("apiVersion")
    if version != API_VERSION:
        sink.add(_foreign(tree))
        ours = "apiVersion" not in tree or str(version).startswith(_OUR_GROUP)
        return _poisoned(tree) if ours else None
    kind = tree.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        sink.add(_unknown_kind(tree))
        return _poisoned(tree)
    return RawDocument(kind=kind, name=_name(tree), tree=tree)


def _foreign(tree: LocatedMapping) -> Diagnostic:
    if "apiVersion" in tree:
        said = f"`{tree['apiVersion']}` is not an apiVersion of ours"
        return catalogue.FOREIGN_DOCUMENT.at(locate(tree, ("apiVersion",)), said, help=_FOREIGN_HELP)
    said = "the document has no `apiVersion`"
    return _misspelt(tree, "apiVersion") or catalogue.FOREIGN_DOCUMENT.at(tree.span, said, help=_FOREIGN_HELP)


def _unknown_kind(tree: LocatedMapping) -> Diagnostic:
    if "kind" in tree:
        kind = _shown(tree["kind"]).removeprefix("the text ")
        help_ = did_you_mean(str(tree["kind"]), KINDS)
        return catalogue.UNKNOWN_KIND.at(locate(tree, ("kind",)), f"{kind} is not a kind", help=help_)
    said = "the document has no `kind`"
    return _misspelt(tree, "kind") or catalogue.UNKNOWN_KIND.at(tree.span, said, help=did_you_mean("", KINDS))


def _misspelt(tree: LocatedMapping, wanted: str) -> Diagnostic | None:
    """The finding for a key that was meant to be `wanted`, which is not there."""
    key = next((one for one in tree if one not in Resource.model_fields and nearest(one, [wanted])), None)
    if key is None:
        return None
    return catalogue.UNKNOWN_KEY.at(tree.key_spans[key], f"unknown key `{key}`", help=did_you_mean(key, [wanted]))


def _poisoned(tree: LocatedMapping) -> RawDocument:
    """What can be known of a document that cannot be typed: that something of this kind and name is there."""
    kind = next((tree[one] for one in ("kind", *tree) if nearest(one, ["kind"]) and one in tree), None)
    near = nearest(kind, KINDS) if isinstance(kind, str) else []
    return RawDocument(kind=near[0] if near else "", name=_name(tree), tree=tree, sound=False)


def _name(tree: LocatedMapping) -> str | None:
    metadata = tree.get("metadata")
    name = metadata.get("name") if isinstance(metadata, LocatedMapping) else None
    return name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) else None


_OUR_GROUP = API_VERSION.partition("/")[0]
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
    return [
        _confidential(document, path, _finding(document, path, some))
        for path, some in grouped.items()
        if not _covered(path, grouped) and not _is_misspelt(path, some, grouped)
    ]


def _confidential(document: RawDocument, path: tuple[str | int, ...], finding: Diagnostic) -> Diagnostic:
    """A finding at a secret is about lines that may hold its value, also where a reference was meant."""
    if not within(KINDS[document.kind], path, Secret):
        return finding
    key, value = locate_key(document.tree, path), document.locate(path)
    whole = Span(key.file, key.line, key.column, value.end_line, value.end_column)
    return replace(finding, confidential=whole)


def _covered(path: tuple[str | int, ...], grouped: Mapping[tuple[str | int, ...], object]) -> bool:
    """Whether a deeper mistake explains this one: of a union, the branch that went deepest was meant."""
    return any(other != path and other[: len(path)] == path for other in grouped)


def _is_misspelt(
    path: tuple[str | int, ...], errors: list[ErrorDetails], grouped: Mapping[tuple[str | int, ...], list[ErrorDetails]]
) -> bool:
    """Whether a missing field is there under a name that is nearly its own, which is reported already."""
    return errors[0]["type"] == "missing" and any(
        other[:-1] == path[:-1]
        and some[0]["type"] == "extra_forbidden"
        and str(path[-1]) in nearest(str(other[-1]), [str(path[-1])])
        for other, some in grouped.items()
    )


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
        case _ if error["type"] == INLINE:
            said = f"`{_dotted(path)}` must be a reference to a secret, and never its value"
            return catalogue.INLINE_SECRET.at(locate_key(document.tree, path), said, note=_LEAKED, help=_REFERENCE_HELP)
        case "value_error":
            rule = catalogue.ONE_OF if "exactly one of" in error["msg"] else catalogue.INVALID_VALUE
            return rule.at(_key_or_value(document, path), error["msg"].removeprefix("Value error, "))
        case _:
            rule, said = _value_sentence(errors, shown=not within(KINDS[document.kind], path, Secret))
            return rule.at(document.locate(path), f"`{_dotted(path)}` {said}")


def _key_or_value(document: RawDocument, path: tuple[str | int, ...]) -> Span:
    return locate_key(document.tree, path) if path else document.span


def _value_sentence(errors: list[ErrorDetails], *, shown: bool) -> tuple[Declared, str]:
    """What a value should be, in the user's words. Several errors are the branches of one union."""
    wanted = dict.fromkeys(_wanted(error) for error in errors)
    mistyped = all(error["type"].endswith(("_type", "_parsing")) for error in errors)
    rule = catalogue.WRONG_TYPE if mistyped else catalogue.INVALID_VALUE
    given = _shown(errors[0]["input"]) if shown else "not"
    return rule, f"must be {' or '.join(wanted)}, and is {given}"


def _wanted(error: ErrorDetails) -> str:
    """What a value should have been, as the rest of "must be …"."""
    limits: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(limits["pattern"], f"text that matches `{limits['pattern']}`")
    if kind in ("string_too_short", "too_short"):
        kind = "empty" if limits["min_length"] == 1 else kind
    wording = _WORDINGS.get(kind)
    if wording is not None:
        return wording.format(**limits).replace("'", "`")
    message = error["msg"]
    return message[:1].lower() + message[1:].removeprefix("nput should be ")


_WORDINGS = {
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
    "literal_error": "one of {expected}",
    "empty": "not empty",
    "string_too_long": "at most {max_length} characters long",
    "string_too_short": "at least {min_length} characters long",
    "too_short": "at least {min_length} long",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}

_PATTERNS = {
    NAME_PATTERN: "a name of lower-case letters, digits and inner hyphens",
    MLFLOW_URI: "a URL without a user or password in it",
    VARIABLE_PATTERN: "the name of an environment variable",
    OBJECT_PATTERN: "the name of a Secret object: lower-case letters, digits and inner hyphens and dots",
    KEY_PATTERN: "a key of letters, digits, `-`, `_` and `.`",
    r"^1\.[0-9]{2}$": 'a minor version in quotes, such as `"1.34"`',
}

_REFERENCE_HELP = "write `{env: NAME}`, `{file: PATH}` or `{kubernetesSecret: {name: …, key: …}}`"
_LEAKED = "what was committed is known to everyone who can read the repository: replace the secret where it is issued"
_SHOWN_CHARACTERS = 60


def _shown(value: object) -> str:
    """A value as the user wrote it, shortened; containers by their kind."""
    if value is None:
        return "empty"
    if isinstance(value, LocatedMapping | LocatedSequence):
        return "a mapping" if isinstance(value, LocatedMapping) else "a list"
    if not isinstance(value, str):
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"
    if len(value) > _SHOWN_CHARACTERS:
        return f"`{value[:_SHOWN_CHARACTERS]}…` ({len(value)} characters)"
    return f"the text `{value}`"


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
