"""The dataset's contract beyond single rows: counts, ids, duplicates, leakage, clusters, personal data.

Called by `check-data`. Every function looks at all splits and yields findings; none stops at the first.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llmops_runtime.data.findings import Finding
from llmops_runtime.data.rows import NumberedRow, Row, item_id
from llmops_spec.payloads.data import CheckDataPayload, CheckedSplit, PersonalDataFound
from llmops_spec.personal_data import find_personal

TRAIN: Final = "train"
"""Name of the split that others may not overlap with, and that the baseline learns from."""

Splits = Mapping[str, Sequence[NumberedRow]]


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Rows of one split that repeat something seen before."""

    count: int
    first_line: int


def findings(payload: CheckDataPayload, splits: Splits, *, incomplete: Collection[str] = ()) -> Iterator[Finding]:
    """Everything that breaks the contract, in no particular order. Rows of `incomplete` splits are not counted."""
    for name, rows in splits.items():
        if name not in incomplete:
            yield from count_findings(name, payload.splits[name], rows, payload.cluster_column)
        yield from duplicate_findings(name, rows, payload)
        yield from leakage_findings(name, splits, payload)
    if payload.item_column is not None:
        yield from item_findings(splits, payload.item_column)
    if payload.cluster_column is not None:
        yield from cluster_findings(splits, payload.cluster_column)
    for found in personal_data(payload, splits):
        if not payload.columns[found.column].personal_data:
            kinds = " and ".join({"email": "e-mail addresses", "phone": "phone numbers"}[kind] for kind in found.kinds)
            message = f"column `{found.column}` holds {kinds} and is not marked `personalData`"
            yield Finding(split=found.split, line=found.first_line, message=message, rows=found.rows)


def count_findings(
    name: str, declared: CheckedSplit, rows: Sequence[NumberedRow], cluster_column: str | None
) -> Iterator[Finding]:
    if not rows:
        yield Finding(split=name, line=0, message="has no rows")
    elif len(rows) < declared.declared_rows:
        message = f"has {len(rows)} rows; at least {declared.declared_rows} are declared"
        yield Finding(split=name, line=0, message=message)
    if declared.declared_clusters is None or cluster_column is None or not rows:
        return
    clusters = len({row.values.get(cluster_column) for row in rows})
    if clusters < declared.declared_clusters:
        message = f"has {clusters} clusters; at least {declared.declared_clusters} are declared"
        yield Finding(split=name, line=0, message=message)


def item_findings(splits: Splits, item_column: str) -> Iterator[Finding]:
    """Every item id stands once in all splits together."""
    seen: dict[str, tuple[str, int]] = {}
    for name, rows in sorted(splits.items()):
        for row in rows:
            if row.values.get(item_column) in {None, ""}:
                yield Finding(split=name, line=row.line, message=f"the item column `{item_column}` is empty")
                continue
            item = item_id(row.values, item_column)
            if item in seen:
                other, line = seen[item]
                message = f"item `{item}` also stands in {other}, line {line}"
                yield Finding(split=name, line=row.line, message=message)
            else:
                seen[item] = (name, row.line)


def duplicate_findings(name: str, rows: Sequence[NumberedRow], payload: CheckDataPayload) -> Iterator[Finding]:
    repeats = duplicates(rows, payload.item_column)
    if repeats and repeats.count > payload.limits.duplicates * len(rows):
        message = f"{repeats.count} of {len(rows)} rows repeat another row{_limit(payload.limits.duplicates)}"
        yield Finding(split=name, line=repeats.first_line, message=message)


def duplicates(rows: Iterable[NumberedRow], item_column: str | None) -> Repeats | None:
    """Rows that repeat an earlier one in every column but the item's."""
    seen: set[str] = set()
    lines: list[int] = []
    for row in rows:
        rest = {column: value for column, value in row.values.items() if column != item_column}
        spelled = json.dumps(rest, sort_keys=True)
        if spelled in seen:
            lines.append(row.line)
        seen.add(spelled)
    return Repeats(count=len(lines), first_line=lines[0]) if lines else None


def leakage_findings(name: str, splits: Splits, payload: CheckDataPayload) -> Iterator[Finding]:
    leaked = leakage(name, splits, payload.input_columns)
    rows = len(splits[name])
    if leaked and leaked.count > payload.limits.leakage * rows:
        inputs = ", ".join(f"`{column}`" for column in payload.input_columns)
        message = f"{leaked.count} of {rows} rows have the {inputs} of a row in {TRAIN}{_limit(payload.limits.leakage)}"
        yield Finding(split=name, line=leaked.first_line, message=message)


def leakage(name: str, splits: Splits, input_columns: Sequence[str]) -> Repeats | None:
    """Rows of split `name` whose inputs also stand in the train split, but for case, spacing and width."""
    if name == TRAIN or TRAIN not in splits or not input_columns:
        return None
    known = {_inputs(row.values, input_columns) for row in splits[TRAIN]}
    lines = [row.line for row in splits[name] if _inputs(row.values, input_columns) in known]
    return Repeats(count=len(lines), first_line=lines[0]) if lines else None


def _inputs(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(normalised(str(row.get(column, ""))) for column in columns)


def normalised(text: str) -> str:
    """Text without differences that a reader would not see: width, case, spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def cluster_findings(splits: Splits, cluster_column: str) -> Iterator[Finding]:
    """Every row has a cluster, and no cluster stands in two splits."""
    for name, rows in splits.items():
        for row in rows:
            if row.values.get(cluster_column) in {None, ""}:
                yield Finding(split=name, line=row.line, message=f"the cluster column `{cluster_column}` is empty")
    home: dict[object, tuple[str, int]] = {}
    for name, rows in sorted(splits.items()):
        told: set[object] = set()
        for row in rows:
            cluster = row.values.get(cluster_column)
            other, line = home.setdefault(cluster, (name, row.line))
            if other != name and cluster not in told and cluster not in {None, ""}:
                told.add(cluster)
                message = f"cluster `{cluster}` also stands in {other}, line {line}"
                yield Finding(split=name, line=row.line, message=message)


def shared_clusters(splits: Splits, cluster_column: str) -> Counter[str]:
    """How many clusters each split shares with another one."""
    homes: dict[object, set[str]] = {}
    for name, rows in splits.items():
        for row in rows:
            homes.setdefault(row.values.get(cluster_column), set()).add(name)
    return Counter(name for names in homes.values() if len(names) > 1 for name in names)


def personal_data(payload: CheckDataPayload, splits: Splits) -> Iterator[PersonalDataFound]:
    """Text columns with e-mail addresses or phone numbers, marked or not."""
    columns = sorted(name for name, column in payload.columns.items() if column.type == "string")
    for column in columns:
        for name, rows in sorted(splits.items()):
            hits = [(row.line, kinds) for row in rows if (kinds := _kinds(row.values.get(column)))]
            if hits:
                yield PersonalDataFound(
                    column=column,
                    split=name,
                    rows=len(hits),
                    first_line=hits[0][0],
                    kinds=sorted({kind for _, kinds in hits for kind in kinds}),
                )


def _kinds(value: object) -> set[str]:
    return {one.kind for one in find_personal(value)} if isinstance(value, str) else set()


def _limit(share: float) -> str:
    return f"; the limit is a share of {share:g}" if share else ""
