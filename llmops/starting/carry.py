"""Say what so few held-out rows can show, and set the gate by it.

Called by `start`. Promises: a criterion that no result could pass is never written; the numbers are those that the
gate itself will be decided by.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llmops.errors import Exit, OperationFailed
from llmops.starting.columns import Task
from llmops.starting.kept import Kept
from llmops.starting.rows import Row
from llmops.starting.split import LARGEST_SHARE, Split, first_share, split
from llmops_spec.catalogue.metrics import METRICS
from llmops_spec.gate import Baseline, Criterion
from policies.gates.from_spec import criterion_rule
from policies.gates.power import Design, prospect

ALPHA = 0.05
METRIC = {"label": "label-accuracy", "answer": "rouge-l"}


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A split, the gate's criteria, and what the rows can carry of them."""

    split: Split
    criteria: list[Criterion]
    floor: float | None
    floor_reason: str
    majority: float
    """Share of the held-out rows that the commonest training target answers."""
    most_shown: float
    """The highest lower bound that the metric can get on the held-out rows."""
    units: str
    """How many independent pieces there are, for people."""


def carry(kept: Kept, task: Task, *, floor: float | None, base: str) -> Carried:
    """Split the rows so that the gate can be passed.

    Raises:
        OperationFailed: however they are split, so few rows can show nothing.
    """
    tried: list[Carried] = []
    for share in sorted({first_share(kept), 0.4, LARGEST_SHARE}):
        if share < first_share(kept):
            continue
        found = _carried(kept, task, split(kept, task, share), floor=floor, base=base)
        tried.append(found)
        if found.split.train and all(_passable(one, _design(kept, found.split)) for one in found.criteria):
            return found
    raise _too_few(kept, tried[-1], task)


def _carried(kept: Kept, task: Task, made: Split, *, floor: float | None, base: str) -> Carried:
    design = _design(kept, made)
    metric = METRIC[task]
    most = _most_shown(metric, design)
    majority = _majority(kept, made)
    chosen, reason = _floor(task, floor, majority, most)
    criteria = [Criterion(metric=metric, better_than=_baseline(task, base))]
    if chosen is not None:
        criteria.append(Criterion(metric=metric, at_least=chosen))
    return Carried(
        split=made,
        criteria=criteria,
        floor=chosen,
        floor_reason=reason,
        majority=majority,
        most_shown=most,
        units=_units(kept, design),
    )


def _baseline(task: Task, base: str) -> Baseline:
    return Baseline(constant="majority-class") if task == "label" else Baseline(model=base)


def _floor(task: Task, asked: float | None, majority: float, most: float) -> tuple[float | None, str]:
    """The floor and why it is there. Without a wish: a quarter of the way from the commonest label to perfect."""
    if asked is not None:
        return asked, "you said so"
    if task == "answer":
        return None, ""
    wanted = round(majority + 0.25 * (1.0 - majority), 2)
    reachable = math.floor(most * 100) / 100
    if wanted <= reachable:
        return wanted, "a quarter of the way from always answering the commonest label to making no mistake"
    return reachable, "no more can be shown with so few held-out rows"


def _majority(kept: Kept, made: Split) -> float:
    counts = Counter(str(row[kept.target]) for row in made.train)
    if not counts or not made.heldout:
        return 0.0
    commonest = min(counts, key=lambda text: (-counts[text], text))
    return sum(str(row[kept.target]) == commonest for row in made.heldout) / len(made.heldout)


def _design(kept: Kept, made: Split) -> Design:
    rows = len(made.heldout)
    return Design(items=rows, units=made.clusters(kept.cluster)[1] if kept.cluster is not None else rows)


def _passable(criterion: Criterion, design: Design) -> bool:
    return prospect(criterion_rule(criterion), METRICS[criterion.metric], design, ALPHA).can_pass


def _most_shown(metric: str, design: Design) -> float:
    rule = criterion_rule(Criterion(metric=metric, at_least=1.0))
    return prospect(rule, METRICS[metric], design, ALPHA).best_low or 0.0


def _units(kept: Kept, design: Design) -> str:
    return f"{design.units} clusters" if kept.cluster is not None else f"{design.units} rows"


def _too_few(kept: Kept, best: Carried, task: Task) -> OperationFailed:
    """Say which criterion is out of reach, and how much would do."""
    design = _design(kept, best.split)
    needs = [
        prospect(criterion_rule(one), METRICS[one.metric], design, ALPHA).units_to_pass or 0 for one in best.criteria
    ]
    unit = "clusters" if kept.cluster is not None else "rows with different inputs"
    rows = f"{len(kept.rows)} row{'' if len(kept.rows) == 1 else 's'}"
    said = f"{rows} can be used, and {best.units} of them can be held out: too few to show anything"
    if best.split.seen_inputs:
        said += f" ({best.split.seen_inputs} others have an input that also stands in training)"
    if best.floor is not None and design.units and not _passable(best.criteria[-1], design):
        said = (
            f"{rows} can be used, and {best.units} of them can be held out: at most {best.most_shown:.2f}"
            f" can be shown by them, so a floor of {best.floor:g} is out of reach"
        )
    if not max(needs):
        return OperationFailed(said, help="lower `--floor`: no number of rows shows a perfect score", exit_code=_CODE)
    least = math.ceil(max(needs) / LARGEST_SHARE)
    lower = ", or lower `--floor`" if best.floor_reason == "you said so" and task else ""
    return OperationFailed(said, help=f"bring at least {least} {unit}{lower}", exit_code=_CODE)


_CODE = Exit.FINDINGS


def targets(rows: Sequence[Row], column: str) -> list[str]:
    """The distinct targets, sorted."""
    return sorted({str(row[column]) for row in rows})
