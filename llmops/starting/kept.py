"""Make a user's rows into rows that a project can declare: names, types, no repeats, nothing too long or empty.

Called by `start`. Promises: what is left out is counted with its reason; what is written otherwise than it came
is told; the kept rows hold the contract that `check-data` asks of them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from llmops.errors import Exit, OperationFailed
from llmops.starting.columns import Columns
from llmops.starting.rows import Row, Scalar
from llmops_spec.personal_data import find_personal, redact
from llmops_spec.prompt_language import analyse

MAX_INPUT_BYTES = 2000
MAX_TARGET_BYTES = 1000
MAX_CELL_CHARACTERS = 10_000
_LARGEST_INTEGER = 2**53 - 1
_LONGEST_NAME = 40
GROUP_COLUMN = "input_group"

ColumnType = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True, kw_only=True)
class KeptColumn:
    type: ColumnType = "string"
    required: bool = True
    personal: bool = False


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Rows and what is declared of them; every column goes by the name that is written."""

    rows: list[Row]
    columns: Mapping[str, KeptColumn]
    input: str
    target: str
    item: str | None
    cluster: str | None
    names: Mapping[str, str]
    """The written name of every column of the file."""
    left_out: Mapping[str, int]
    """Rows that were left out, by reason."""
    conflicting: int
    """Rows whose input stands with another target elsewhere."""
    notes: Sequence[str]

    @property
    def personal(self) -> list[str]:
        return [name for name, one in self.columns.items() if one.personal]


def keep(rows: Sequence[Row], columns: Columns, *, repeated: int = 0) -> Kept:
    """Keep what can be used. `repeated` rows were left out before, as equal to another in every column.

    Raises:
        OperationFailed: nothing is left, or the labels are personal data.
    """
    work = _Work(columns=columns, names=written_names(rows, columns))
    work.left_out["repeat another row"] += repeated
    usable = [row for row in rows if work.is_usable(row)]
    types = _types(usable)
    made = [work.made(row, types) for row in usable]
    personal = work.personal_columns(made)
    made = _distinct(made, None if work.item is None else work.names[work.item], work.left_out)
    if not made:
        raise _nothing_left(work.left_out)
    cluster = work.clustered(made, personal)
    return Kept(
        rows=made,
        columns=_declared(made, types, work, personal, cluster),
        input=work.input,
        target=work.target,
        item=work.names[work.item] if work.item is not None else None,
        cluster=cluster,
        names=work.names,
        left_out={reason: count for reason, count in work.left_out.items() if count},
        conflicting=_conflicting(made, work.input, work.target),
        notes=work.notes,
    )


def without_repeats(rows: Iterable[Row]) -> list[Row]:
    """Rows that no earlier one equals in every column."""
    return list({json.dumps(row, sort_keys=True): row for row in reversed(list(rows))}.values())[::-1]


def input_key(text: str) -> str:
    """What two inputs have in common that a reader, and the model after redaction, cannot tell apart."""
    return " ".join(unicodedata.normalize("NFKC", redact(text)).casefold().split())


@dataclass(kw_only=True)
class _Work:
    columns: Columns
    names: Mapping[str, str]
    left_out: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.item = self.columns.item
        self.input = self.names[self.columns.input]
        self.target = self.names[self.columns.target]

    def is_usable(self, row: Row) -> bool:
        reason = _fault(row, self.columns)
        if reason:
            self.left_out[reason] += 1
        return not reason

    def made(self, row: Row, types: Mapping[str, ColumnType]) -> Row:
        """The row under its written names, each value of its column's type."""
        texts = {self.columns.input, self.columns.target, self.columns.cluster}
        return {
            written: _typed(row.get(name), "string" if name in texts else types.get(name, "string"), name, self.columns)
            for name, written in self.names.items()
        }

    def personal_columns(self, rows: Sequence[Row]) -> set[str]:
        found = {
            name
            for name in self.names.values()
            if any(isinstance(value := row[name], str) and find_personal(value) for row in rows)
        }
        if self.columns.task == "label" and self.target in found:
            raise OperationFailed(
                f"the labels in `{self.columns.target}` are e-mail addresses or phone numbers",
                help="replace them by names that identify nobody, or choose another `--target`",
                exit_code=Exit.FINDINGS,
            )
        if self.item is not None and self.names[self.item] in found:
            self.notes.append(f"`{self.item}` holds personal data, so rows get ids from their content instead")
            self.item = None
        return found

    def clustered(self, rows: Sequence[Row], personal: set[str]) -> str | None:
        """The cluster column, its values made fit in place; one of our own where inputs repeat and none is given."""
        if self.columns.cluster is None:
            return self._grouped_by_input(rows)
        name = self.names[self.columns.cluster]
        alone = [row for row in rows if _is_empty(row[name])]
        for row in alone:
            row[name] = "alone-" + _short(input_key(str(row[self.input])))
        if alone:
            self.notes.append(f"{len(alone)} rows without a `{self.columns.cluster}` stand for themselves")
        if name in personal:
            values = sorted({str(row[name]) for row in rows}, key=_short)
            numbers = {value: f"{name}-{number:05}" for number, value in enumerate(values, start=1)}
            for row in rows:
                row[name] = numbers[str(row[name])]
            personal.discard(name)
            self.notes.append(f"`{self.columns.cluster}` holds personal data; its values are written as numbers")
        return name

    def _grouped_by_input(self, rows: Sequence[Row]) -> str | None:
        keys = [input_key(str(row[self.input])) for row in rows]
        if len(set(keys)) == len(keys):
            return None
        name = _free(GROUP_COLUMN, set(self.names.values()))
        for row, key in zip(rows, keys, strict=True):
            row[name] = _short(key)
        repeats = len(keys) - len(set(keys))
        self.notes.append(f"{repeats} rows repeat the input of another; the new column `{name}` keeps them together")
        return name


