"""Near misses: the known names that a wrong one was most likely meant to be.

Called by passes and checks that refuse a name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_SUGGESTIONS: Final = 3
"""Three fit one terminal line."""

_WORD_BREAK: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-_. ]+")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names within a few slips of `name`, nearest first.

    Case, and whether words are joined by `-`, `_` or capitals, cost nothing: `max_tokens` is `maxTokens`.
    A name with the same words in another order counts as one slip, and so does one that only adds words.
    """
    wanted = _words(name)
    limit = max(1, len("".join(wanted)) // 3)
    ranked = sorted((_distance(wanted, _words(one), limit), one) for one in set(known))
    return [one for distance, one in ranked if distance <= limit][:MAX_SUGGESTIONS]


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``did you mean …?``, or the whole choice where nothing is near; empty where there is no choice."""
    names = sorted(set(known))
    near = nearest(wrong, names)
    if near:
        return "did you mean " + " or ".join(f"`{one}`" for one in near) + "?"
    return "known are " + ", ".join(f"`{one}`" for one in names) if names else ""


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _WORD_BREAK.split(name[:100]) if word]


def _distance(left: list[str], right: list[str], limit: int) -> int:
    if left != right and sorted(left) == sorted(right):
        return 1
    if left and len("".join(left)) >= 3 and (right[: len(left)] == left or right[-len(left) :] == left):
        return 1 if left != right else 0
    return _slips("".join(left), "".join(right), limit)


def _slips(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two texts, given up above `limit`."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, start=1):
        older, before, row = before, row, [i]
        for j, other in enumerate(right, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != other))
            if i > 1 and j > 1 and one == right[j - 2] and left[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit < min(before):  # a swap reaches back two rows
            return limit + 1
    return row[-1]
