"""`llmops evidence verify` when the spec has moved on: it names what is live, and verifies that too."""

import shutil

import pytest

from compiler.plan import Decide, Train
from llmops.cli.main import run
from llmops.errors import Exit
from tests.harness.desk import Desk


def _verify(desk: Desk) -> int:
    return run(["-C", str(desk.root), "evidence", "verify", "--env", "local"])


def test_what_is_live_is_what_the_spec_says(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.apply()
    assert _verify(desk) == Exit.CLEAN
    assert "live: service `support` is what this spec says" in capsys.readouterr().out


def test_a_moved_spec_names_what_is_live_and_verifies_what_let_it_pass(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.apply()
    decided = next(one.step.key for one in desk.plan().steps if isinstance(one.step, Decide))
    desk.edit("training.yaml", "learningRate: 0.00", "learningRate: 0.01")

    assert _verify(desk) == Exit.CLEAN
    said = capsys.readouterr().out
    assert "decide/support-quality: not decided yet" in said
    assert "live: service `support` is of an earlier spec: model `support-lora`" in said
    assert "decide/support-quality: verified: pass" in said.partition("live:")[2]

    shutil.rmtree(desk.root / ".llmops" / "store" / decided)
    assert _verify(desk) == Exit.TAMPERED


def test_a_model_of_what_is_live_that_was_swapped_is_found_after_the_spec_moved(desk: Desk) -> None:
    desk.apply()
    key = next(one.step.key for one in desk.plan().steps if isinstance(one.step, Train) and "tune" in one.step.name)
    desk.edit("training.yaml", "learningRate: 0.00", "learningRate: 0.01")
    stored = next((desk.root / ".llmops" / "store" / key / "objects").iterdir())
    stored.chmod(0o644)
    stored.write_bytes(b"another")
    assert _verify(desk) == Exit.TAMPERED
