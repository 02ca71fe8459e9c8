"""Read the bytes of one YAML file into located values and a list of problems.

Called by `compiler.passes.parse`, and by whatever else reads YAML that people wrote. Pure: bytes in, values out.

Promises, whatever the bytes are:
- no exception; every mistake is a `YamlProblem` with its place, and reading goes on as far as the text makes sense;
- bytes, depth and nodes are limited before memory is spent on them, and libyaml's own costs stay linear;
- scalars follow the YAML 1.2 core schema: `yes`, `off`, `1:30` and `1_000` are text, `012` is the integer 12;
- lines and columns are 1-based and count code points, a byte order mark aside. Lines end at LF, CR LF or CR only.

The parser is libyaml's, read as events by recursive descent: one pass, no node tree in between. Anchors, aliases,
merge keys, tags and directives are refused, since a reviewer must see a value where it is used.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias, cast

import yaml
from yaml import CParser

from compiler.source import LocatedMapping, LocatedSequence, LocatedValue, Span

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_NODES: Final = 50_000
MAX_PROBLEMS: Final = 100
"""Reading of a file stops at this many problems: nobody reads more, and a hostile file could make one a byte."""

_MAX_DIRECTIVES: Final = 100
"""libyaml compares every %TAG line with all before it; more than these are refused before it sees them."""

_MAX_EXACT_INTEGER: Final = 2**53 - 1
"""Digests are taken over RFC 8785 JSON, whose numbers are doubles: a larger integer would not survive."""

YamlRule: TypeAlias = Literal[
    "bidi-control",
    "duplicate-key",
    "mixed-script-key",
    "non-finite-number",
    "non-string-key",
    "not-utf8",
    "yaml-anchor",
    "yaml-directive",
    "yaml-merge-key",
    "yaml-syntax",
    "yaml-tag",
    "yaml-too-deep",
    "yaml-too-large",
    "yaml-too-many-nodes",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlProblem:
    """One mistake in a file: a value, so that all of them can be shown at once."""

    rule: YamlRule
    message: str
    """Understandable alone, in the user's words."""
    span: Span
    related: tuple[tuple[str, Span], ...] = ()
    """Other places that take part, each with what it is: `("first written here", span)`."""
    help: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlDocument:
    """One `---` part of a file. A part in which nothing at all is written is left out."""

    value: LocatedValue
    span: Span
    sound: bool = True
    """False where a problem lies inside it: then read kind and name from it, and report nothing about the rest."""


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """What a file holds, in file order."""

    documents: tuple[YamlDocument, ...]
    """The documents that were read to their end."""
    problems: tuple[YamlProblem, ...]
    unfinished: tuple[YamlDocument, ...] = ()
    """The readable beginnings of documents that a syntax error or a limit cut short; never `sound`. For kind and name."""


def read_yaml(file: str, data: bytes) -> YamlFile:
    """Read `data`, the content of `file` (a name for spans only), by the promises of this module."""
    problems: list[YamlProblem] = []
    text = _decoded(file, data, problems)
    if text is None:
        return YamlFile(documents=(), problems=tuple(problems))
    reading = _Reading(file, text, problems)
    reading.run()
    problems.sort(key=lambda problem: problem.span)
    return YamlFile(
        documents=_with_soundness(reading.documents, problems),
        problems=tuple(problems),
        unfinished=tuple(reading.unfinished),
    )


def _with_soundness(documents: list[YamlDocument], problems: list[YamlProblem]) -> tuple[YamlDocument, ...]:
    """Mark the documents in which a problem lies. At most `MAX_PROBLEMS` places are compared with each."""
    places = [problem.span[1:3] for problem in problems]
    if not places:
        return tuple(documents)
    return tuple(
        replace(one, sound=not any(one.span[1:3] <= place <= one.span[3:5] for place in places)) for one in documents
    )


# ---------------------------------------------------------------------------------------------------------------------
# From bytes to text that libyaml and an editor number alike

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters; U+0085 also counts as a line end for libyaml alone
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"  # joiners U+200C, U+200D: real spelling
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"  # line ends, bidi controls, fillers
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # musical controls, tags, selectors
    "]+"
)
_ASCII_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))
_LINE_END = re.compile(r"\r\n|\r|\n")


