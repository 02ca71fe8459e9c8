"""Build located values from libyaml's events, in one pass by recursive descent.

Holds the entry point `read_yaml`. The recursion is safe: `MAX_DEPTH` is checked before each step down, on events, and
libyaml itself keeps its open collections on the heap.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol, cast

import yaml
from yaml._yaml import CParser

from compiler.source import LocatedMapping, LocatedSequence, LocatedValue, Span
from compiler.yaml_reader.model import MAX_PROBLEMS, YamlDocument, YamlFile, YamlProblem, YamlRule
from compiler.yaml_reader.scalars import RefusedNumber, key_problem, plain_value, shortened
from compiler.yaml_reader.syntax import Mark, SyntaxFault, explain, never_closed
from compiler.yaml_reader.text import decoded, document_marker, ends_document, line_number

MAX_DEPTH: Final = 64
MAX_NODES: Final = 50_000


class _Event(Protocol):
    """The fields of PyYAML's event classes that are read here; which are present depends on the class."""

    start_mark: Mark
    end_mark: Mark
    value: str
    style: str
    anchor: str | None
    tag: str | None
    flow_style: bool
    version: tuple[int, int] | None
    tags: dict[str, str] | None


class _Parser(Protocol):
    def get_event(self) -> _Event: ...


class _CutShort(Exception):  # noqa: N818 - control flow inside this module, no error of anybody
    """The document, or the whole file, is not read further. The problem has been reported."""

    def __init__(self, offset: int | None) -> None:
        super().__init__()
        self.offset = offset
        """Where reading stopped within what the parser was given; None ends the file."""


_make = tuple.__new__
# Bound once: each is compared with the type of every event.
_SCALAR = cast(type[object], yaml.ScalarEvent)
_ALIAS = cast(type[object], yaml.AliasEvent)
_MAPPING = cast(type[object], yaml.MappingStartEvent)
_MAPPING_END = cast(type[object], yaml.MappingEndEvent)
_SEQUENCE_END = cast(type[object], yaml.SequenceEndEvent)
_STREAM_END = cast(type[object], yaml.StreamEndEvent)


def read_yaml(file: str, data: bytes) -> YamlFile:
    """Read `data`, the content of `file` (a name, for spans), by the promises of this package."""
    problems: list[YamlProblem] = []
    text = decoded(file, data, problems)
    if text is None:
        return YamlFile(documents=(), problems=tuple(problems))
    unseen = tuple(problems)
    reading = _Reading(file, text, problems)
    reading.run()
    problems.sort(key=lambda problem: problem.span)
    documents = _with_soundness(reading.documents, unseen)
    return YamlFile(documents=documents, problems=tuple(problems), unfinished=tuple(reading.unfinished))


