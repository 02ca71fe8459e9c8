"""Files of a Git revision, read from its objects: nothing is checked out and no hook or filter runs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from compiler.ports import FileFact
from llmops.errors import OperationFailed

_NOT_SPEC_FOLDERS = ("build", "node_modules", "__pycache__", "venv")


class RevisionFiles:
    """Implements `compiler.ports.Reader` over one revision of the repository that holds `root`.

    Raises:
        OperationFailed: on creation, where there is no Git, no repository, or no such revision.
    """

    def __init__(self, root: Path, revision: str) -> None:
        self._root = root
        self.commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()

    @cached_property
    def _blobs(self) -> dict[str, str]:
        """Object id of each regular file below the root, by its path relative to the root."""
        found: dict[str, str] = {}
        for entry in _git(self._root, "ls-tree", "-r", "-z", self.commit, "--", ".").split(b"\0"):
            head, _, name = entry.partition(b"\t")
            mode = head.split(b" ")[0]
            if mode in (b"100644", b"100755"):
                found[name.decode("utf-8", "surrogateescape")] = head.split(b" ")[2].decode()
        return found

    def list_files(self) -> Sequence[str]:
        return tuple(sorted(path for path in self._blobs if not _is_hidden(path)))

    def read(self, path: str) -> bytes:
        if path not in self._blobs:
            raise FileNotFoundError(f"`{path}` is not in revision {self.commit[:12]}")
        return _git(self._root, "cat-file", "blob", self._blobs[path])

    def fact(self, path: str) -> FileFact | None:
        if path not in self._blobs:
            return None
        data = self.read(path)
        return FileFact(path=path, digest=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _is_hidden(path: str) -> bool:
    parts = path.split("/")
    return any(part.startswith(".") for part in parts) or any(part in _NOT_SPEC_FOLDERS for part in parts[:-1])


def _git(root: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)  # noqa: S607  # the user's
    except FileNotFoundError as error:
        raise OperationFailed("comparing with a revision needs `git`, which is not installed") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise OperationFailed(f"git cannot read that revision: {said}", help="fetch it, or name another with --against")
    return done.stdout