def _decoded(file: str, data: bytes, problems: list[YamlProblem]) -> str | None:
    """The text of a file, or None where it is none. Unseen characters become U+FFFD, so that places stay right.

    Reports `yaml-too-large`, `not-utf8`, `bidi-control`, `yaml-directive`.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; {MAX_BYTES:,} is the most that is read"
        problems.append(_file_problem(file, "yaml-too-large", message, "split it into several files"))
        return None
    if data.isascii() and len(data.translate(None, _ASCII_CONTROLS)) == len(data):
        text = data.decode("ascii")
    else:
        text = _decoded_unicode(file, data, problems)
    if text is not None and text.count("\n%") + text.count("\r%") > _MAX_DIRECTIVES:
        message = f"more than {_MAX_DIRECTIVES} lines start with `%`; a spec has no directives"
        problems.append(_file_problem(file, "yaml-directive", message, "remove these lines"))
        return None
    return text


def _decoded_unicode(file: str, data: bytes, problems: list[YamlProblem]) -> str | None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            help_text = "save it as UTF-8"
            problems.append(_file_problem(file, "not-utf8", f"the file is {encoding}, not UTF-8", help_text))
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        span = _place(file, data[: error.start].decode("utf-8-sig"))
        message = f"the file is not UTF-8 text: byte 0x{data[error.start]:02x} is not part of a character"
        problems.append(YamlProblem(rule="not-utf8", message=message, span=span, help="save it as UTF-8"))
        return None
    if "\0" in text:
        span = _place(file, text[: text.index("\0")])
        message = "the file is not text: it holds a NUL character"
        help_text = "exclude the file if it is no spec; if it is, save it as UTF-8"
        problems.append(YamlProblem(rule="not-utf8", message=message, span=span, help=help_text))
        return None
    return _without_unseen(file, text, problems)


def _without_unseen(file: str, text: str, problems: list[YamlProblem]) -> str:
    """Report every run of characters that nobody sees, in comments too, up to half of the problems of a file."""
    found = 0
    for match in _UNSEEN.finditer(text):
        found += 1
        if found > MAX_PROBLEMS // 2:
            break
        problems.append(_unseen_problem(match.group(), _place(file, text[: match.start()], len(match.group()))))
    return _UNSEEN.sub(lambda match: "\ufffd" * len(match.group()), text) if found else text


def _unseen_problem(characters: str, span: Span) -> YamlProblem:
    name = f"U+{ord(characters[0]):04X}"
    more = f" and {len(characters) - 1} more" if len(characters) > 1 else ""
    return YamlProblem(
        rule="bidi-control",
        message=f"the invisible character {name}{more} stands here; a reviewer could not see it",
        span=span,
        help="remove it; a text value that needs it can have it as an escape in double quotes",
    )


def _file_problem(file: str, rule: YamlRule, message: str, help_text: str) -> YamlProblem:
    return YamlProblem(rule=rule, message=message, span=Span(file, 1, 1, 1, 1), help=help_text)


def _place(file: str, before: str, length: int = 1) -> Span:
    """The span of `length` characters that follow the text `before`."""
    ends = list(_LINE_END.finditer(before))
    column = len(before) - (ends[-1].end() if ends else 0) + 1
    return Span(file, len(ends) + 1, column, len(ends) + 1, column + length)


# ---------------------------------------------------------------------------------------------------------------------
# Scalars: the YAML 1.2 core schema

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class _Refused(Exception):
    """A scalar that is a number, but none that a spec may hold. Its text is the message."""


def _number(text: str) -> str | int | float:
    """The number that a plain scalar spells, or the scalar itself."""
    if _INTEGER.fullmatch(text):
        return _exact(text, 10)
    if _PREFIXED_INTEGER.fullmatch(text):
        return _exact(text[2:], 16 if text[1] == "x" else 8)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise _Refused(f"the number `{_shortened(text)}` is too large")
        return number
    if _NON_FINITE.fullmatch(text):
        raise _Refused(f"`{text}` is not a finite number")
    return text


def _exact(digits: str, base: int) -> int:
    # Python refuses more than 4,300 decimal digits with an exception, and takes quadratic time below that.
    significant = digits.lstrip("+-0")
    if len(significant) > 18 or (number := int(digits, base)) > _MAX_EXACT_INTEGER or number < -_MAX_EXACT_INTEGER:
        raise _Refused(f"the integer `{_shortened(digits)}` has more digits than are kept exactly (2^53 is the limit)")
    return number


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}…{text[-5:]} ({len(text):,} characters)"


# ---------------------------------------------------------------------------------------------------------------------
# Keys

_LOOKALIKE_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "FULLWIDTH"})


def _key_problem(key: str, span: Span) -> YamlProblem | None:
    """What is wrong with a key that is not plain printable ASCII, if anything is."""
    unseen = _UNSEEN.search(key) or re.search("[\u200c\u200d]", key)
    if unseen:
        return _unseen_problem(unseen.group(), span)
    scripts: dict[str, str] = {}
    for letter in filter(str.isalpha, key):
        script = unicodedata.name(letter, "?").split(" ", 1)[0]
        if script in _LOOKALIKE_SCRIPTS:
            scripts.setdefault(script, letter)
    if len(scripts) < 2:
        return None
    spelled = " and ".join(f"{name.title()} (`{letter}`, U+{ord(letter):04X})" for name, letter in scripts.items())
    message = f"the key `{key}` mixes letters that look alike: {spelled}"
    return YamlProblem(rule="mixed-script-key", message=message, span=span, help="write the key in one alphabet")


# ---------------------------------------------------------------------------------------------------------------------
# Events to values


class _Mark(Protocol):
    line: int
    column: int
    index: int


class _Event(Protocol):
    """The parts of PyYAML's event classes that are read here; which are present depends on the class."""

    start_mark: _Mark
    end_mark: _Mark
    value: str
    style: str
    anchor: str | None
    tag: str | None
    flow_style: bool
    version: tuple[int, int] | None
    tags: dict[str, str] | None


