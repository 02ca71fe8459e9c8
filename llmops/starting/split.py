"""Hold out a part of the rows, whole groups at a time, the same part every time.

Called by `start`. Promises: no group and no input stands on both sides; every label stands in training, and held
out too where the groups allow it; the order of the rows decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from llmops.starting.columns import Task
from llmops.starting.kept import Kept, input_key
from llmops.starting.rows import Row

SHARE = 0.25
"""Of the groups, held out where that is enough."""
LARGEST_SHARE = 0.5
WANTED_GROUPS = 50
"""From here on bounds are narrow enough to be useful; up to two fifths of the groups are held out to come there."""
_SHARE_FOR_WANTED = 0.4
_Groups = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, kw_only=True)
class Split:
    train: list[Row]
    heldout: list[Row]
    seen_inputs: int
    """Rows left out of the held-out part because their input also stands in training."""

    def clusters(self, column: str) -> tuple[int, int]:
        """Distinct values in training and held out."""
        return len({row[column] for row in self.train}), len({row[column] for row in self.heldout})


def first_share(kept: Kept) -> float:
    """The share of groups to hold out, before it is known what a gate needs."""
    wanted = WANTED_GROUPS / max(len(groups_of(kept)), 1)
    return max(SHARE, min(wanted, _SHARE_FOR_WANTED))


def split(kept: Kept, task: Task, share: float) -> Split:
    """Split by cluster, or by input where there are no clusters."""
    groups = groups_of(kept)
    targets = {name: sorted({str(row[kept.target]) for row in rows}) for name, rows in groups.items()}
    held = _held_out(targets, task, share)
    train = [row for name in groups if name not in held for row in groups[name]]
    heldout = [row for name in groups if name in held for row in groups[name]]
    seen = {input_key(str(row[kept.input])) for row in train}
    unseen = [row for row in heldout if input_key(str(row[kept.input])) not in seen]
    return Split(train=train, heldout=unseen, seen_inputs=len(heldout) - len(unseen))


def groups_of(kept: Kept) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in kept.rows:
        name = str(row[kept.cluster]) if kept.cluster is not None else input_key(str(row[kept.input]))
        groups.setdefault(name, []).append(row)
    return groups


def _held_out(targets: Mapping[str, Sequence[str]], task: Task, share: float) -> set[str]:
    """Names of the groups to hold out: of every target its share."""
    held: set[str] = set()
    for names in _strata(targets, task):
        count = min(len(names) - 1, max(1, round(share * len(names))))
        held.update(_shuffled(names)[:count])
    if task == "label":
        _balance(targets, held)
    return held


def _strata(targets: Mapping[str, Sequence[str]], task: Task) -> list[list[str]]:
    """Groups by the rarest of their targets. A label of one group stays in training; other single groups are pooled."""
    homes: dict[str, int] = {}
    for one in targets.values():
        for target in one:
            homes[target] = homes.get(target, 0) + 1
    strata: dict[str, list[str]] = {}
    for name, one in targets.items():
        strata.setdefault(min(one, key=lambda target: (homes[target], target)), []).append(name)
    whole = [names for _, names in sorted(strata.items()) if len(names) > 1]
    single = [name for _, names in sorted(strata.items()) if len(names) == 1 for name in names]
    return [*whole, single] if task == "answer" and len(single) > 1 else whole


def _balance(targets: Mapping[str, Sequence[str]], held: set[str]) -> None:
    """Move groups so that every target can be learned, and as many as possible are measured."""
    homes = {target: [name for name in _shuffled(targets) if target in targets[name]] for target in _all(targets)}
    for found in homes.values():
        if held.issuperset(found):
            held.discard(found[0])
    for found in homes.values():
        if held.isdisjoint(found):
            held.update([name for name in found if _is_spare(name, targets, homes, held)][:1])


def _is_spare(name: str, targets: Mapping[str, Sequence[str]], homes: Mapping[str, list[str]], held: set[str]) -> bool:
    """Whether training keeps all of a group's targets without it."""
    return all(any(home != name and home not in held for home in homes[target]) for target in targets[name])


def _all(targets: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({target for one in targets.values() for target in one})


def _shuffled(names: Iterable[str]) -> list[str]:
    """In the order of their digests: no order that a file came in, and the same on every machine."""
    return sorted(names, key=lambda name: sha256(name.encode()).hexdigest())
