"""Every finding has a page, and what the page shows is what the compiler says."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from backends.kubernetes import checks as cluster_checks
from backends.local.backend import LocalBackend
from compiler.checks.question import GraphCheck
from compiler.diagnostics import catalogue
from compiler.diagnostics.catalogue import DECLARED, all_declared
from compiler.diagnostics.model import Declared, Diagnostic
from compiler.graph import ResourceGraph
from policies.gates import checks as gate_checks
from tests.harness.literate import Case, read_cases, run_case
from tests.harness.project import HEAD, compile_files

PAGES = Path(str(files("compiler.diagnostics"))) / "pages"
ELSEWHERE = [
    one for module in (cluster_checks, gate_checks) for one in vars(module).values() if isinstance(one, Declared)
]
EVERY: dict[str, Declared] = {one.name: one for one in (*DECLARED, *ELSEWHERE)}
NOT_SHOWN = {
    "base-cannot-run": "needs a base revision; the tests of the base version have it",
    "bidi-control": "the character would be invisible on the page too",
    "internal-check-failure": "needs a check that crashes",
    "no-base": "needs a folder without Git; the tests of the base version have it",
    "not-utf8": "a page is UTF-8",
    "pipeline-without-source": "needs a committed pipeline; the command's tests have it",
    "stale-pipeline": "needs the rendered pipeline; the command's tests have it",
    "unreadable-file": "needs a file that the system refuses",
    "yaml-too-deep": "nobody reads 65 levels",
    "yaml-too-large": "nobody reads a mebibyte",
    "yaml-too-many-nodes": "nobody reads 50,000 values",
}
"""Findings whose page has no examples; `test_findings_without_examples` makes them instead."""
SHOWN = sorted(EVERY.keys() - NOT_SHOWN.keys())
STATED = {"unsupported-field": LocalBackend().abilities()}
"""What the test back ends do not honour, for the page that is about that."""


def _cases(name: str) -> dict[str, Case]:
    return read_cases(PAGES / f"{name}.md")


def test_every_finding_has_a_page_and_every_page_a_finding() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == EVERY.keys()


def test_every_constant_of_the_catalogue_is_listed_once() -> None:
    constants = [one for one in vars(catalogue).values() if isinstance(one, Declared)]
    assert sorted(one.name for one in constants) == sorted(one.name for one in DECLARED)
    assert len(all_declared()) == len(DECLARED)
    assert len(EVERY) == len(DECLARED) + len(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_pages_begin_with_their_name_and_say_why(name: str) -> None:
    title, empty, why, *_ = (PAGES / f"{name}.md").read_text(encoding="utf-8").split("\n")
    assert (title, empty) == (f"# {name}", "")
    assert len(why) > 80


@pytest.mark.parametrize("name", SHOWN)
def test_bad_examples_give_their_finding_and_nothing_else(name: str) -> None:
    case = _cases(name)["Bad"]
    assert {one.name for one in case.expected} == {name}
    run_case(case, stated=STATED.get(name))


@pytest.mark.parametrize("name", SHOWN)
def test_good_examples_give_none(name: str) -> None:
    case = _cases(name)["Good"]
    assert not case.expected
    run_case(case, stated=STATED.get(name))


def _crash(graph: ResourceGraph) -> tuple[Diagnostic, ...]:
    raise ZeroDivisionError(graph.project.metadata.name)


LONG = {
    "bidi-control": f"{HEAD}kind: Prompt # \u202eleft\n".encode(),
    "not-utf8": f"{HEAD}kind: Prompt # caf\xe9\n".encode("latin-1"),
    "unreadable-file": PermissionError(13, "Permission denied"),
    "yaml-too-deep": (HEAD + "kind: " + "[" * 65 + "]" * 65 + "\n").encode(),
    "yaml-too-large": b"# " + b"x" * (1 << 20),
    "yaml-too-many-nodes": (HEAD + "kind: [" + "1," * 50_000 + "]\n").encode(),
}


@pytest.mark.parametrize("name", sorted(LONG))
def test_findings_without_examples(name: str) -> None:
    found = compile_files({"spec.yaml": LONG[name]}).findings
    assert name in {one.name for one in found if one.span.file == "spec.yaml"}


def test_a_check_that_crashes_is_a_finding_and_hides_no_other() -> None:
    empty = {"spec.yaml": b""}
    found = compile_files(empty, checks=[GraphCheck(name="crashing", ask=_crash)]).findings
    assert {one.name for one in found} == {"internal-check-failure", "empty-file"}
    elsewhere = {"stale-pipeline", "pipeline-without-source", "base-cannot-run", "no-base"}
    assert LONG.keys() | {"internal-check-failure"} | elsewhere == NOT_SHOWN.keys()
