"""Cells of a row as values: numbers within their bounds, or a reason.

Called by the predictions. Digits are ASCII, and what stands for no number (NaN, infinities, 1e309) is refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


class UnreadableCellError(ValueError):
    """A cell that holds no value of its column; the text says which and why."""


def whole(cells: Mapping[str, str], column: str, *, at_most: int = 10**9) -> int | None:
    """A whole number from 1 on; None for an empty cell.

    Raises:
        UnreadableCellError: the cell holds something else.
    """
    text = cells.get(column, "")
    if not text:
        return None
    number = _number(column, text)
    if number != int(number) or not 1 <= number <= at_most:
        raise UnreadableCellError(f"{column}: `{_short(text)}` is not a whole number from 1 to {at_most}")
    return int(number)


def share(cells: Mapping[str, str], column: str) -> float | None:
    """A number above 0 and up to 1; None for an empty cell.

    Raises:
        UnreadableCellError: the cell holds something else.
    """
    return _up_to(1, cells, column, "a share above 0 and up to 1")


def gibibytes(cells: Mapping[str, str], column: str) -> float | None:
    """Memory in GiB, above 0 and up to 4096; None for an empty cell.

    Raises:
        UnreadableCellError: the cell holds something else.
    """
    return _up_to(4096, cells, column, "an amount of memory in GiB")


def _up_to(most: float, cells: Mapping[str, str], column: str, what: str) -> float | None:
    """A number above 0 and up to `most`; None for an empty cell."""
    text = cells.get(column, "")
    if not text:
        return None
    number = _number(column, text)
    if not 0 < number <= most:
        raise UnreadableCellError(f"{column}: `{_short(text)}` is not {what}")
    return number


def _number(column: str, text: str) -> float:
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        raise UnreadableCellError(f"{column}: `{_short(text)}` is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableCellError(f"{column}: `{_short(text)}` is not a number")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
