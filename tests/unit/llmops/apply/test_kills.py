"""An `apply` that is cut off before and after every step, and run again."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from llmops.apply.journal import Entry, Journal
from llmops.apply.site import Site
from llmops.errors import Exit
from llmops_spec.digests import Json
from tests.harness.desk import Desk

STEPS = 16
"""Of the quickstart's plan; each writes its intent and its result."""
LIVE_WRITES = 5
"""One of each step that acts; a roll-out writes twice, before the old pair is stopped and when it has ended."""


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


class ForgetfulJournal(Journal):
    """Ends the process at the n-th time that something is noted as live."""

    def __init__(self, journal: Journal, number: int, *, after: bool) -> None:
        self._db = journal._db
        self._left = number
        self._after = after

    def set_live(self, step: str, revision: str, body: Mapping[str, Json] | None = None) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        super().set_live(step, revision, body)
        if self._left == 0:
            raise Killed


@pytest.mark.parametrize("release", ["first", "second"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, LIVE_WRITES + 1))
def test_an_apply_that_is_killed_while_it_notes_what_is_live_is_resumed(
    desk: Desk, number: int, after: bool, release: str
) -> None:
    if release == "second":
        desk.apply()
        desk.ran()
        desk.edit("environments/local.yaml", "gatewayPort: 8080", "gatewayPort: 8090")  # every acting step runs again

    def mortal(site: Site) -> Site:
        return replace(site, journal=ForgetfulJournal(site.journal, number, after=after))

    with pytest.raises(Killed):
        desk.apply(mortal)
    before = desk.ran()
    with desk.site() as (site, _):  # what serves is still known, whichever release it is of
        assert ("support" in site.live_pairs()) == (release == "second" or (number, after) >= (2, True))
        assert all(pair.is_healthy() for pair in site.live_pairs().values())
    assert desk.apply().exit_code is Exit.CLEAN
    again = desk.ran()

    assert not [one for one in again if one.startswith(("train/", "check-data/", "evaluate/")) and one in before]
    lost = (number, after) == (2, False)  # the pair that started was never noted, so another one starts
    assert [*before, *again].count("roll-out/support") == (2 if lost else 1)
    assert desk.plan().changes == []
    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == []
