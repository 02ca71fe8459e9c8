"""Files of a Git revision, read from its objects: nothing is checked out and no hook or filter runs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compiler.ports import FileFact, Reader
from llmops.errors import OperationFailed

_NOT_SPEC_FOLDERS = ("build", "node_modules", "__pycache__", "venv")
REMOTE_DEFAULT = "refs/remotes/origin/HEAD"
"""The remote's default branch, as a clone notes it."""
_NO_REVISION = "fetch it, or name another with --against"


class RevisionFiles:
    """Implements `compiler.ports.Reader` over one revision of the repository that holds `root`.

    Raises:
        OperationFailed: on creation, where there is no Git, no repository, or no such revision.
    """

    def __init__(self, root: Path, revision: str) -> None:
        self._root = root
        found = resolved(root, revision)
        if found is None:
            said = "its git repository does not have it" if has_commit(root) else "it has no git history"
            raise OperationFailed(f"there is no revision `{revision}` of {root}: {said}", help=_NO_REVISION)
        self.commit = found
        self._facts: dict[str, FileFact] = {}

    @cached_property
    def _blobs(self) -> dict[str, str]:
        """Object id of each regular file below the root, by its path relative to the root."""
        found: dict[str, str] = {}
        for entry in _read(self._root, "ls-tree", "-r", "-z", self.commit, "--", ".").split(b"\0"):
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
        return _read(self._root, "cat-file", "blob", self._blobs[path])

    def fact(self, path: str) -> FileFact | None:
        if path not in self._blobs:
            return None
        if path not in self._facts:
            data = self.read(path)
            self._facts[path] = FileFact(path=path, digest=hashlib.sha256(data).hexdigest(), bytes=len(data))
        return self._facts[path]


@dataclass(frozen=True, kw_only=True)
class FilesWithRevision:
    """Implements `compiler.ports.Reader`: the working tree, and as `<commit>:<path>` the files of one revision.

    That is how Git itself writes such a name, so a fetch step can carry it and a reader of the plan knows it.
    """

    now: Reader
    revision: RevisionFiles

    def list_files(self) -> Sequence[str]:
        return self.now.list_files()

    def read(self, path: str) -> bytes:
        reader, inner = self._of(path)
        return reader.read(inner)

    def fact(self, path: str) -> FileFact | None:
        reader, inner = self._of(path)
        return reader.fact(inner)

    def _of(self, path: str) -> tuple[Reader, str]:
        prefix = f"{self.revision.commit}:"
        return (self.revision, path.removeprefix(prefix)) if path.startswith(prefix) else (self.now, path)


def resolved(root: Path, revision: str) -> str | None:
    """Commit that a revision names, in full; None where the repository has none such, or there is no repository.

    Raises:
        OperationFailed: `git` is not installed.
    """
    if revision.startswith("-"):
        return None
    said = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return said.stdout.decode().strip() if said.returncode == 0 else None


def has_commit(root: Path) -> bool:
    """Whether the folder lies in a repository with a commit, and Git is there to read it."""
    try:
        return resolved(root, "HEAD") is not None
    except OperationFailed:
        return False


def merge_base(root: Path, branch: str) -> str:
    """The commit that HEAD and a branch last had in common; on the branch itself, HEAD.

    The branch as the remote has it counts where it was fetched: a local one may hold what nobody has reviewed.

    Raises:
        OperationFailed: there is no such branch here, or nothing in common with it.
    """
    for name in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        if (tip := resolved(root, name)) is not None:
            said = _git(root, "merge-base", "HEAD", tip)
            if said.returncode == 0:
                return said.stdout.decode().split()[0]
            raise OperationFailed(f"HEAD has no commit in common with `{branch}`", help="fetch the whole history")
    raise OperationFailed(
        f"the protected branch `{branch}` is not in this repository, so nothing says what was reviewed",
        help="fetch it, or name the reviewed revision with --against",
    )


def _is_hidden(path: str) -> bool:
    parts = path.split("/")
    return any(part.startswith(".") for part in parts) or any(part in _NOT_SPEC_FOLDERS for part in parts[:-1])


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)  # noqa: S607  # the user's
    except FileNotFoundError as error:
        raise OperationFailed("comparing with a revision needs `git`, which is not installed") from error


def _read(root: Path, *words: str) -> bytes:
    done = _git(root, *words)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise OperationFailed(f"git cannot read that revision: {said}", help=_NO_REVISION)
    return done.stdout
