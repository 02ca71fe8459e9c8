"""The trust file and the signing key, both outside of any repository.

`LLMOPS_TRUST` names the trust file; without it, it lies in the user's configuration folder, with keys beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops.io.files import write_atomically
from llmops_spec.formats import ADVICE, NewerFormat
from policies.evidence.envelope import KeyPair, load_key, new_key
from policies.evidence.trust import Trust, TrustInvalid, parse_trust

TRUST_VARIABLE = "LLMOPS_TRUST"


def configuration_folder() -> Path:
    """`$XDG_CONFIG_HOME/llmops`, or the platform's own place for it."""
    if named := os.environ.get("XDG_CONFIG_HOME"):
        return Path(named) / "llmops"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "llmops"
    return Path.home() / ".config" / "llmops"


def trust_path() -> Path:
    named = os.environ.get(TRUST_VARIABLE)
    return Path(named) if named else configuration_folder() / "trust.json"


def load_trust() -> Trust:
    """The trust file.

    Raises:
        OperationFailed: there is none, or it says nothing that could be relied on.
    """
    path = trust_path()
    try:
        return parse_trust(path.read_bytes())
    except OSError as error:
        raise OperationFailed(
            f"there is no trust file at {path}",
            help=f"`llmops keys init` makes one, or name yours in {TRUST_VARIABLE}",
        ) from error
    except NewerFormat as error:
        raise OperationFailed(f"{error} ({path})", help=ADVICE) from error
    except TrustInvalid as error:
        raise OperationFailed(
            f"{error} ({path})", help="mend it by hand: it is yours and says whom you trust"
        ) from error


def make_keys() -> Path:
    """Make a signing key and the trust file that lists it. Returns the trust file's path.

    Raises:
        OperationFailed: there is a trust file already; it is never written over.
    """
    path = trust_path()
    if path.exists():
        raise OperationFailed(
            f"there is a trust file already: {path}", help="add keys to it by hand; it is never written over"
        )
    key = new_key(os.urandom(32))
    try:
        write_atomically(_key_path(key.keyid), key.private_pem, mode=0o600)
        write_atomically(path, Trust().with_key(key).to_bytes())
    except OSError as error:
        raise OperationFailed(f"the key cannot be written: {error.strerror or error} ({path.parent})") from error
    return path


def signing_key(trust: Trust) -> KeyPair:
    """The first trusted key whose private half this user has.

    Raises:
        OperationFailed: there is none, so decisions cannot be signed here.
    """
    for one in trust.keys:
        path = _key_path(one.keyid)
        if one.role == "decide" and path.is_file():
            try:
                return load_key(path.read_bytes())
            except (OSError, ValueError) as error:
                raise OperationFailed(f"the signing key {path} cannot be used: {error}") from error
    raise OperationFailed(
        "no key of the trust file can sign here",
        help=f"put the private half of one of its keys into {_key_path('<keyid>')}, or verify only",
    )


def ensure_keys(site: Site, tell: Callable[[str], None]) -> None:
    """On a first `apply` to a desk: make the key and the trust file, and say so.

    Raises:
        OperationFailed: something was applied here before, so a missing trust file is no beginning.
    """
    path = trust_path()
    if path.exists():
        return
    if not site.journal.is_empty:
        raise OperationFailed(
            f"there is no trust file at {path}, and this environment has a history that was signed",
            help=f"restore it, or name it in {TRUST_VARIABLE}; `llmops keys init` starts anew and trusts nothing old",
            exit_code=Exit.MISUSE,
        )
    made = make_keys()
    tell(f"made a signing key and the trust file {made}: evidence signed by others does not count here")


def _key_path(keyid: str) -> Path:
    return configuration_folder() / "keys" / f"{keyid}.pem"
