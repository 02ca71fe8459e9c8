"""Bring the files of a `fetch` step together: the project's own, and locked ones from elsewhere.

Called by `llmops.apply.executor`. Promises: what is handed on has the digest that the plan names; what was downloaded
before a run was cut off is not downloaded again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler.plan import Fetch, SourceFile, step_id
from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import Refused
from llmops.lock.fetcher import NoSuchThing
from llmops.lock.resolving import Remote, open_remote
from llmops_spec.digests import digest_bytes
from llmops_spec.lock import LockedFile
from llmops_spec.payloads.results import Progress

_DOWNLOADS = "downloads"
_MEGABYTE = 1_000_000


def fetch_files(site: Site, step: Fetch, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Put every file of the step below `folder`, by its output name.

    Raises:
        OperationFailed: a file changed while the plan ran, or cannot be had from where it was locked.
    """
    remote: Remote | None = None
    for output, source in step.files.items():
        target = _below(folder, output, step)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.path is not None:
            target.write_bytes(_own(site, source.path, source.digest))
            continue
        if remote is None:
            remote = open_remote(site.sources, site.workspace.root, _Told(on_progress, step))
        kept = site.folder / _DOWNLOADS / source.digest
        _download(remote, source, kept, step)
        os.link(kept, target)


def forget_downloads(site: Site) -> None:
    """Called once a step's outputs are in the store."""
    shutil.rmtree(site.folder / _DOWNLOADS, ignore_errors=True)


def _below(folder: Path, output: str, step: Fetch) -> Path:
    """Where an output goes. Raises: OperationFailed: not into the step's folder, be it by a symbolic link."""
    target = folder / output
    there, home = target.resolve(), folder.resolve()
    if there == home or not there.is_relative_to(home):
        shown = "".join(one if one.isprintable() else "?" for one in output)[:80]
        raise OperationFailed(
            f"{step_id(step)}: the plan puts `{shown}` outside the step's folder",
            help="whoever wrote that means harm, or `llmops.lock` is damaged: look where its lines come from",
            exit_code=Exit.TAMPERED,
        )
    return target


def _own(site: Site, path: str, digest: str) -> bytes:
    data = site.workspace.files.read(path)
    if digest_bytes(data) != digest:
        raise OperationFailed(
            f"`{path}` changed while the plan ran",
            help="run the same command again",
            exit_code=Exit.TAMPERED,
        )
    return data


def _download(remote: Remote, source: SourceFile, kept: Path, step: Fetch) -> None:
    if kept.is_file() and _digest(kept) == source.digest:
        return
    assert source.remote is not None  # what lies in the project is read there
    url, sign = remote.address(source.remote, source.repository)
    remote.display.begin(source.remote.name, source.bytes)
    expected = LockedFile(sha256=source.digest, bytes=source.bytes)
    try:
        remote.fetcher.download(url, kept, expected, sign=sign, advance=remote.display.advance)
    except OperationFailed as error:
        code = Exit.TAMPERED if error.exit_code is Exit.TAMPERED else Exit.STEP_FAILED
        help_ = error.help or _advice(error)
        raise OperationFailed(f"{step_id(step)}: {error.what}", help=help_, exit_code=code) from error


def _advice(error: OperationFailed) -> str:
    if isinstance(error, NoSuchThing | Refused):
        return "what was locked is not there any more, or not open to you: `llmops lock --upgrade NAME` asks what is"
    return "run the same command again: it goes on from here"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass
class _Told:
    """Tells the executor's display of bytes; a `ByteDisplay` by shape."""

    on_progress: Callable[[Progress], None]
    step: Fetch

    def __post_init__(self) -> None:
        total = sum(one.bytes for one in self.step.files.values() if one.path is None)
        self._bytes = 0
        self._progress = Progress(phase="downloading", done=0, total=max(1, total // _MEGABYTE), unit="MB")

    def begin(self, what: str, size: int | None) -> None:  # noqa: ARG002  # the port's
        self._progress = self._progress.model_copy(update={"note": what})
        self.advance(0)

    def advance(self, count: int) -> None:
        self._bytes += count
        self._progress = self._progress.model_copy(update={"done": self._bytes // _MEGABYTE})
        self.on_progress(self._progress)
