"""The table of questions in the architecture names findings that exist, and none of the questions is left out."""

from __future__ import annotations

import re
from pathlib import Path

from compiler.diagnostics.catalogue import all_declared
from policies.gates import checks as gate_checks

ARCHITECTURE = Path(__file__).parents[4] / "docs" / "architecture.md"
NO_CHECKS = {22, 35, 37}
QUESTIONS = 38


def rows() -> dict[int, list[str]]:
    text = ARCHITECTURE.read_text(encoding="utf-8").split("## What checks ask")[1]
    found = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    return {int(number): re.findall(r"`([^`]+)`", names) for number, names in found}


def test_every_question_has_a_finding() -> None:
    assert rows().keys() == set(range(1, QUESTIONS + 1)) - NO_CHECKS
    assert all(rows().values())


def test_every_finding_of_the_table_is_declared() -> None:
    declared = {str(one) for one in all_declared()}
    declared |= {str(one.name) for one in vars(gate_checks).values() if type(one).__name__ == "Declared"}
    assert {name for names in rows().values() for name in names} <= declared