class _Parser(Protocol):
    def get_event(self) -> _Event: ...


class _SyntaxFault(Protocol):
    """PyYAML's `MarkedYAMLError`."""

    context: str | None
    context_mark: _Mark | None
    problem: str | None
    problem_mark: _Mark | None


class _CutShort(Exception):
    """The document, or with `whole_file` the file, is not read further. The problem has been reported."""

    def __init__(self, at: _Mark, *, whole_file: bool) -> None:
        super().__init__()
        self.index = at.index
        self.whole_file = whole_file


_SCALAR, _ALIAS = yaml.ScalarEvent, yaml.AliasEvent
_MAPPING, _MAPPING_END = yaml.MappingStartEvent, yaml.MappingEndEvent
_SEQUENCE_END = yaml.SequenceEndEvent
_DOCUMENT, _STREAM, _STREAM_END = yaml.DocumentStartEvent, yaml.StreamStartEvent, yaml.StreamEndEvent

# A `---` at the start of a line is a document marker wherever it stands, so reading can start again there.
_DOCUMENT_MARKER = re.compile(r"(?:\A|(?<=[\r\n]))---(?!\S)")


class _Reading:
    """The state of reading one file: one libyaml parser at a time, a fresh one after each syntax error."""

    def __init__(self, file: str, text: str, problems: list[YamlProblem]) -> None:
        self.file = file
        self.text = text
        self.problems = problems
        self.documents: list[YamlDocument] = []
        self.unfinished: list[YamlDocument] = []
        self.nodes = 0
        self.base_line = 1
        self.root: list[tuple[LocatedValue, Span]] = []
        """The value of the document being read, as soon as there is something of it, and where it starts."""

    def run(self) -> None:
        start = 0
        while start >= 0:
            start = self._read_from(start)

    def _read_from(self, start: int) -> int:
        """Read the documents from offset `start`. Returns the offset at which to go on, or -1."""
        self.base_line = len(_LINE_END.findall(self.text, 0, start)) + 1
        self.parser = cast(_Parser, CParser(self.text[start:]))
        self.root.clear()
        try:
            self._documents()
        except yaml.MarkedYAMLError as error:
            stopped_at = self._syntax_problem(cast(_SyntaxFault, error), start)
        except _CutShort as cut:
            stopped_at = -1 if cut.whole_file else start + cut.index
        else:
            return -1
        self.unfinished.extend(YamlDocument(value=value, span=span, sound=False) for value, span in self.root)
        if stopped_at < 0 or len(self.problems) >= MAX_PROBLEMS:
            return -1
        marker = _DOCUMENT_MARKER.search(self.text, max(stopped_at, start + 1))
        return marker.start() if marker else -1

    def _documents(self) -> None:
        while type(event := self.parser.get_event()) is not _STREAM_END:
            if type(event) is _STREAM:
                continue
            if event.version is not None or event.tags:
                message = "directives (`%YAML`, `%TAG`) are not allowed"
                self._report("yaml-directive", message, event, help_text="remove the line; YAML 1.2 is assumed")
            start = event.start_mark
            first = self.parser.get_event()
            value, _ = self._node(first, 0, None)
            end = self.parser.get_event().end_mark
            if not (type(first) is _SCALAR and value is None and first.start_mark.index == first.end_mark.index):
                self.documents.append(YamlDocument(value=value, span=self._span(start, end)))
            self.root.clear()

    def _node(self, event: _Event, depth: int, parent: LocatedMapping | LocatedSequence | None) -> tuple[LocatedValue, Span]:
        raise NotImplementedError
