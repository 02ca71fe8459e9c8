"""One reader for every file of rows, JSON Lines or CSV, and the identity of a row.

Called by every task that reads rows. Promises: rows come in file order with the line they begin on; whatever cannot
be read is a `RowProblem` with its line, and reading goes on; no two tasks see different values in one file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from llmops_runtime.failures import TaskFailed
from llmops_spec.dataset import Column
from llmops_spec.digests import digest
from llmops_spec.payloads.data import Rows
from llmops_spec.store import Store, materialise

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, Value]

_LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it JSON readers disagree, and a row has no digest."""
_LONGEST_CELL: Final = 1 << 24
_INTEGER: Final = re.compile(r"[+-]?\d{1,16}")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS: Final = MappingProxyType({"true": True, "false": False})
_ARTICLE: Final = MappingProxyType(
    {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false"}
)


@dataclass(frozen=True, kw_only=True)
class NumberedRow:
    line: int
    """Line of the file on which the row begins; the first is 1."""
    values: Row


@dataclass(frozen=True, kw_only=True)
class RowProblem:
    line: int
    message: str


def row_digest(row: Row) -> str:
    """SHA-256 over the RFC 8785 form of the row: the same for any order of columns."""
    return digest(dict(row))


def item_id(row: Row, item_column: str | None) -> str:
    """The item's id: the value of the item column, or else the first 16 hex digits of the row's digest."""
    return row_digest(row)[:16] if item_column is None else str(row[item_column])


def parse_rows(
    data: bytes,
    *,
    file_format: str,
    columns: Mapping[str, Column] | None = None,
    cell_types: Mapping[str, str] | None = None,
) -> Iterator[NumberedRow | RowProblem]:
    """Read rows from the bytes of a file.

    With `columns`, every row is held to them. CSV cells get the type that `columns` or `cell_types` (column name to
    `string`, `integer`, …) give them; other cells are strings.
    """
    types = dict(cell_types or {}) | {name: column.type for name, column in (columns or {}).items()}
    parsed = _parse_csv(data, types) if file_format == "csv" else _parse_json_lines(data)
    for found in parsed:
        if isinstance(found, RowProblem) or columns is None:
            yield found
            continue
        problems = list(_contract_problems(found.values, columns))
        yield from (RowProblem(line=found.line, message=message) for message in problems)
        if not problems:
            yield found


def read_rows(
    store: Store, rows: Rows, folder: Path, *, cell_types: Mapping[str, str] | None = None
) -> list[NumberedRow]:
    """All rows of a stored file; `folder` takes the temporary copy. CSV cells get `cell_types`, as `parse_rows` says.

    Raises:
        TaskFailed: a line cannot be read, or there is no row.
    """
    found = list(parse_rows(load_bytes(store, rows, folder), file_format=rows.format, cell_types=cell_types))
    problems = [one for one in found if isinstance(one, RowProblem)]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise TaskFailed("bad-data", f"line {problems[0].line} of the rows: {problems[0].message}{more}")
    if not found:
        raise TaskFailed("bad-data", "the file of rows is empty")
    return [one for one in found if isinstance(one, NumberedRow)]


def load_bytes(store: Store, rows: Rows, folder: Path) -> bytes:
    """The checked bytes of a stored file of rows."""
    copy = materialise(store, rows.ref, folder / "rows")
    try:
        return copy.read_bytes()
    finally:
        copy.unlink()


class _Refused(Exception):  # noqa: N818  # not an error of ours but an answer about a line
    """A value that JSON Lines may spell and we do not take."""


def _parse_json_lines(data: bytes) -> Iterator[NumberedRow | RowProblem]:
    for line, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            found: object = json.loads(
                text.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
            )
        except UnicodeDecodeError:
            yield RowProblem(line=line, message="is not UTF-8 text")
        except _Refused as error:
            yield RowProblem(line=line, message=str(error))
        except json.JSONDecodeError as error:
            yield RowProblem(line=line, message=f"is not JSON: {error.msg} at character {error.colno}")
        except RecursionError:
            yield RowProblem(line=line, message="is nested too deeply")
        else:
            yield _row_of(line, found)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"names column `{twice}` twice")
    return found


