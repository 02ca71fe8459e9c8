"""One reader for JSON Lines and CSV: every trouble has its line, and the same value has one digest."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_runtime.data.rows import NumberedRow, RowProblem, item_id, parse_rows, row_digest
from llmops_spec.dataset import Column

COLUMNS = {
    "id": Column(),
    "n": Column(type="integer", required=False),
    "x": Column(type="number", required=False),
    "b": Column(type="boolean", required=False),
}


def parse(data: bytes, file_format: str = "jsonl", *, contract: bool = True) -> list[NumberedRow | RowProblem]:
    return list(parse_rows(data, file_format=file_format, columns=COLUMNS if contract else None))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b'{"id": "\xff"}', "is not UTF-8"),
        (b"\x89PNG\x00\x01", "is not UTF-8"),
        (b'{"id": "a", "id": "b"}', "names column `id` twice"),
        (b'{"n": 1}', "column `id` is missing"),
        (b'{"id": null}', "column `id` is empty"),
        (b'{"id": "  "}', "column `id` is empty"),
        (b'{"id": 7}', "column `id` is not a string"),
        (b'{"id": "a", "n": true}', "column `n` is not an integer"),
        (b'{"id": "a", "n": 1.5}', "column `n` is not an integer"),
        (b'{"id": "a", "x": "1"}', "column `x` is not a number"),
        (b'{"id": "a", "b": 1}', "column `b` is not true or false"),
        (b'{"id": "a", "y": 1}', "column `y` is not declared"),
        (b'{"id": "a", "x": NaN}', "holds NaN"),
        (b'{"id": "a", "x": 1e999}', "too large"),
        (b'{"id": "a", "n": 9007199254740993}', "beyond 2^53"),
        (b'{"id": "a", "n": ' + b"9" * 5000 + b"}", "beyond 2^53"),
        (b'{"id": ["a"]}', "list or an object"),
        (b'{"id": "\\ud800"}', "surrogate"),
        (b'{"id": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_an_unreadable_line_is_named_and_the_rest_is_read(line: bytes, message: str) -> None:
    good = b'{"id": "a"}'
    found = parse(b"\n".join([good, line, good, b""]))
    problems = [one for one in found if isinstance(one, RowProblem)]
    assert [one.line for one in problems] == [2]
    assert message in problems[0].message
    assert [one.line for one in found if isinstance(one, NumberedRow)] == [1, 3]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"id,n\na\n", 2, "has 1 cells; the header names 2"),
        (b"id,n\na,1,2\n", 2, "has 3 cells"),
        (b"id,id\na,b\n", 1, "twice"),
        (b"id,\na,b\n", 1, "without a name"),
        (b"id,n\na,one\n", 2, "column `n` is not an integer"),
        (b"id,b\na,yes\n", 2, "column `b` is not true or false"),
        (b"id,x\na,inf\n", 2, "column `x` is not a number"),
        (b"n\n1\n", 2, "column `id` is missing"),
        (b'id\n"two\nlines"\n""\n', 4, "column `id` is empty"),
        (b"id\na\n\xff\n", 3, "is not UTF-8"),
        (b'id\na\n"open\n', 3, "is not CSV"),
    ],
)
def test_csv_trouble_has_its_line(data: bytes, line: int, message: str) -> None:
    problems = [one for one in parse(data, "csv") if isinstance(one, RowProblem)]
    assert [(one.line, message in one.message) for one in problems] == [(line, True)], problems


def test_csv_and_json_lines_give_the_same_rows() -> None:
    from_json = parse(b'\xef\xbb\xbf{"id": "a,\\nb", "n": 3, "x": 0.5, "b": true}\r\n\n')
    from_csv = parse('\ufeffid,n,x,b\r\n"a,\nb",3,0.5,TRUE\r\n'.encode(), "csv")
    assert [one.values for one in from_json if isinstance(one, NumberedRow)] == [
        one.values for one in from_csv if isinstance(one, NumberedRow)
    ]


def test_cells_without_a_declared_type_are_strings() -> None:
    found = parse(b"a,b\n1,\n", "csv", contract=False)
    assert found == [NumberedRow(line=2, values={"a": "1", "b": ""})]
    typed = list(parse_rows(b"a,b\n1,\n", file_format="csv", cell_types={"a": "integer"}))
    assert typed == [NumberedRow(line=2, values={"a": 1, "b": ""})]


def test_an_item_without_a_column_is_named_by_its_digest() -> None:
    row = {"q": "hello", "n": 1}
    assert row_digest(row) == row_digest({"n": 1, "q": "hello"})
    assert row_digest(row) != row_digest({"n": True, "q": "hello"})
    assert item_id(row, None) == row_digest(row)[:16]
    assert item_id(row, "n") == "1"


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv"]))
def test_no_bytes_escape_as_an_exception(data: bytes, file_format: str) -> None:
    for one in parse(data, file_format):
        assert one.line >= 1


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), min_size=1), min_size=1))
def test_texts_survive_both_formats(values: list[str]) -> None:
    kept = [one for one in values if one.strip()]
    as_json = "".join(json.dumps({"id": one}) + "\n" for one in kept).encode()
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["id"], *([one] for one in kept)])
    for data, file_format in ((as_json, "jsonl"), (buffer.getvalue().encode(), "csv")):
        assert [one.values["id"] for one in parse(data, file_format) if isinstance(one, NumberedRow)] == kept
