"""Run commands where the network ends at loopback, and tell whom they and their descendants tried to reach.

A network namespace of its own proves that nothing outside is needed; `strace` over every descendant counts who asked
all the same. Linux only, where the kernel lets this user do so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_LOOPBACK_UP = (
    "import fcntl, os, socket, struct, sys\n"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))\n"  # SIOCSIFFLAGS: up and running
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A way to run commands without a network."""

    prefix: tuple[str, ...]

    def run(
        self, commands: Sequence[Sequence[str | Path]], trace: Path, environment: Mapping[str, str], timeout: float
    ) -> tuple[int, str]:
        """Run the commands one after the other in one network, until one fails. Returns the exit code and all output.

        Servers that they leave behind go on, in that network, and go on being traced.
        """
        script = " && ".join(f'"${{@:{first}:{count}}}"' for first, count in _places(commands))
        words = [str(word) for command in commands for word in command]
        said = trace.with_suffix(".said")
        with said.open("wb") as stream:  # a pipe would stay open for as long as the servers live
            done = subprocess.run(
                [
                    *self.prefix,
                    *(sys.executable, "-I", "-c", _LOOPBACK_UP, _tool("strace")),
                    *("-f", "-DDD", "--seccomp-bpf", "-qq", "-e", "signal=none", "-e", _CALLS, "-o", str(trace)),
                    *(_tool("bash"), "-c", script, "bash", *words),
                ],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        return done.returncode, said.read_text()


def _places(commands: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    for command in commands:
        places.append((places[-1][0] + places[-1][1] if places else 1, len(command)))
    return places


def _tool(name: str) -> str:
    return shutil.which(name) or name


def way_alone(folder: Path) -> Alone | str:
    """A way that works here, tried out; else the reason why there is none."""
    missing = [name for name in ("unshare", "strace", "bash") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    for prefix in (("unshare", "-n"), ("unshare", "-rn")):
        found = Alone(prefix=prefix)
        code, said = found.run([["true"]], folder / "probe", {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, 30)
        if code == 0:
            return found
    return f"this user may not make a network namespace, or trace in one: {said.strip()}"


def addresses(trace: Path) -> list[str]:
    """Every internet address that was tried."""
    return [four or six for four, six in _ADDRESS.findall(trace.read_text(errors="replace"))]


def outside(tried: Sequence[str]) -> list[str]:
    return [one for one in tried if not (one.startswith("127.") or one in ("::1", "0.0.0.0", "::"))]
