"""The whole product as its user runs it: the command, child processes, loopback sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LLMOPS = Path(sys.executable).with_name("llmops")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project folder, a home of its own, and a port of its own."""

    root: Path
    home: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LLMOPS_", "XDG_"))}
        return {**kept, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config")}

    def command(self, *words: str) -> list[str | Path]:
        return [LLMOPS, "-C", self.root, *words]

    def run(self, *words: str, code: int = 0, timeout: float = 900) -> str:
        """Run `llmops -C project WORDS`, hold its exit code, and return what it printed on both streams."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell starts background jobs with SIGINT ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
        )

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        path = self.root / file
        text, count = re.subn(pattern, replacement, path.read_text())
        assert count, (file, pattern)
        path.write_text(text)

    def ask(self, service: str, variables: dict[str, str]) -> dict[str, object]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/services/{service}", data=json.dumps({"variables": variables}).encode()
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def question(self, service: str, variables: dict[str, str], answer: Path) -> list[str | Path]:
        """A command that asks a service and writes what it answers to a file."""
        code = (
            "import sys, urllib.request as r; "
            "open(sys.argv[3], 'wb').write(r.urlopen(r.Request(sys.argv[1], sys.argv[2].encode()), timeout=30).read())"
        )
        url = f"http://127.0.0.1:{self.port}/v1/services/{service}"
        return [sys.executable, "-I", "-c", code, url, json.dumps({"variables": variables}), answer]

    def wait_for_log(self, name: str, seconds: float = 120) -> None:
        """Wait until a step's child has begun, by its log."""
        deadline = time.monotonic() + seconds
        while not list((self.root / ".llmops/local/logs").glob(name)):
            assert time.monotonic() < deadline, f"no log {name}"
            time.sleep(0.2)

    def processes(self) -> list[str]:
        """Command lines of our children that belong to this project."""
        found: list[str] = []
        for folder in Path("/proc").iterdir():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if "llmops_runtime" in line and str(self.root) in line:
                found.append(line)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Project]]:
    """Make a project from a data file with `llmops init`, on a free port; whatever it started is stopped at the end."""
    made: list[Project] = []

    def make(data: Path) -> Project:
        folder = tmp_path_factory.mktemp("e2e")
        project = Project(root=folder / data.stem, home=folder / "home", port=free_port())
        subprocess.run([LLMOPS, "init", project.root, "--data", data], check=True, env=project.environment)
        project.edit("environments/local.yaml", r"gatewayPort: \d+", f"gatewayPort: {project.port}")
        made.append(project)
        return project

    yield make
    for project in made:
        project.run("destroy", "--env", "local")
        assert project.processes() == []
