"""An `apply` that is cut off before and after every step, and run again."""

from dataclasses import replace

import pytest

from llmops.apply.journal import Entry, Journal
from llmops.apply.site import Site
from llmops.errors import Exit
from tests.harness.desk import Desk

STEPS = 16
"""Of the quickstart's plan; each writes its intent and its result."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class MortalJournal(Journal):
    """Ends the process, so to speak, at the n-th write: before it, or right after it."""

    def __init__(self, journal: Journal, number: int, *, after: bool) -> None:
        self._db = journal._db
        self._left = number
        self._after = after

    def write(self, entry: Entry) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        super().write(entry)
        if self._left == 0:
            raise Killed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 2 * STEPS + 1))
def test_a_killed_apply_is_resumed_and_then_there_is_nothing_to_do(desk: Desk, number: int, after: bool) -> None:
    def mortal(site: Site) -> Site:
        return replace(site, journal=MortalJournal(site.journal, number, after=after))

    with pytest.raises(Killed):
        desk.apply(mortal)
    assert desk.apply().exit_code is Exit.CLEAN
    done = desk.ran()

    assert desk.plan().changes == []
    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == []
    # A step whose result is in the store is never made twice, whenever the run was cut off.
    made = [one for one in done if one.startswith(("train/", "check-data/", "evaluate/"))]
    assert len(made) == len(set(made))
