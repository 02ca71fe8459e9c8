"""Read a user's JSONL or CSV file into rows, naming the line of whatever cannot be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from llmops.errors import Exit, OperationFailed

Scalar: TypeAlias = str | int | float | bool | None
Row: TypeAlias = dict[str, Scalar]

MAX_BYTES = 512 * 1024 * 1024


def read_rows(path: Path) -> list[Row]:
    """Every row of a `.jsonl`, `.json` lines, or `.csv` file. Nested values are left out of their row.

    Raises:
        OperationFailed: the file cannot be read as what its ending says; the message names the line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unusable(path, "is larger than 512 MiB", "take a sample of its rows")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "") from error
    except UnicodeDecodeError as error:
        raise _unusable(path, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text))
    if not rows:
        raise _unusable(path, "holds no rows", "give a JSONL file with one object a line, or a CSV file with a header")
    return rows


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except ValueError as error:
            raise _unusable(path, f"line {number} is not JSON: {error}", "write one JSON object a line") from error
        if not isinstance(value, dict):
            raise _unusable(path, f"line {number} is not a JSON object", "write one JSON object a line")
        yield {str(key): one for key, one in value.items() if one is None or isinstance(one, str | int | float | bool)}


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heads = next(reader, [])
        if len(set(heads)) != len(heads) or not all(heads):
            raise _unusable(path, "has a header with empty or repeated names", "name each column once")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(heads):
                said = f"line {reader.line_num} has {len(cells)} values, and the header {len(heads)}"
                raise _unusable(path, said, "quote values that hold commas")
            yield dict(zip(heads, cells, strict=True))
    except csv.Error as error:
        raise _unusable(path, f"line {reader.line_num} is not CSV: {error}", "quote values that hold commas") from error


def _no_constant(name: str) -> float:
    raise ValueError(f"`{name}` is not a JSON number")


def _unusable(path: Path, why: str, advice: str) -> OperationFailed:
    return OperationFailed(f"`{path}` {why}", help=advice, exit_code=Exit.FINDINGS)