def _with_soundness(documents: list[YamlDocument], unseen: tuple[YamlProblem, ...]) -> tuple[YamlDocument, ...]:
    """Mark the documents that hold unseen characters too; these were found before there were documents."""
    places = [problem.span[1:3] for problem in unseen]
    if not places:
        return tuple(documents)
    return tuple(
        replace(one, sound=one.sound and not any(one.span[1:3] <= place <= one.span[3:5] for place in places))
        for one in documents
    )


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
        self.root: LocatedMapping | LocatedSequence | None = None
        """The outermost collection of the document being read, filled as reading goes."""
        self.open: list[_Event] = []
        """The starts of the collections that reading is inside of."""

    def run(self) -> None:
        """Read the documents; after one that cannot be read, go on where the next one starts."""
        start: int | None = 0
        while start is not None:
            start = self._read_from(start)

    def _read_from(self, start: int) -> int | None:
        """Read from offset `start` to the end, or to what stops it. Returns the offset at which to go on."""
        text = self.text[start:] if start else self.text
        self.base_line = line_number(self.text, start)
        self.parser = cast(_Parser, CParser(text))
        self.root = None
        self.open.clear()
        try:
            self._documents()
        except yaml.MarkedYAMLError as error:
            stopped_at = self._report_syntax(cast(SyntaxFault, cast(object, error)), text)
        except _CutShort as cut:
            stopped_at = cut.offset
        else:
            return None
        if self.root is not None:
            self.unfinished.append(YamlDocument(value=self.root, span=self.root.span, sound=False))
        if stopped_at is None or len(self.problems) >= MAX_PROBLEMS:
            return None
        return document_marker(self.text, start + max(stopped_at, 1))

    def _documents(self) -> None:
        next_event = self.parser.get_event
        next_event()  # the start of the stream
        while type(opening := next_event()) is not _STREAM_END:
            known = len(self.problems)
            if opening.version is not None or opening.tags:
                message = "directives (`%YAML`, `%TAG`) are not allowed"
                self._report("yaml-directive", message, self._span(opening), "remove the line; YAML 1.2 is assumed")
            first = next_event()
            value = self._value(first, 1)
            span = self._span(opening, next_event())
            if value is not None or first.start_mark.index < first.end_mark.index:
                sound = len(self.problems) == known
                self.documents.append(YamlDocument(value=value, span=span, sound=sound))
            self.root = None

    def _value(self, event: _Event, depth: int) -> LocatedValue:
        """The value of a node that stands in no collection: a document's, or one that is read only to be dropped."""
        if type(event) is _SCALAR:
            return self._scalar(event)
        collection = self._opened(event, depth)
        if collection is not None:
            if depth == 1:
                self.root = collection
            self._fill(collection, event, depth)
        return collection

    def _scalar(self, event: _Event) -> str | int | float | bool | None:
        """The value of a scalar; None for one that is refused."""
        self._admit(event)
        text = event.value
        if event.style:
            if "\0" in text:
                help_text = "remove the `\\0`; nothing that takes this value could handle it"
                self._report("bidi-control", "the text holds a NUL character", self._span(event), help_text)
            return text
        value = plain_value(text)
        if isinstance(value, RefusedNumber):
            help_text = "write a smaller, finite number; put it in quotes if it is a text"
            self._report("non-finite-number", value.message, self._span(event), help_text)
            return None
        return value

    def _opened(self, event: _Event, depth: int) -> LocatedMapping | LocatedSequence | None:
        """An empty collection for an event that starts one; None for an alias."""
        span = self._span(event)
        if type(event) is _ALIAS:
            message = f"the alias `*{event.anchor}` is not allowed"
            self._report(
                "yaml-anchor", message, span, "write the value out here; a text that starts with `*` needs quotes"
            )
            return None
        self._admit(event)
        if depth > MAX_DEPTH:
            message = f"lists and mappings are nested more than {MAX_DEPTH} deep"
            self._report("yaml-too-deep", message, span, "flatten the structure")
            raise _CutShort(event.start_mark.index)
        return LocatedMapping(span) if type(event) is _MAPPING else LocatedSequence(span)

    def _fill(self, collection: LocatedMapping | LocatedSequence, event: _Event, depth: int) -> Span:
        """Read the entries of a collection whose start was `event`, and settle where it ends."""
        self.open.append(event)
        if isinstance(collection, LocatedMapping):
            end = self._entries(collection, depth)
            last = next(reversed(collection.value_spans.values()), None)
        else:
            end = self._items(collection, depth)
            last = collection.item_spans[-1] if collection.item_spans else None
        self.open.pop()
        span = self._span(event, end)
        if not event.flow_style and last is not None:
            # A block collection is over where the next thing starts, lines later; show its text alone.
            span = span._replace(end_line=last.end_line, end_column=last.end_column)
        collection.span = span
        return span

    def _entries(self, mapping: LocatedMapping, depth: int) -> _Event:
        """Read `key: value` pairs up to the end of the mapping, whose event is returned."""
        next_event = self.parser.get_event
        key_spans, value_spans = mapping.key_spans, mapping.value_spans
        while type(key_event := next_event()) is not _MAPPING_END:
            key_span = self._span(key_event)
            key = self._key(key_event, key_span, mapping, depth)
            event = next_event()
            if key is None:
                self._value(event, depth + 1)
                continue
            collection = None
            value = self._scalar(event) if type(event) is _SCALAR else (collection := self._opened(event, depth + 1))
            mapping[key], key_spans[key], value_spans[key] = value, key_span, self._span(event)
            if collection is not None:
                value_spans[key] = self._fill(collection, event, depth + 1)
        return key_event

    def _items(self, sequence: LocatedSequence, depth: int) -> _Event:
        """Read items up to the end of the sequence, whose event is returned."""
        next_event = self.parser.get_event
        spans = sequence.item_spans
        while type(event := next_event()) is not _SEQUENCE_END:
            spans.append(self._span(event))
            if type(event) is _SCALAR:
                sequence.append(self._scalar(event))
                continue
            collection = self._opened(event, depth + 1)
            sequence.append(collection)
            if collection is not None:
                spans[-1] = self._fill(collection, event, depth + 1)
        return event

    # -- keys

    def _key(self, event: _Event, span: Span, mapping: LocatedMapping, depth: int) -> str | None:
        """The key to store the next value under; None where that value must be dropped."""
        if type(event) is not _SCALAR:
            self._collection_as_key(event, span, depth)
            return None
        self._admit(event)
        key = event.value
        if not event.style and not self._is_text_key(key, span):
            return None
        if key in mapping:
            first = (("first written here", mapping.key_spans[key]),)
            message = f"the key `{key}` is written twice in one mapping"
            self._report("duplicate-key", message, span, "keep one of the two", first)
            return None
        if not (key.isascii() and key.isprintable()) and (problem := key_problem(key, span)) is not None:
            self._add(problem)
        return key

    def _is_text_key(self, key: str, span: Span) -> bool:
        """Whether a plain scalar is text as a key must be; reported where it is not."""
        if key == "<<":
            message = "the merge key `<<` is not allowed"
            self._report("yaml-merge-key", message, span, "write the keys out: a reviewer sees values where they hold")
        elif isinstance(plain_value(key), str):
            return True
        elif key:
            message = f"the key `{shortened(key)}` is read as a number, true, false or null; keys are text"
            self._report("non-string-key", message, span, "put the key in quotes")
        else:
            self._report("non-string-key", "the key before this `:` is missing", span, "write a key")
        return False

    def _collection_as_key(self, event: _Event, span: Span, depth: int) -> None:
        self._value(event, depth + 1)
        if type(event) is not _ALIAS:
            help_text = "a text that starts with `{` or `[` must be in quotes"
            self._report("non-string-key", "a list or mapping stands where a key was expected", span, help_text)

    # -- limits, places and problems

    def _admit(self, event: _Event) -> None:
        """Count a node, and report the properties that no node may have."""
        self.nodes += 1
        if event.anchor is None and event.tag is None and self.nodes <= MAX_NODES:
            return
        span = self._span(event)
        if self.nodes > MAX_NODES:
            message = f"the file holds more than {MAX_NODES:,} values, lists and mappings"
            self._report("yaml-too-many-nodes", message, span, "split it into several files")
            raise _CutShort(None)
        if event.anchor is not None:
            message = f"the anchor `&{event.anchor}` is not allowed"
            self._report("yaml-anchor", message, span, "remove it, and write the value out where it is used")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            message = f"the tag `{shortened(tag)}` is not allowed: a spec is plain data"
            self._report("yaml-tag", message, span, "remove the tag; a text that starts with `!` needs quotes")

    def _span(self, event: _Event, last: _Event | None = None) -> Span:
        start = event.start_mark
        end = event.end_mark if last is None else last.end_mark
        base = self.base_line
        # `Span(...)` without its Python-level constructor: this is called for every key and value.
        return _make(Span, (self.file, start.line + base, start.column + 1, end.line + base, end.column + 1))

    def _report(
        self, rule: YamlRule, message: str, span: Span, help_text: str, related: tuple[tuple[str, Span], ...] = ()
    ) -> None:
        self._add(YamlProblem(rule=rule, message=message, span=span, related=related, help=help_text))

    def _add(self, problem: YamlProblem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise _CutShort(None)

    def _report_syntax(self, fault: SyntaxFault, text: str) -> int:
        """Report what libyaml could not read. Returns the offset at which it stopped."""
        stopped_at = fault.problem_mark.index if fault.problem_mark is not None else len(text)
        unclosed = self.open[-1] if self.open and self.open[-1].flow_style and ends_document(text, stopped_at) else None
        found = explain(fault, text) if unclosed is None else never_closed(unclosed.start_mark, text)
        opened = () if found.opened is None else ((found.opened[0], self._mark_span(found.opened[1])),)
        at = Span(self.file, self.base_line, 1, self.base_line, 1) if found.at is None else self._mark_span(found.at)
        self.problems.append(
            YamlProblem(rule=found.rule, message=found.message, span=at, related=opened, help=found.help)
        )
        return stopped_at

    def _mark_span(self, mark: Mark) -> Span:
        line, column = mark.line + self.base_line, mark.column + 1
        return Span(self.file, line, column, line, column + 1)