def written_names(rows: Sequence[Row], columns: Columns) -> dict[str, str]:
    """A name for every column that a prompt variable may have, and that reads the same in every script."""
    roles = {columns.input: "input", columns.target: "target", columns.item: "item_id", columns.cluster: "cluster"}
    found = list(dict.fromkeys(name for row in rows for name in row))
    fine = {name for name in found if _is_variable(name)}
    names: dict[str, str] = {}
    taken = set(fine)
    for number, name in enumerate(found, start=1):
        names[name] = name if name in fine else _free(_spelled(name, roles.get(name, f"column_{number}")), taken)
        taken.add(names[name])
    return names


def _is_variable(name: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or len(name) > _LONGEST_NAME:
        return False
    facts = analyse("{{ " + name + " }}")
    return not facts.problems and name in facts.variables


def _spelled(name: str, otherwise: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    letters = sum(one.isalpha() for one in name)
    kept = sum(one.isalpha() for one in plain)
    made = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_LONGEST_NAME]
    # A name that loses most of its letters on the way to ASCII says nothing any more.
    if not made or kept < 0.6 * letters:
        return otherwise
    for spelled in (made, f"column_{made}"[:_LONGEST_NAME]):
        if _is_variable(spelled):
            return spelled
    return otherwise


def _free(name: str, taken: set[str]) -> str:
    number = 2
    made = name
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made


def _fault(row: Row, columns: Columns) -> str:
    text, target = row.get(columns.input), row.get(columns.target)
    if _is_empty(text):
        return f"have no `{columns.input}`"
    if _is_empty(target):
        return f"have no `{columns.target}`"
    too_long = (
        len(_as_text(text).encode()) > MAX_INPUT_BYTES
        or len(_as_text(target).encode()) > MAX_TARGET_BYTES
        or any(isinstance(one, str) and len(one) > MAX_CELL_CHARACTERS for one in row.values())
    )
    return f"are too long (at most {MAX_INPUT_BYTES} bytes in, {MAX_TARGET_BYTES} out)" if too_long else ""


def _is_empty(value: Scalar) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _types(rows: Sequence[Row]) -> dict[str, ColumnType]:
    """The type that all values of a column share; text where they do not."""
    kinds: dict[str, set[ColumnType]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind(value))
    return {name: _common(found) for name, found in kinds.items()}


def _kind(value: str | float) -> ColumnType:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer" if abs(value) <= _LARGEST_INTEGER else "string"
        case float():
            return "number"
        case _:
            return "string"


def _common(kinds: set[ColumnType]) -> ColumnType:
    if kinds == {"integer", "number"}:
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else "string"


def _typed(value: Scalar, kind: ColumnType, name: str, columns: Columns) -> Scalar:
    if value is None or kind != "string":
        return value
    text = _as_text(value)
    return text.strip() if name == columns.target else text


def _as_text(value: Scalar) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _distinct(rows: Sequence[Row], item: str | None, left_out: Counter[str]) -> list[Row]:
    """Rows that differ from every earlier one in more than the item's id, even when personal data are redacted."""
    found: dict[str, Row] = {}
    for row in rows:
        rest = {name: redact(value) if isinstance(value, str) else value for name, value in row.items() if name != item}
        found.setdefault(json.dumps(rest, sort_keys=True), row)
    left_out["repeat another row"] += len(rows) - len(found)
    return list(found.values())


def _declared(
    rows: Sequence[Row], types: Mapping[str, ColumnType], work: _Work, personal: set[str], cluster: str | None
) -> dict[str, KeptColumn]:
    texts = {work.input, work.target, cluster}
    declared = {
        written: KeptColumn(
            type="string" if written in texts else types.get(name, "string"),
            required=all(not _is_empty(row[written]) for row in rows),
            personal=written in personal,
        )
        for name, written in work.names.items()
    }
    if cluster is not None:
        declared.setdefault(cluster, KeptColumn())
    return declared


def _conflicting(rows: Sequence[Row], text: str, target: str) -> int:
    targets: dict[str, set[str]] = {}
    for row in rows:
        targets.setdefault(input_key(str(row[text])), set()).add(str(row[target]))
    return sum(len(targets[input_key(str(row[text]))]) > 1 for row in rows)


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def _nothing_left(left_out: Mapping[str, int]) -> OperationFailed:
    said = "; ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    return OperationFailed(
        f"no row can be used: {said}",
        help="shorten the texts, or name other columns with `--input` and `--target`",
        exit_code=Exit.FINDINGS,
    )


Measure = Callable[[str], int]


def longest(rows: Iterable[Row], column: str, measure: Measure) -> int:
    """The longest text of a column, as it came or redacted."""
    return max(max(measure(text), measure(redact(text))) for row in rows for text in [str(row[column])])


def byte_length(text: str) -> int:
    return len(text.encode())
