"""A store in a folder: the default, and what a shared volume offers to pods.

Promises: an object appears whole or not at all, is never overwritten, and survives a power cut once `put_if_absent`
has returned; of several writers of one name exactly one is told True. Nothing outside the folder is touched.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from llmops_spec.files import sync_folder

_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_TEMPORARY: Final = ".tmp"
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


class FileStore:
    """Implements `llmops_spec.store.Store` below `root`, which is made when something is put."""

    def __init__(self, root: Path, *, link: Callable[[Path, Path], None] = os.link) -> None:
        self.root = root
        self._link = link
        """How a finished file gets its name. A test puts a file system without hard links here."""

    def get(self, name: str) -> BinaryIO:
        path = self._path(name)
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, f"`{name}` is not in the store")
        return path.open("rb")

    def put_if_absent(self, name: str, source: Path) -> bool:
        target = self._path(name)
        if target.exists():
            return False
        temporary = self._copy_aside(source)
        try:
            _make_folders(target.parent)
            return self._claim(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Sorted names that begin with `prefix`."""
        found = (
            path.relative_to(self.root).as_posix()
            for folder in self._folders(prefix)
            for path in folder.rglob("*")
            if path.is_file()
        )
        yield from sorted(name for name in found if name.startswith(prefix) and not name.startswith(_TEMPORARY))

    def delete(self, name: str) -> None:
        path = self._path(name)
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, f"`{name}` is not in the store")
        path.unlink()
        sync_folder(path.parent)
        self._drop_empty_folders(path.parent)

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if not all(_PART.fullmatch(part) for part in parts):
            raise OSError(errno.EINVAL, f"`{name}` is not a name that a store can hold")
        return self.root.joinpath(*parts)

    def _folders(self, prefix: str) -> list[Path]:
        """Where to look for names with that prefix: one folder, where the prefix names one."""
        folder, _, _ = prefix.rpartition("/")
        start = self._path(folder) if folder else self.root
        return [start] if start.is_dir() else []

    def _copy_aside(self, source: Path) -> Path:
        aside = self.root / _TEMPORARY
        _make_folders(aside)
        handle, name = tempfile.mkstemp(dir=aside)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as copy, source.open("rb") as original:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                os.fchmod(copy.fileno(), 0o644)
                os.fsync(copy.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _claim(self, temporary: Path, target: Path) -> bool:
        """Give the finished copy its name unless the name is taken."""
        try:
            self._link(temporary, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            return _claim_under_lock(temporary, target)
        sync_folder(target.parent)
        return True

    def _drop_empty_folders(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or in use by a writer: it stays
            folder = folder.parent


def _claim_under_lock(temporary: Path, target: Path) -> bool:
    """For file systems without hard links: look and rename while no other writer can."""
    import fcntl

    with (temporary.parent / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return False
        temporary.replace(target)
        sync_folder(target.parent)
        return True


def _make_folders(folder: Path) -> None:
    """Like `mkdir -p`, and what is new survives a power cut."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
