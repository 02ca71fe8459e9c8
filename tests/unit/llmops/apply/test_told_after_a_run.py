"""What is printed of a run that was refused, and of a plan whose results are no longer in the store."""

from __future__ import annotations

import shutil

from compiler.plan import Action, ArtifactStep
from llmops.apply.executor import RunOutcome
from llmops.cli.outcome_text import outcome_text
from llmops.errors import OperationFailed
from tests.harness.desk import Desk


def test_there_is_no_table_of_steps_where_none_ran(desk: Desk) -> None:
    with desk.site() as (site, _):
        refused = outcome_text(site, RunOutcome(failure=OperationFailed("the port is taken")), None)
    assert refused == ""


def test_an_emptied_store_is_not_said_to_be_somebodys_doing(desk: Desk) -> None:
    desk.apply()
    for folder in (desk.root / ".llmops/store").iterdir():
        shutil.rmtree(folder)
    made = [one for one in desk.plan().steps if isinstance(one.step, ArtifactStep)]
    assert {(one.action, one.reason) for one in made} == {(Action.RUN, "the store has no result for it")}
