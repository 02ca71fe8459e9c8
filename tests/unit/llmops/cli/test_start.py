"""Commands start soon: what a project does not need is not loaded for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[4] / "examples" / "quickstart"
RUN = "import sys; from llmops.cli.main import run; code = run(sys.argv[1:]); print(*sys.modules); sys.exit(code)"


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_version_is_said_without_the_spec() -> None:
    assert not {"pydantic", "llmops_spec", "yaml"} & loaded("--version")


@pytest.mark.parametrize(
    "needless",
    [
        "compiler.sizing",  # no GPU, no engine with a version
        "policies.fixture_reader",  # for `policy test`
        "compiler.diagnostics.text",  # nothing to report
        "llmops.comparison",  # for `plan --against`
        "subprocess",
        "sqlite3",
        "numpy",
        "rich",
        "cryptography",
        "importlib.resources.readers",  # brings zip files
    ],
)
def test_a_sound_small_project_loads_nothing_that_it_does_not_use(needless: str, validated: set[str]) -> None:
    assert needless not in validated


@pytest.fixture(scope="module")
def validated() -> set[str]:
    modules = loaded("-C", str(QUICKSTART), "validate")
    assert {"compiler.pipeline", "policies.engine", "jinja2"} <= modules
    return modules


def test_a_command_that_has_written_all_ends_at_once() -> None:
    code = "import atexit; from llmops.cli.main import main; atexit.register(print, 'later'); main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("llmops, version ")
    assert "later" not in done.stdout
