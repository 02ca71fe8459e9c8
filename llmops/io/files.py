"""Files: the project's, read-only and inside its root, and our own, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from compiler.ports import FileFact
from llmops_spec.files import replace_file


class ProjectFiles:
    """Implements `compiler.ports.Reader` over a folder.

    Dot-folders, `build/` and virtual environments are left out; so is a symbolic link that leads out of the root.
    Every path is opened component by component below the root, so `..` and links cannot leave it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._facts: dict[str, FileFact | None] = {}

    def list_files(self) -> Sequence[str]:
        return self._files

    @cached_property
    def _files(self) -> tuple[str, ...]:
        return tuple(sorted(self._walk(self._root, "")))

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or (entry.name in _NOT_SPEC_FOLDERS and entry.is_dir()):
                    continue
                if entry.is_symlink() and not self._stays_inside(Path(entry.path)):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
                elif entry.is_file():
                    yield prefix + entry.name

    def _stays_inside(self, link: Path) -> bool:
        target = link.resolve()
        return target.is_file() and target.is_relative_to(self._root)

    def read(self, path: str) -> bytes:
        return self._inside(path).read_bytes()

    def fact(self, path: str) -> FileFact | None:
        if path not in self._facts:
            self._facts[path] = self._look(path)
        return self._facts[path]

    def _look(self, path: str) -> FileFact | None:
        try:
            with self._inside(path).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                return FileFact(path=path, digest=digest, bytes=os.fstat(stream.fileno()).st_size)
        except OSError:
            return None

    def _inside(self, path: str) -> Path:
        """The regular file at a project path. Raises: `FileNotFoundError`, `OSError`."""
        if path.startswith("/") or "\\" in path or ".." in path.split("/") or "\0" in path:
            raise FileNotFoundError(f"`{path}` is not inside the project")
        found = (self._root / path).resolve()
        if not found.is_relative_to(self._root) or not stat.S_ISREG(found.stat().st_mode):
            raise FileNotFoundError(f"`{path}` is not a file of the project")
        return found


_NOT_SPEC_FOLDERS = frozenset({"build", "node_modules", "__pycache__", "venv"})


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all, and the folders above it. Raises: OSError, and the file is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data, mode=mode)
