"""`llmops gc`: what it may remove, and what it never does."""

import re
import shutil

import pytest

from compiler.plan import Train
from llmops.cli.main import run
from tests.harness.desk import Desk


def _keys(desk: Desk) -> set[str]:
    return {path.name for path in (desk.root / ".llmops/store").iterdir() if not path.name.startswith(".")}


def _tuned(desk: Desk) -> str:
    return next(one.step.key for one in desk.plan().steps if isinstance(one.step, Train) and "tune" in one.step.name)


def _rate(desk: Desk, rate: str) -> None:
    head, tuning = (desk.root / "training.yaml").read_text().split("name: support-tune")
    lines = [f"    learningRate: {rate}" if "learningRate" in line else line for line in tuning.split("\n")]
    (desk.root / "training.yaml").write_text(head + "name: support-tune" + "\n".join(lines))


def test_what_is_deployed_stays_however_many_plans_were_blocked_since(desk: Desk) -> None:
    desk.apply()
    served = _tuned(desk)
    _rate(desk, "0.0")
    for _ in range(3):
        desk.apply()

    assert run(["-C", str(desk.root), "gc", "--env", "local", "--delete", "--keep-plans", "1"]) == 0
    assert served in _keys(desk)


def test_what_no_plan_needs_goes_and_the_next_apply_is_content(desk: Desk) -> None:
    desk.apply()
    old = _tuned(desk)
    _rate(desk, "0.004")
    desk.apply()
    desk.ran()

    assert run(["-C", str(desk.root), "gc", "--env", "local", "--keep-plans", "1"]) == 0
    assert old in _keys(desk)
    assert run(["-C", str(desk.root), "gc", "--env", "local", "--delete", "--keep-plans", "1"]) == 0
    assert old not in _keys(desk)
    assert desk.apply().exit_code == 0
    assert desk.ran() == []


def test_files_of_others_in_the_stores_folder_stay(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.apply()
    folder = desk.root / ".llmops/store/mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    shutil.copytree(folder, desk.root / ".llmops/store" / ("a" * 64))

    assert run(["-C", str(desk.root), "gc", "--env", "local", "--delete"]) == 0
    assert (folder / "thesis.txt").exists()
    assert (desk.root / ".llmops/store" / ("a" * 64) / "thesis.txt").exists()
    assert "thesis" not in capsys.readouterr().out


def test_each_result_is_listed_with_its_step_and_when_it_was_made(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.apply()
    old = _tuned(desk)
    _rate(desk, "0.004")
    desk.apply()
    capsys.readouterr()

    assert run(["-C", str(desk.root), "gc", "--env", "local", "--keep-plans", "1"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(old[:12])]
    assert re.search(r"  train/support-tune, \d{4}-\d\d-\d\d \d\d:\d\d  \(", line), line
