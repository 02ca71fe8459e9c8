"""A file on its way: hashed as it comes, bounded, and gone on with after a cut.

Called by `llmops.lock.fetcher`. Promises: each byte is hashed and handed on exactly once, in order; after a cut the
rest comes from the same file, or the reading fails; no more bytes are taken than announced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from llmops.lock.wire import Answer, Cut, Misbehaved
from llmops_spec.lock import LockedFile

LARGEST_BYTES: Final = 2 << 40
"""No file is longer: 2 TiB."""
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(kw_only=True)
class Stream:
    """What has come of one file."""

    size: int | None
    """What it must have, in bytes, where that is known before."""
    certain: bool = False
    """Whoever asks knows the digest and compares it afterwards, so that a rest may be asked for without a name."""
    advance: Callable[[int], None]
    """Told how many bytes have come with each chunk."""
    sink: Callable[[bytes], object] | None = None
    count: int = 0
    _etag: str | None = None

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    def file(self) -> LockedFile:
        return LockedFile(sha256=self._hash.hexdigest(), bytes=self.count)

    def take(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.count += len(chunk)
        if self.sink is not None:
            self.sink(chunk)
        self.advance(len(chunk))

    def range_headers(self) -> dict[str, str]:
        """How to ask for the rest: only of a file that is surely the same, or whose digest is known."""
        if self.count == 0 or (self._etag is None and not self.certain):
            return {}
        return {"Range": f"bytes={self.count}-"} | ({"If-Range": self._etag} if self._etag is not None else {})

    def read(self, answer: Answer, *, unsized_bytes: int) -> None:
        """Take the body of an answer: the rest, or the whole again.

        Raises:
            Cut: it ended early.
            Misbehaved: it is longer than it may be, or another file than the one that was begun.
        """
        again = self._repeated(answer)
        self._etag = _strong(answer.headers.get("etag"))
        limit = self._limit(answer, again, unsized_bytes)
        chunks = bounded(answer, limit)
        for chunk in self._without_repeated(chunks, again) if again else chunks:
            self.take(chunk)
        if self.size is not None and self.count < self.size:
            raise Cut(f"the answer ended after {self.count} of {self.size} bytes")

    def _repeated(self, answer: Answer) -> int:
        """How many bytes that we have already stand at the beginning of the answer."""
        if answer.status != 206:
            return self.count
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found is None or int(found[1]) != self.count:
            raise Misbehaved("it sent another part of the file than it was asked for")
        return 0

    def _limit(self, answer: Answer, again: int, unsized_bytes: int) -> int:
        """How many bytes the body may have."""
        if self.size is not None:
            wanted = self.size - self.count + again
            if answer.length is not None and answer.length != wanted:
                raise Misbehaved(f"it has {answer.length} bytes, where {wanted} were expected")
            return wanted
        if answer.length is not None:
            return min(answer.length, LARGEST_BYTES)
        if answer.headers.get("transfer-encoding", "").lower() != "chunked":
            raise Misbehaved("it does not say how long the file is, so a part of it could pass for the whole")
        return unsized_bytes

    def _without_repeated(self, chunks: Iterator[bytes], again: int) -> Iterator[bytes]:
        """What comes after the bytes that we have; they must be the same ones."""
        begun, repeated = self._hash.digest(), hashlib.sha256()
        for chunk in chunks:
            known = chunk[:again]
            again -= len(known)
            repeated.update(known)
            if again == 0 and known and repeated.digest() != begun:
                raise Misbehaved("the file changed while it was read")
            if rest := chunk[len(known) :]:
                yield rest


def bounded(answer: Answer, limit_bytes: int) -> Iterator[bytes]:
    """The body of an answer, refused once it is longer than `limit_bytes`, or says that it will be.

    Raises: Cut, Misbehaved.
    """
    if answer.length is not None and answer.length > limit_bytes:
        raise Misbehaved(f"it has {answer.length} bytes, and at most {limit_bytes} are read")
    count = 0
    for chunk in answer.chunks():
        count += len(chunk)
        if count > limit_bytes:
            raise Misbehaved(f"it does not end after {limit_bytes} bytes")
        yield chunk


def _strong(etag: str | None) -> str | None:
    """A tag that names bytes; a weak one only names a meaning."""
    return etag if etag is not None and etag.startswith('"') else None
