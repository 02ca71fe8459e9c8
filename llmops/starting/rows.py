"""Read a user's JSONL or CSV file into rows, naming the line of whatever cannot be read."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from llmops.errors import Exit, OperationFailed

Scalar: TypeAlias = str | int | float | bool | None
Row: TypeAlias = dict[str, Scalar]

MAX_BYTES = 512 * 1024 * 1024
MAX_COLUMNS = 200
_LONGEST_CELL = 1 << 24
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, kw_only=True)
class Table:
    rows: list[Row]
    nested: Mapping[str, int]
    """Columns that held lists or objects, which were left out, with the number of rows."""


def read_table(path: Path) -> Table:
    """Every row of a `.jsonl` or `.csv` file. Nested values are left out of their row.

    Raises:
        OperationFailed: the file cannot be read as what its ending says; the message names the line.
    """
    ending = path.suffix.lower()
    if ending != ".csv" and ending not in _JSON_ENDINGS:
        raise _unusable(path, "is neither a `.jsonl` nor a `.csv` file", "convert it, and name it by what it is")
    text = _text(path)
    nested: Counter[str] = Counter()
    rows = list(_csv_rows(path, text) if ending == ".csv" else _json_rows(path, text, nested))
    if not rows:
        raise _unusable(path, "holds no rows", "give a JSONL file with one object a line, or a CSV file with a header")
    columns = len({name for row in rows for name in row})
    if columns > MAX_COLUMNS:
        raise _unusable(path, f"has {columns} columns; at most {MAX_COLUMNS} are taken", "keep those that matter")
    return Table(rows=rows, nested=nested)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unusable(path, "is larger than 512 MiB", "take a sample of its rows")
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unusable(path, "is UTF-16 text, not UTF-8", "save it as UTF-8")
    if b"\0" in data:
        raise _unusable(path, f"is not text (it holds a zero at byte {data.index(0)})", "give a JSONL or CSV file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unusable(path, f"is not UTF-8 text (line {line}, byte {error.start})", "save it as UTF-8") from error


def _json_rows(path: Path, text: str, nested: Counter[str]) -> Iterator[Row]:
    if text.lstrip().startswith("["):
        raise _unusable(path, "is one JSON array", "write one JSON object a line")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise _unusable(path, f"line {number} is not a row: {why}", "write one JSON object a line") from error
        if not isinstance(value, dict):
            raise _unusable(path, f"line {number} is not a JSON object", "write one JSON object a line")
        yield _flat(path, number, value, nested)


def _flat(path: Path, number: int, value: Mapping[str, object], nested: Counter[str]) -> Row:
    row: Row = {}
    for name, one in value.items():
        if one is None or isinstance(one, str | int | float | bool):
            fault = _fault(one)
            if fault:
                raise _unusable(path, f"line {number}: column `{name}` {fault}", "correct the value, or remove the row")
            row[name] = one
        else:
            nested[name] += 1
    if "" in row:
        raise _unusable(path, f"line {number} has a column without a name", "name it, or remove it")
    return row


def _fault(value: Scalar) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "holds a number that is too large"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return "holds half of a surrogate pair, which is no text"
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL character, which is no text"
    return ""


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    heads: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not cells:
                continue
            if heads is None:
                heads = [cell.strip() for cell in cells]
                if len(set(heads)) != len(heads) or not all(heads):
                    raise _unusable(path, "has a header with empty or repeated names", "name each column once")
            elif len(cells) != len(heads):
                said = f"line {line} has {len(cells)} values, and the header {len(heads)}"
                raise _unusable(path, said, "quote values that hold commas")
            else:
                yield dict(zip(heads, cells, strict=True))
    except csv.Error as error:
        raise _unusable(path, f"line {begins} is not CSV: {error}", "quote values that hold commas") from error


def _delimiter(text: str) -> str:
    """What parts the cells of the header: some programs write semicolons or tabs and call it CSV."""
    header = text.lstrip().split("\n", 1)[0]
    return max(_DELIMITERS, key=lambda one: (header.count(one), -_DELIMITERS.index(one)))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names `{twice}` twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"`{name}` is not a JSON number")


def _unusable(path: Path, why: str, advice: str) -> OperationFailed:
    return OperationFailed(f"`{path}` {why}", help=advice, exit_code=Exit.FINDINGS)
