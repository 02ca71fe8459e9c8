"""Tables of rows to size: comma-separated text in, the same rows with predictions out.

Called by `llmops size batch`. Every record of the input is one row of the output, at its place: a record that cannot be
read keeps its cells and says why. Bytes that are not UTF-8 survive the way through.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmops.errors import Exit, OperationFailed
from llmops.io.files import write_atomically

MAX_BYTES: Final = 512 * 2**20
"""Largest table that is read: some million rows."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One record of a table."""

    cells: Mapping[str, str]
    """By column, stripped of surrounding blanks; every column of the header is there."""
    raw: tuple[str, ...]
    """As they were written, one for each column of the header."""
    problem: str | None = None
    """Why the record cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """The whole table.

    Raises:
        OperationFailed: the file cannot be opened, is too large, or has no header that names every column once.
    """
    text = _text(path)
    records = _records(text)
    header = next(records, None)
    if header is None or header.problem or not any(cell.strip() for cell in header.cells):
        raise _refused(path, "has no header", "the first line names the columns: `task,model,gpu,…`")
    columns = tuple(cell.strip() for cell in header.cells)
    doubled = sorted(name for name, count in Counter(columns).items() if name and count > 1)
    if doubled:
        raise _refused(path, f"names the column `{doubled[0]}` more than once", "give every column a name of its own")
    if "task" not in columns:
        raise _refused(path, f"has no column `task`; its header is `{_shown(text)}`", _hint(columns))
    return Table(columns=columns, rows=tuple(_row(columns, record) for record in records))


def _shown(text: str) -> str:
    head = text.lstrip("\r\n").splitlines()[0].encode("utf-8", "replace").decode()
    return head if len(head) <= 120 else head[:119] + "…"


def _hint(columns: Sequence[str]) -> str:
    """What a header that lacks `task` most likely is: one divided by other marks, or `Task` written otherwise."""
    for mark, name in ((";", "`;`"), ("\t", "tabs"), ("|", "`|`")):
        cells = [cell.strip().strip('"').casefold() for cell in ",".join(columns).split(mark)]
        if len(cells) > 1 and "task" in cells:
            return f"it is divided by {name}; divide cells by commas"
    near = next((one for one in columns if "".join(one.split()).strip("\"'\ufeff").casefold() == "task"), None)
    if near is not None:
        return f"it says `{near}`: write `task`, in small letters and without blanks"
    return "`task` says of every row: serving, training or throughput"


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table, whole or not at all.

    Raises:
        OSError: the folder is not there or may not be written.
    """
    lines = [_line(columns), *(_line(cells) for cells in rows)]
    write_atomically(path, "".join(lines).encode("utf-8", "surrogateescape"))


def _line(cells: Sequence[str]) -> str:
    """A record. (The standard library's writer leaves a lone carriage return bare, which ends a line for readers.)"""
    return (",".join(_quoted(cell) for cell in cells) or '""') + "\n"


def _quoted(cell: str) -> str:
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if any(mark in cell for mark in ',"\r\n') else cell


@dataclass(frozen=True, kw_only=True)
class _Record:
    cells: tuple[str, ...]
    problem: str | None = None


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise _refused(path, "is larger than 512 MiB", "divide it")
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _records(text: str) -> Iterator[_Record]:
    """Records in order; empty lines are none. A quotation mark that is never closed costs its own line alone."""
    csv.field_size_limit(MAX_BYTES)
    lines = list(io.StringIO(text, newline=""))  # ends lines at \n, \r and \r\n alone, as csv does
    start = 0
    while start < len(lines):
        reader = csv.reader((lines[index] for index in range(start, len(lines))), strict=True)
        read = 0
        try:
            for cells in reader:
                read = reader.line_num
                if cells:
                    yield _Record(cells=tuple(cells))
            return
        except csv.Error:
            yield _Record(cells=_leniently(lines[start + read]), problem="its quotation marks do not match")
            start += read + 1


def _leniently(line: str) -> tuple[str, ...]:
    return tuple(cell.strip('"') for cell in line.rstrip("\r\n").split(","))


def _row(columns: tuple[str, ...], record: _Record) -> Row:
    cells, count = record.cells, len(columns)
    problem = record.problem
    if problem is None and len(cells) < count:
        problem = f"it has {len(cells)} cells, the header {count}"
    if problem is None and any(cell.strip() for cell in cells[count:]):
        problem = f"it has {len(cells)} cells, the header {count}"
    raw = (*cells, *[""] * count)[:count]
    named = {name: cell.strip() for name, cell in zip(columns, raw, strict=True)}
    return Row(cells=named, raw=raw, problem=problem)


def _refused(path: Path, what: str, help_: str) -> OperationFailed:
    return OperationFailed(f"{path} {what}", help=help_, exit_code=Exit.FINDINGS)
