"""The wheel: it carries what the command reads and nothing that is not the product, and works without this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"llmops_spec", "compiler", "backends", "policies", "llmops_runtime", "llmops"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def _in_folder(package: str, pattern: str) -> set[str]:
    found = (path for path in (ROOT / package).rglob(pattern) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_it_carries_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == PACKAGES
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode == 0:
        assert set(tracked.stdout.split()) - names == set()
    for package, pattern in (
        ("compiler/diagnostics/pages", "*.md"),
        ("policies/packs", "*.yaml"),
        ("llmops", "constraints.txt"),
        ("llmops", "*.jinja"),
        ("llmops", "*.jsonl"),
        ("llmops", "*.css"),
        *((package, "*.py") for package in PACKAGES),
    ):
        assert _in_folder(package, pattern) <= names, (package, pattern)
    assert len([name for name in names if "/pages/" in name]) > 50
    assert {"llmops/constraints.txt"} < names


def test_it_works_from_an_empty_folder_with_nothing_of_this_one(wheel: Path, tmp_path: Path) -> None:
    """Installed by hand: unpacked beside the libraries, since these are not downloaded again for a test."""
    site, home, empty = tmp_path / "site", tmp_path / "home", tmp_path / "empty"
    for folder in (home, empty):
        folder.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    shutil.copytree(
        ROOT / "examples" / "quickstart", tmp_path / "project", ignore=shutil.ignore_patterns(".llmops", "build")
    )
    libraries = sysconfig.get_path("purelib")
    code = (
        f"import sys; sys.path[:0] = [{str(site)!r}, {libraries!r}]\n"
        "from llmops.cli.main import run\n"
        "import llmops_spec\n"
        "code = run(sys.argv[1:])\n"
        "print('from', [m.__file__ for n, m in sys.modules.items()"
        f" if n in {PACKAGES!r} and getattr(m, '__file__', None)], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        # -S: the folder that this project is installed from is named by a file of the site folder.
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, *words],
            cwd=empty,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    version = run("--version")
    validated = run("-C", str(tmp_path / "project"), "validate")
    explained = run("explain", "unknown-key")
    compiled = run("-C", str(tmp_path / "project"), "compile", "--env", "staging")

    for done in (version, validated, explained, compiled):
        assert done.returncode == 0, done.stderr
        assert str(ROOT) not in done.stderr, done.stderr
    assert version.stdout.startswith("llmops, version ")
    assert "files are sound" in validated.stdout
    assert list(empty.iterdir()) == []
