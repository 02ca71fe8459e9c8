"""Secret values, read where a spec's references point on this machine.

Called right before a process that needs one is started, and once before the first step, so that a missing secret is
noticed before hours of work. No error here holds a value.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from llmops.errors import OperationFailed
from llmops_spec.secret import Secret, SecretValue

_LARGEST_BYTES: Final = 65_536


def read_secret(secret: Secret, root: Path, *, purpose: str) -> SecretValue:
    """The value of a secret that `env` or `file` names; relative files are below `root`, the project's folder.

    Raises:
        OperationFailed: it is not there, is empty, or is more than one line; the message says `purpose`, such as
            "the tracking server's token".
    """
    if secret.env is not None:
        place, text = f"the variable `{secret.env}`", _variable(secret.env, purpose)
    elif secret.file is None:
        raise OperationFailed(
            f"{purpose} is in a Secret object of a cluster, which this machine does not read",
            help="name `env: NAME` or `file: PATH` for what runs here",
        )
    else:
        place, text = f"the file `{secret.file}`", _file(secret.file, root, purpose)
    value = text.strip()
    if not value:
        raise OperationFailed(f"{purpose} is empty in {place}", help="put the secret's one line there")
    if not (value.isascii() and value.isprintable()):
        raise OperationFailed(
            f"{purpose} in {place} is more than one line of printable ASCII, as no header can carry it",
            help="put the secret alone there, with nothing before or after it",
        )
    return SecretValue(value)


def _variable(name: str, purpose: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise OperationFailed(
            f"{purpose} should be in the variable `{name}`, which is not set",
            help=f"set `{name}` where you run llmops, or name another place in the environment's spec",
        )
    return found


def _file(name: str, root: Path, purpose: str) -> str:
    try:
        path = root / Path(name).expanduser()
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(name, purpose, "it is not a file")
        if found.st_size > _LARGEST_BYTES:
            raise _unreadable(name, purpose, f"it is larger than {_LARGEST_BYTES} bytes")
        return path.read_bytes().decode(errors="replace")
    except (OSError, RuntimeError) as error:  # RuntimeError: `~` of a user that is not there
        raise _unreadable(name, purpose, getattr(error, "strerror", None) or str(error)) from error


def _unreadable(name: str, purpose: str, why: str) -> OperationFailed:
    return OperationFailed(
        f"{purpose} should be in the file `{name}`, which cannot be read: {why}",
        help="write the secret there, or name another place in the environment's spec",
    )
