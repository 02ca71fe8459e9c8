"""What is wrong with rows, gathered and told in one message.

Used by `check-data` alone. Findings of one kind in one split are merged, so a column that is missing everywhere is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from llmops_runtime.failures import TaskFailed

SHOWN: Final = 20
"""How many findings a message lists; the rest are counted."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    split: str
    line: int
    """Line of the split's file; 0 where the split as a whole is meant."""
    message: str
    rows: int = 1
    """Rows concerned, of which `line` is the first."""

    def sentence(self) -> str:
        where = f"{self.split}, line {self.line}" if self.line else self.split
        more = f" (and {self.rows - 1} more {'row' if self.rows == 2 else 'rows'})" if self.rows > 1 else ""
        return f"{where}: {self.message}{more}"


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by split and line; equal messages of one split become one finding at the first line."""
    first: dict[tuple[str, str], Finding] = {}
    for one in sorted(findings):
        known = first.setdefault((one.split, one.message), one)
        if known is not one:
            first[one.split, one.message] = Finding(
                split=known.split, line=known.line, message=known.message, rows=known.rows + one.rows
            )
    return sorted(first.values())


def refuse(findings: Iterable[Finding]) -> None:
    """Give up if there is any finding.

    Raises:
        TaskFailed: `bad-data`, with the first findings and their number.
    """
    found = merged(findings)
    if not found:
        return
    count = "a problem" if len(found) == 1 else f"{len(found)} problems"
    lines = [f"the data break their contract: {count} found"]
    lines += [f"  {one.sentence()}" for one in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    raise TaskFailed(
        "bad-data", "\n".join(lines), "correct the rows, or the dataset's declarations where they are wrong"
    )
