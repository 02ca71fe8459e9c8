"""`rouge-l`: F1 of the longest common subsequence of words.

The same figure as the rouge-score package gives with stemming off, which the tests hold it against. The package is
not imported here: it brings nltk, which takes four seconds and looks for the network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llmops_runtime.metrics.metric import Case, Outcome, Score

_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class RougeL:
    def score(self, case: Case) -> Outcome:
        reference, answer = _WORD.findall(case.reference.lower()), _WORD.findall(case.answer.lower())
        common = _common_subsequence_length(reference, answer)
        if not common:
            return Score(0.0)
        precision, recall = common / len(answer), common / len(reference)
        return Score(2 * precision * recall / (precision + recall))

    def parameters(self) -> dict[str, str | int | float | bool]:
        return {}


def _common_subsequence_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, in one row of memory."""
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for place, other in enumerate(right, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]
