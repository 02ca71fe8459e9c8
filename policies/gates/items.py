"""Turn lines into items: draws averaged first, then planned = scored + unscorable + errored + skipped.

Called by `verdicts`. Only the part that a criterion asks for: one metric, one slice, one record or a pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llmops_spec.catalogue.metrics import MetricFacts
from policies.gates.records import Answer, Record, RecordedItem, Status

_BAD_FIRST: tuple[Status, ...] = ("errored", "unscorable", "skipped")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One item: a score exactly where the status is scored."""

    status: Status
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class ItemOutcomes:
    by_item: Mapping[str, Outcome]
    """By item id, sorted."""
    units: Mapping[str, str]
    """The independent unit of each item."""
    unseen: int
    """Planned items without any line. Their slices are unknown, so every slice counts them."""
    incomplete: frozenset[str]
    """Items of which some line is absent. They are errored."""

    @property
    def planned(self) -> int:
        return len(self.by_item) + self.unseen

    @property
    def absent(self) -> int:
        """Items of which a planned line is absent."""
        return self.unseen + len(self.incomplete)

    def count(self, status: Status) -> int:
        found = sum(outcome.status == status for outcome in self.by_item.values())
        return found + self.unseen if status == "errored" else found

    def scores(self) -> list[tuple[str, float]]:
        """Return (unit, score) of every scored item."""
        return [
            (self.units[item], outcome.score) for item, outcome in self.by_item.items() if outcome.score is not None
        ]


def outcomes_of(record: Record, facts: MetricFacts, slice_name: str | None) -> ItemOutcomes:
    """Return the outcome of every item of the slice, or of all items, for one metric."""
    draws = record.header.draws
    chosen = {name: item for name, item in record.items.items() if slice_name is None or slice_name in item.slices}
    return ItemOutcomes(
        by_item={name: _outcome(item, facts, draws) for name, item in chosen.items()},
        units={name: item.unit for name, item in chosen.items()},
        unseen=record.unseen_items,
        incomplete=frozenset(name for name, item in chosen.items() if _missing(item, facts.name, draws)),
    )


def paired(candidate: ItemOutcomes, baseline: ItemOutcomes) -> ItemOutcomes:
    """Return candidate minus baseline for the candidate's items; a pair has the worse status of its two sides.

    `baseline` holds all items of its record. Units are the candidate's. An item that the baseline lacks is errored.
    """
    nothing = Outcome(status="errored")
    return ItemOutcomes(
        by_item={
            name: _difference(ours, baseline.by_item.get(name, nothing)) for name, ours in candidate.by_item.items()
        },
        units=candidate.units,
        unseen=candidate.unseen,
        incomplete=frozenset(
            name
            for name in candidate.by_item
            if name in candidate.incomplete or name in baseline.incomplete or name not in baseline.by_item
        ),
    )


def answer_status(answer: Answer | None, facts: MetricFacts) -> Status:
    """Return the status of one draw: absent ones and scores out of range are errored."""
    if answer is None:
        return "errored"
    if answer.score is not None and not _in_range(answer.score, facts):
        return "errored"
    return answer.status


def listed_outcome(
    record: Record, item: str, facts: MetricFacts, slice_name: str | None, top: float
) -> tuple[Status, str]:
    """Return the status of one item that must never fail, and why it fails; no words where it holds."""
    found = record.items.get(item)
    if found is None:
        return "errored", "is absent from the record"
    if slice_name is not None and slice_name not in found.slices:
        return "errored", f"is not in slice `{slice_name}`"
    outcome = _outcome(found, facts, record.header.draws)
    if outcome.status != "scored":
        return outcome.status, f"is {outcome.status}"
    misses = sum(found.answers[facts.name, draw].score != top for draw in range(record.header.draws))
    return "scored", f"failed {misses} of {record.header.draws} draws" if misses else ""


def _outcome(item: RecordedItem, facts: MetricFacts, draws: int) -> Outcome:
    answers = [item.answers.get((facts.name, draw)) for draw in range(draws)]
    statuses = {answer_status(answer, facts) for answer in answers}
    for status in _BAD_FIRST:
        if status in statuses:
            return Outcome(status=status)
    scores = [answer.score for answer in answers if answer is not None and answer.score is not None]
    return Outcome(status="scored", score=math.fsum(scores) / draws)


def _missing(item: RecordedItem, metric: str, draws: int) -> bool:
    return any((metric, draw) not in item.answers for draw in range(draws))


def _difference(ours: Outcome, theirs: Outcome) -> Outcome:
    for status in _BAD_FIRST:
        if status in (ours.status, theirs.status):
            return Outcome(status=status)
    if ours.score is None or theirs.score is None:
        raise ValueError("a scored item without a score")
    return Outcome(status="scored", score=ours.score - theirs.score)


def _in_range(score: float, facts: MetricFacts) -> bool:
    if facts.kind == "binary":
        return score in (facts.low, facts.high)
    return score >= facts.low and (facts.high is None or score <= facts.high)
