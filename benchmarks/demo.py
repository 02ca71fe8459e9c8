"""`make demo` from outside: wall time of the first and the second run, and the peak of the command's own process.

The quickstart is copied, and runs under a home and on a port of its own; it trains, so let the machine be idle.
Children (trainings, servers) are not in the peak: the budget is of the command that supervises them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import LLMOPS, QUICKSTART

FIRST_SECONDS, SECOND_SECONDS = 150.0, 5.0
"""Budgets on two idle cores, after installation."""
OWN_PEAK_MIB = 200.0
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, kw_only=True)
class Run:
    seconds: float
    own_peak_mib: float
    """High-water mark of the process's resident memory; Linux tells it while the process lives."""


def measured(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command to its end, and look at its own memory on the way.

    Raises:
        SystemExit: it failed; with what it printed.
    """
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _peak_mib(process.pid))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        seconds = time.perf_counter() - began
        if process.returncode != 0:
            said.seek(0)
            sys.exit(said.read().decode(errors="replace"))
    return Run(seconds=seconds, own_peak_mib=peak)


def _peak_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(found.split()[1]) / 1024 if found else 0.0  # a process that has ended has none


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "quickstart"
        shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".llmops", "build"))
        _take_port(root / "environments" / "local.yaml")
        environment = {**os.environ, "HOME": name, "XDG_CONFIG_HOME": str(folder / "config")}
        command = [*LLMOPS, "-C", str(root)]
        apply = [*command, "apply", "--env", "local"]
        try:
            _line("demo, first run", measured(apply, environment), FIRST_SECONDS)
            _line("demo, second run", measured(apply, environment), SECOND_SECONDS)
        finally:
            subprocess.run([*command, "destroy", "--env", "local", "--yes"], env=environment, check=True)


def _take_port(spec: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = spec.read_text()
    assert "gatewayPort: 8080" in text
    spec.write_text(text.replace("gatewayPort: 8080", f"gatewayPort: {port}"))


def _line(what: str, run: Run, seconds: float) -> None:
    print(
        f"{what:32} {run.seconds:8.1f} s   (budget {seconds:g} s)"
        f"   own peak {run.own_peak_mib:4.0f} MiB (budget {OWN_PEAK_MIB:g} MiB)"
    )


if __name__ == "__main__":
    main()
