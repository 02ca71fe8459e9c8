"""The items of an evaluation: each row of the splits, with its identity, slices, question and reference.

Called by `llmops_runtime.evaluate`. Promises: ids are unique; items come sorted by id; a row that stands in several
splits is one item with several slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from llmops_runtime.data import rows as data_rows
from llmops_runtime.data.rows import NumberedRow, Row, item_id, row_digest
from llmops_runtime.failures import TaskFailed
from llmops_spec.digests import digest
from llmops_spec.payloads.evaluation import EvaluatePayload, PlannedItems
from llmops_spec.prompt import Variable
from llmops_spec.prompt_language import Value


@dataclass(frozen=True, kw_only=True)
class Item:
    id: str
    digest: str
    cluster: str | None
    slices: tuple[str, ...]
    variables: Mapping[str, Value]
    reference: str


def plan_items(payload: EvaluatePayload, splits: Mapping[str, Iterable[NumberedRow]]) -> list[Item]:
    """The items of the splits' rows.

    Raises:
        TaskFailed: two different rows have one id, a column is missing, or there is no row.
    """
    found: dict[str, Item] = {}
    for split, rows in splits.items():
        for numbered in rows:
            line, item = numbered.line, _item(payload, split, numbered.line, numbered.values)
            earlier = found.get(item.id)
            if earlier is None:
                found[item.id] = item
            elif earlier.digest == item.digest and split not in earlier.slices:
                found[item.id] = replace(earlier, slices=(*earlier.slices, split))
            else:
                raise _twice(payload, item, split, line, earlier)
    if not found:
        raise TaskFailed("bad-data", f"the splits of `{payload.evaluation}` hold no rows")
    return [found[name] for name in sorted(found)]


def planned(items: Iterable[Item]) -> PlannedItems:
    pairs = sorted([item.id, item.digest] for item in items)
    return PlannedItems(count=len(pairs), digest=digest(pairs))


def _item(payload: EvaluatePayload, split: str, line: int, row: Row) -> Item:
    declared = payload.gateway.prompt.variables if payload.gateway else {}
    try:
        return Item(
            id=item_id(row, payload.item_column),
            digest=row_digest(row),
            cluster=str(row[payload.cluster_column]) if payload.cluster_column else None,
            slices=(split,),
            variables={name: _value(row[name], declared.get(name)) for name in payload.input_variables},
            reference=_reference(row[payload.target_column]),
        )
    except KeyError as error:
        raise TaskFailed("bad-data", f"line {line} of the split `{split}` has no column `{error.args[0]}`") from error
    except _NoReferenceError:
        column = payload.target_column
        raise TaskFailed("bad-data", f"line {line} of the split `{split}` has no value in `{column}`") from None


class _NoReferenceError(Exception):
    """There is nothing to compare an answer with."""


def _reference(cell: data_rows.Value) -> str:
    if cell is None:
        raise _NoReferenceError
    return str(cell)


def _value(cell: data_rows.Value, variable: Variable | None) -> Value:
    """A cell as the prompt's variable wants it: CSV holds text alone. What does not fit is left for the gateway."""
    if not isinstance(cell, str) or variable is None:
        return cast("Value", cell)  # null goes out as null, and the gateway says what it thinks of it
    try:
        match variable.type:
            case "integer":
                return int(cell)
            case "number":
                return float(cell)
            case "boolean":
                return {"true": True, "false": False}.get(cell.strip().lower(), cell)
            case "string":
                return cell
    except ValueError:
        return cell


def _twice(payload: EvaluatePayload, item: Item, split: str, line: int, earlier: Item) -> TaskFailed:
    where = f"line {line} of the split `{split}`"
    if payload.item_column is None:
        return TaskFailed(
            "bad-data",
            f"{where} repeats an earlier row",
            "remove the duplicate, or name a column of unique ids as `itemColumn`",
        )
    return TaskFailed(
        "bad-data",
        f"{where} has the id `{item.id}` of another row in `{earlier.slices[0]}`",
        f"make the values of `{payload.item_column}` unique",
    )
