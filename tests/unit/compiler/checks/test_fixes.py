"""A fix that a finding offers removes the finding, and brings no other error with it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from compiler.diagnostics.model import Diagnostic
from tests.harness.fixes import fixed
from tests.harness.literate import Case, read_cases
from tests.harness.project import compile_files

PAGES = Path(__file__).parents[4] / "compiler" / "diagnostics" / "pages"
BAD = {path.stem: cases["Bad"] for path in sorted(PAGES.glob("*.md")) if "Bad" in (cases := read_cases(path))}
LEAST = 38
"""Pages whose advice is carried out here; fewer means that this test has gone blind."""


def findings(files: dict[str, str]) -> tuple[Diagnostic, ...]:
    return compile_files({name: text.encode() for name, text in files.items()}).findings


def first_fix(name: str, case: Case) -> tuple[tuple[Diagnostic, ...], dict[str, str] | None]:
    plain = {file: re.sub(r" *# (error|warning): .*", "", text) for file, text in case.files.items()}
    before = findings(plain)
    tried = (fixed(plain, one) for one in before if str(one.name) == name)
    return before, next((one for one in tried if one is not None), None)


CONDITIONAL = {"foreign-document"}
"""Advice that depends on what the user meant."""
APPLICABLE = {
    name: fix for name, case in BAD.items() if name not in CONDITIONAL and (fix := first_fix(name, case))[1] is not None
}


@pytest.mark.parametrize("name", APPLICABLE)
def test_the_offered_fix_works(name: str) -> None:
    before, files = APPLICABLE[name]
    assert files is not None
    after = findings(files)
    more = Counter(str(one.name) for one in after) - Counter(str(one.name) for one in before)
    assert not more, [(str(one.name), one.message) for one in after]
    assert len(after) < len(before), after


def test_many_fixes_are_tried() -> None:
    assert len(APPLICABLE) >= LEAST, sorted(APPLICABLE)
