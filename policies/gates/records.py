"""Read an evaluation record strictly: JSON Lines, a header, then a line per item, draw and metric.

Called by whoever runs a gate. Nothing here reads a file: the caller hands in lines. A record that contradicts
itself is refused whole with the number of the line, since a verdict on a part of it could be chosen by the part.

The digest of the planned items is SHA-256, in hexadecimal, over the RFC 8785 form of the list of
[item id, row digest] pairs, sorted by item id in the order of Unicode code points.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, TypeVar

from pydantic import ValidationError

from llmops_spec.base import SpecModel
from llmops_spec.digests import digest
from llmops_spec.formats import ADVICE, is_newer, newer_format
from llmops_spec.payloads.evaluation import RecordHeader, RecordLine

FORMAT_VERSION = 1

Status: TypeAlias = Literal["scored", "unscorable", "errored", "skipped"]
_Model = TypeVar("_Model", bound=SpecModel)


class RecordInvalid(ValueError):  # noqa: N818 - named as what the record is
    """The record cannot be read; the message names the line."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one draw of one item got from one metric."""

    status: Status
    score: float | None


@dataclass(frozen=True, kw_only=True)
class RecordedItem:
    item: str
    digest: str
    cluster: str | None
    slices: frozenset[str]
    answers: Mapping[tuple[str, int], Answer]
    """By metric and draw; a planned one may be missing."""

    @property
    def unit(self) -> str:
        """What this item shares with those that are not independent of it."""
        return f"item {self.item}" if self.cluster is None else f"cluster {self.cluster}"


@dataclass(frozen=True, kw_only=True)
class Record:
    header: RecordHeader
    items: Mapping[str, RecordedItem]
    """By item id, sorted. Planned items without any line are not here."""

    @property
    def unseen_items(self) -> int:
        """Planned items that no line speaks of."""
        return self.header.planned_items.count - len(self.items)


def planned_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the digest that a header states for these (item id, row digest) pairs, in any order."""
    return digest([[item, row] for item, row in sorted(pairs)])


def read_record(lines: Iterable[bytes | str]) -> Record:
    """Read a whole record.

    Raises:
        RecordInvalid: the first line that is not as the format says, or planned items that are not those stated.
    """
    header: RecordHeader | None = None
    builder: _Builder | None = None
    for number, line in enumerate(lines, start=1):
        value = _json_object(line, number)
        if builder is None:
            header = _header(value, number)
            builder = _Builder(header)
        else:
            builder.add(_line(value, number), number)
    if header is None or builder is None:
        raise RecordInvalid("line 1: the record is empty; its first line is the header")
    return builder.finish()


class _Builder:
    """Gathers lines by item and refuses those that contradict earlier ones."""

    def __init__(self, header: RecordHeader) -> None:
        self._header = header
        self._metrics = {metric.name for metric in header.metrics}
        self._first: dict[str, RecordLine] = {}
        self._answers: dict[str, dict[tuple[str, int], Answer]] = {}

    def add(self, line: RecordLine, number: int) -> None:
        self._check_planned(line, number)
        first = self._first.setdefault(line.item, line)
        if (first.item_digest, first.cluster, set(first.slices)) != (line.item_digest, line.cluster, set(line.slices)):
            _refuse(number, f"item `{line.item}` has another digest, cluster or slices than on an earlier line")
        answers = self._answers.setdefault(line.item, {})
        key = (line.metric, line.draw)
        if key in answers:
            _refuse(number, f"item `{line.item}`, draw {line.draw}, metric `{line.metric}` was recorded before")
        answers[key] = Answer(status=line.status, score=line.score)

    def _check_planned(self, line: RecordLine, number: int) -> None:
        if line.metric not in self._metrics:
            _refuse(number, f"metric `{line.metric}` is not in the header")
        if not 0 <= line.draw < self._header.draws:
            _refuse(number, f"draw {line.draw} is not planned; draws count from 0 to {self._header.draws - 1}")
        if self._header.cluster_column is not None and line.cluster is None:
            _refuse(number, f"item `{line.item}` has no cluster, and the header names a cluster column")
        if (line.status == "scored") != (line.score is not None):
            _refuse(number, "a line has a `score` exactly when its status is `scored`")

    def finish(self) -> Record:
        planned = self._header.planned_items
        if len(self._first) > planned.count:
            raise RecordInvalid(f"line 1: {planned.count} items are planned, {len(self._first)} have lines")
        if len(self._first) == planned.count:
            found = planned_digest((item, line.item_digest) for item, line in self._first.items())
            if found != planned.digest:
                raise RecordInvalid("line 1: the items with lines are not those planned: their digest differs")
        return Record(header=self._header, items={item: self._item(item) for item in sorted(self._first)})

    def _item(self, item: str) -> RecordedItem:
        line = self._first[item]
        return RecordedItem(
            item=item,
            digest=line.item_digest,
            cluster=line.cluster,
            slices=frozenset(line.slices),
            answers=self._answers[item],
        )


def _header(value: dict[str, object], number: int) -> RecordHeader:
    version = value.get("formatVersion")
    if is_newer(version, FORMAT_VERSION):
        _refuse(number, f"{newer_format(version, FORMAT_VERSION, RecordHeader.DOCUMENT)}: {ADVICE}")
    if type(version) is not int or version != FORMAT_VERSION:
        _refuse(number, f"`formatVersion` must be {FORMAT_VERSION}")
    header = _validated(RecordHeader, value, number)
    names = [metric.name for metric in header.metrics]
    if len(set(names)) != len(names) or not names:
        _refuse(number, "`metrics` must name at least one metric, each once")
    if header.draws < 1 or header.planned_items.count < 0:
        _refuse(number, "`draws` must be at least 1 and `plannedItems.count` at least 0")
    return header


def _line(value: dict[str, object], number: int) -> RecordLine:
    score = value.get("score")
    if isinstance(score, int | float) and not _finite(score):
        # A float that overflows is a number in JSON and no score: the contract counts it as errored.
        value = {**value, "score": None, "status": "errored" if value.get("status") == "scored" else "?"}
    return _validated(RecordLine, value, number)


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float can hold
        return False


def _validated(model: type[_Model], value: dict[str, object], number: int) -> _Model:
    try:
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordInvalid(f"line {number}: `{place}`: {first['msg']}") from error


def _json_object(line: bytes | str, number: int) -> dict[str, object]:
    try:
        text = (line if isinstance(line, bytes) else line.encode("utf-8")).decode("utf-8")
        value: object = json.loads(text, object_pairs_hook=_distinct_keys, parse_constant=_no_constant)
        if "\\u" in text:  # an escape may spell half a character, which no digest can be made of
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise RecordInvalid(f"line {number}: not UTF-8, or an escape that is no character") from error
    except RecursionError as error:
        raise RecordInvalid(f"line {number}: nested too deeply") from error
    except ValueError as error:
        raise RecordInvalid(f"line {number}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        _refuse(number, "not a JSON object")
    return value


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key `{key}` appears twice")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is not a number in JSON")


def _refuse(number: int, what: str) -> NoReturn:
    raise RecordInvalid(f"line {number}: {what}")
