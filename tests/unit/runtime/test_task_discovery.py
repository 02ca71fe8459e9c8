"""Every task has its payload and its function, and the runner loads nothing heavy to find them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmops_runtime.discovery import TASKS
from llmops_runtime.environment import QUIET


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_has_its_payload(task: str) -> None:
    assert TASKS[task].payload_type().model_fields["task"].default == task


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_has_its_function(task: str) -> None:
    assert callable(TASKS[task].load())


def test_the_runner_itself_is_light() -> None:
    code = (
        "import sys, llmops_runtime.task\n"
        "heavy = ('torch', 'transformers', 'sklearn', 'numpy', 'aiohttp', 'mlflow', 'compiler', 'llmops')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_libraries_are_kept_quiet_by_environment_and_by_file(tmp_path: Path) -> None:
    code = (
        "import json, os\nfrom pathlib import Path\n"
        "from llmops_runtime.environment import private_home, quiet_libraries\n"
        f"private_home(Path({str(tmp_path / 'home')!r}))\nquiet_libraries()\nprint(json.dumps(dict(os.environ)))"
    )
    environment = {"HOME": "/nonexistent", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    found = json.loads(done.stdout)
    assert {name: found[name] for name in QUIET} == dict(QUIET)
    assert found["HOME"] == str(tmp_path / "home")
    assert "enable_metrics=false" in (tmp_path / "home" / ".guardrailsrc").read_text()


def test_settings_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / ".guardrailsrc").write_text("id=mine")
    code = "from llmops_runtime.environment import quiet_libraries\nquiet_libraries()"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, env={"HOME": str(tmp_path)})
    assert (tmp_path / ".guardrailsrc").read_text() == "id=mine"