def _constant(spelled: str) -> object:
    raise _Refused(f"holds {spelled}, which is no JSON number")


def _integer(spelled: str) -> int:
    if len(spelled) > 17 or abs(int(spelled)) > _LARGEST_INTEGER:
        raise _Refused("holds an integer beyond 2^53, which JSON cannot carry exactly")
    return int(spelled)


def _row_of(line: int, found: object) -> NumberedRow | RowProblem:
    if not isinstance(found, dict):
        return RowProblem(line=line, message="is not a JSON object")
    values: dict[str, Value] = {}
    for name, value in found.items():
        fault = _value_fault(value)
        if fault:
            return RowProblem(line=line, message=f"column `{name}` {fault}")
        values[str(name)] = value
    return NumberedRow(line=line, values=values)


def _value_fault(value: object) -> str | None:
    match value:
        case list() | dict():
            return "holds a list or an object, not a single value"
        case float() if not math.isfinite(value):
            return "holds a number that is too large"
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            return "holds half of a surrogate pair, which is no text"
        case _:
            return None


def _parse_csv(data: bytes, types: Mapping[str, str]) -> Iterator[NumberedRow | RowProblem]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield RowProblem(line=data.count(b"\n", 0, error.start) + 1, message="is not UTF-8 text")
        return
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = cells
                fault = _header_fault(header)
                if fault:
                    yield RowProblem(line=line, message=fault)
                    return
            elif len(cells) != len(header):
                yield RowProblem(line=line, message=f"has {len(cells)} cells; the header names {len(header)} columns")
            else:
                yield _row_of_cells(line, header, cells, types)
    except csv.Error as error:
        yield RowProblem(line=begins, message=f"is not CSV: {error}")


def _header_fault(header: list[str]) -> str | None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        return f"the header names column `{twice}` twice"
    return "the header has a column without a name" if "" in header else None


def _row_of_cells(line: int, header: list[str], cells: list[str], types: Mapping[str, str]) -> NumberedRow | RowProblem:
    values: dict[str, Value] = {}
    for name, cell in zip(header, cells, strict=True):
        kind = types.get(name, "string")
        try:
            values[name] = _cell_value(cell, kind)
        except ValueError:
            return RowProblem(line=line, message=f"column `{name}` is not {_ARTICLE[kind]}")
    return NumberedRow(line=line, values=values)


def _cell_value(cell: str, kind: str) -> Value:
    """A CSV cell as its column's type; an empty one that is no string is null. Raises: ValueError."""
    trimmed = cell.strip()
    if kind == "string":
        return cell
    if not trimmed:
        return None
    if kind == "boolean" and trimmed.casefold() in _BOOLEANS:
        return _BOOLEANS[trimmed.casefold()]
    if kind == "integer" and _INTEGER.fullmatch(trimmed) and abs(int(trimmed)) <= _LARGEST_INTEGER:
        return int(trimmed)
    if kind == "number" and _NUMBER.fullmatch(trimmed) and math.isfinite(float(trimmed)):
        return float(trimmed)
    raise ValueError(cell)


def _contract_problems(values: Row, columns: Mapping[str, Column]) -> Iterator[str]:
    for name, column in columns.items():
        value = values.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            if column.required:
                yield f"column `{name}` is {'empty' if name in values else 'missing'}"
        elif not _fits(value, column.type):
            yield f"column `{name}` is not {_ARTICLE[column.type]}"
    yield from (f"column `{name}` is not declared" for name in values if name not in columns)


def _fits(value: Value, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int):
        return kind in {"integer", "number"}
    if isinstance(value, float):
        return kind == "number"
    return isinstance(value, str) and kind == "string"


def texts(rows: Iterable[NumberedRow], columns: Iterable[str]) -> Iterator[str]:
    """The text of the named columns, row after row; empty values are left out.

    Raises:
        TaskFailed: a row has no such column.
    """
    names = list(columns)
    for row in rows:
        for name in names:
            if name not in row.values:
                raise TaskFailed("bad-data", f"line {row.line} of the rows: column `{name}` is missing")
            value = row.values[name]
            if value is not None and value != "":
                yield str(value)
