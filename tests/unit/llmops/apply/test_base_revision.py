"""Gates of the base revision judge a change beside its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.plan import Decide, step_id
from llmops.apply.executor import RunOutcome
from llmops.errors import Exit, OperationFailed
from llmops.judging import choose_base, compile_judged
from llmops.workspace import open_workspace
from tests.harness.desk import Desk


def _git(root: Path, *words: str) -> str:
    said = subprocess.run(
        ["git", "-c", "user.name=us", "-c", "user.email=us@example.org", "-c", "commit.gpgsign=false", *words],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()


def _commit(root: Path) -> str:
    _git(root, "add", ".")
    _git(root, "commit", "-q", "--allow-empty", "-m", "a change")
    return _git(root, "rev-parse", "HEAD")


@pytest.fixture
def reviewed(desk: Desk) -> Desk:
    """The quickstart, with its first commit on the protected branch."""
    _git(desk.root, "init", "-q", "-b", "main")
    (desk.root / ".gitignore").write_text(".llmops/\n")
    _commit(desk.root)
    return desk


def _worse_model(desk: Desk) -> None:
    head, tuning = (desk.root / "training.yaml").read_text().split("name: support-tune")
    lines = ["    learningRate: 0.0" if "learningRate" in line else line for line in tuning.split("\n")]
    (desk.root / "training.yaml").write_text(head + "name: support-tune" + "\n".join(lines))


_OWN_BARS = """\
apiVersion: llmops.dev/v1alpha1
kind: Gate
metadata: {name: support-quality, owner: team-support}
spec:
  evaluation: support-eval
  criteria:
    - {metric: latency-seconds, quantile: 0.95, atMost: 5.0}
---
apiVersion: llmops.dev/v1alpha1
kind: Gate
metadata: {name: support-safety, owner: team-support}
spec:
  evaluation: support-eval
  criteria:
    - {metric: latency-seconds, quantile: 0.95, atMost: 5.0}
"""


def _lower_the_bar(desk: Desk) -> None:
    (desk.root / "gates.yaml").write_text(_OWN_BARS)


def _decisions(desk: Desk, against: str = "main") -> list[str]:
    with desk.site(against) as (_, compilation):
        lowered = compilation.environments["local"].lowered
        assert lowered is not None
        return [step_id(one) for one in lowered.steps if isinstance(one, Decide)]


def test_a_change_that_lowers_the_bar_for_a_worse_model_is_stopped_by_the_bar_that_was_reviewed(reviewed: Desk) -> None:
    _worse_model(reviewed)
    _lower_the_bar(reviewed)

    outcome = reviewed.apply(against="main")

    assert outcome.exit_code is Exit.GATE_FAILED
    assert {gate: verdict.verdict for gate, verdict in outcome.verdicts.items()} == {
        "support-quality": "pass",
        "support-safety": "pass",
        "support-quality@BASE": "fail",
        "support-safety@BASE": "fail",
    }
    assert outcome.failure is not None
    assert "`support-quality@BASE`" in outcome.failure.what
    assert "roll-out/support" not in reviewed.ran()


def test_the_same_change_passes_by_the_working_tree_alone(reviewed: Desk) -> None:
    """So it was the base that stopped it."""
    _worse_model(reviewed)
    _lower_the_bar(reviewed)
    assert reviewed.apply().exit_code is Exit.CLEAN


def test_where_the_change_leaves_gates_alone_the_base_adds_nothing(reviewed: Desk) -> None:
    _worse_model(reviewed)
    assert _decisions(reviewed) == ["decide/support-quality", "decide/support-safety"]
    assert reviewed.apply(against="main").exit_code is Exit.GATE_FAILED


def test_training_rows_may_grow_and_gates_stay_one_version(reviewed: Desk) -> None:
    path = next((reviewed.root / "data").glob("train*.jsonl"))
    path.write_text(
        path.read_text() + path.read_text().split("\n", maxsplit=1)[0].replace('item_id": "', 'item_id": "new-') + "\n"
    )
    assert _decisions(reviewed) == ["decide/support-quality", "decide/support-safety"]
