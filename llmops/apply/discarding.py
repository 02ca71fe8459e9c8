"""Give stored results up, with a tombstone in the journal: the only way in which one may go."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.plan import ArtifactStep, Step, step_id
from llmops.apply.journal import Entry
from llmops.apply.site import Site


def downstream(step: Step, steps: Sequence[Step]) -> list[ArtifactStep]:
    """A step and every artifact step made from it, in plan order: made again, its bytes may be others."""
    found = {step_id(step)}
    chosen: list[ArtifactStep] = []
    for one in steps:
        if isinstance(one, ArtifactStep) and (step_id(one) in found or found & set(one.needs)):
            found.add(step_id(one))
            chosen.append(one)
    return chosen


def discard(site: Site, name: str, key: str) -> None:
    """Remove the result stored under `key`. `name` says in the journal who gave it up: a step, or `gc`.

    The tombstone goes first: a result that is gone without one counts as tampering. The manifest goes before the
    objects: without it the key is absent, however far the removal gets.
    """
    site.journal.write(Entry(plan="", step=name, event="discarded", identity=key, result=""))
    for object_name in sorted(site.store.names(f"{key}/"), key=lambda one: not one.endswith("/manifest.json")):
        site.store.delete(object_name)
