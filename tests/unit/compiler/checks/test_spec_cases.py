"""The literate cases of `tests/spec`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.literate import Case, read_cases, run_case

SPEC = Path(__file__).parents[3] / "spec"
CASES = {
    f"{path.stem}: {title}": case for path in sorted(SPEC.glob("*.md")) for title, case in read_cases(path).items()
}


@pytest.mark.parametrize("title", CASES)
def test_case(title: str) -> None:
    run_case(CASES[title])


def test_a_case_that_expects_what_is_not_found_fails() -> None:
    wrong = next(case for case in CASES.values() if case.expected)
    with pytest.raises(AssertionError, match="missing"):
        run_case(Case(title="", files={"spec.yaml": ""}, expected=wrong.expected))
    with pytest.raises(AssertionError, match="unexpected"):
        run_case(Case(title="", files=wrong.files, expected=()))
