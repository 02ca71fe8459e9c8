"""Fetch bytes from elsewhere, safely: small answers whole, large ones as a stream, with retries, resume and limits.

Called by the resolvers of `llmops lock` and by `fetch` steps; nothing else of the command opens a connection to the
outside. Promises, whatever a server does: only listed hosts and judged addresses are spoken to, at every redirect;
no credential goes to another origin than the one it is for; no more bytes are read than were allowed; it ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import AllowList, Refused, Resolver, Url, join_url, parse_url, system_resolver
from llmops.lock.proxies import proxy_for
from llmops.lock.stream import Stream, bounded
from llmops.lock.waiting import BUSY, Patience, pause
from llmops.lock.wire import Answer, Cut, Misbehaved, Pace, ask
from llmops_spec.digests import Json
from llmops_spec.lock import LockedFile

METADATA_BYTES: Final = 16 << 20
"""Longest answer that is read whole. A repository of 10,000 files is listed in a third of that."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")


class Unreachable(OperationFailed):
    """What was asked for did not come. The same command may work later, or elsewhere."""


class NoSuchThing(OperationFailed):
    """The server knows nothing of what was asked for, or does not show it to us."""

    def __init__(self, what: str, *, status: int, headers: Mapping[str, str], help: str = "") -> None:  # noqa: A002  # as printed
        super().__init__(what, help=help, exit_code=Exit.FINDINGS)
        self.status = status
        self.headers = headers


class Signer(Protocol):
    """Adds credentials to a request for an origin that they are for, and nothing to any other."""

    def __call__(self, method: str, url: Url) -> Mapping[str, str]: ...


def unsigned(method: str, url: Url) -> Mapping[str, str]:  # noqa: ARG001  # the port's
    return {}


@dataclass(frozen=True, kw_only=True)
class Small:
    """An answer that was read whole."""

    url: Url
    """Where it came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """Raises: Unreachable: it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unreachable(f"{self.url.shown}: the answer is no JSON") from error


def _no_progress(count: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    allowed: AllowList
    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)
    resolve: Resolver = system_resolver
    sleep: Callable[[float], None] = time.sleep

    def small(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        sign: Signer = unsigned,
        limit_bytes: int = METADATA_BYTES,
        accept: frozenset[int] = frozenset({200}),
    ) -> Small:
        """An answer of at most `limit_bytes`, whole.

        Raises:
            Refused: an address that may not be asked.
            NoSuchThing: a status that is not in `accept` and that no try mends.
            Unreachable: nothing came, or too much.
        """

        def read(answer: Answer) -> Small:
            return Small(
                url=answer.url,
                status=answer.status,
                headers=answer.headers,
                body=b"" if method == "HEAD" else b"".join(bounded(answer, limit_bytes)),
            )

        return self._tried(parse_url(url), method, headers or {}, sign, accept, read)

    def digest(
        self,
        url: str,
        *,
        sign: Signer = unsigned,
        size: int | None = None,
        advance: Callable[[int], None] = _no_progress,
        sink: Callable[[bytes], object] | None = None,
    ) -> LockedFile:
        """SHA-256 and length of a file, which is read once and not kept. A cut is resumed where it was cut.

        Args:
            url: Where it is.
            sign: Its credentials.
            size: What it must have, in bytes, where that is known.
            advance: Told how many bytes have come.
            sink: Given each chunk, in order, exactly once.

        Raises:
            Refused, NoSuchThing, Unreachable: as `small`.
        """
        seen = Stream(size=size, advance=advance, sink=sink)
        self._stream(parse_url(url), sign, seen)
        return seen.file()

    def download(
        self,
        url: str,
        path: Path,
        expected: LockedFile,
        *,
        sign: Signer = unsigned,
        advance: Callable[[int], None] = _no_progress,
    ) -> None:
        """Bring a file whose digest is known to `path`. Bytes that an earlier run left beside it are gone on from.

        Raises:
            Refused, NoSuchThing, Unreachable: as `small`; where the bytes are others than expected, nothing is left.
        """
        part = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        found, resumed = self._into(part, parse_url(url), expected, sign, advance)
        if found != expected and resumed:  # what was left there may have been wrong already
            part.unlink()
            found, _ = self._into(part, parse_url(url), expected, sign, advance)
        if found != expected:
            part.unlink()
            raise Unreachable(
                f"{parse_url(url).host} sent other bytes for `{path.name}` than were locked",
                help="`llmops lock --upgrade NAME` shows what it has now; review that before you take it",
                exit_code=Exit.TAMPERED,
            )
        part.replace(path)

    def _into(
        self, part: Path, url: Url, expected: LockedFile, sign: Signer, advance: Callable[[int], None]
    ) -> tuple[LockedFile, bool]:
        """Complete a file that may have been begun. Returns what it is now, and whether something was there."""
        with part.open("ab+") as stream:
            seen = Stream(size=expected.bytes, certain=True, advance=advance)
            stream.seek(0)
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                seen.take(chunk)
            resumed = seen.count > 0
            seen.sink = stream.write
            if seen.count < expected.bytes:
                self._stream(url, sign, seen)
        return seen.file(), resumed

    def _stream(self, url: Url, sign: Signer, seen: Stream) -> None:
        """Read a file to its end, going on after each cut."""

        def read(answer: Answer) -> None:
            seen.read(answer, unsized_bytes=self.patience.unsized_bytes)

        self._tried(url, "GET", {}, sign, frozenset({200, 206}), read, seen)

    def _tried(
        self,
        url: Url,
        method: str,
        headers: Mapping[str, str],
        sign: Signer,
        accept: frozenset[int],
        read: Callable[[Answer], T],
        seen: Stream | None = None,
    ) -> T:
        """Ask until it is read. Progress of a stream begins the count of tries anew, where it is no slower than the
        floor over the whole try: a byte before each cut is none."""
        tries = 0
        while True:
            before, began = seen.count if seen is not None else 0, time.monotonic()
            asked_wait: str | None = None
            try:
                wanted = {**headers, **(seen.range_headers() if seen is not None else {})}
                with self._followed(url, method, wanted, sign) as answer:
                    if answer.status in accept:
                        return read(answer)
                    if answer.status not in BUSY:
                        raise _unwelcome(answer)
                    why, asked_wait = f"it answered HTTP {answer.status}", answer.headers.get("retry-after")
            except Cut as error:
                why = str(error)
            except Misbehaved as error:
                raise Unreachable(f"{url.shown}: {error}") from error
            enough = self.pace.least_bytes(time.monotonic() - began)
            tries = 1 if seen is not None and seen.count - before >= enough else tries + 1
            seconds = pause(tries, asked_wait, self.patience)
            if seconds is None:
                times = f", {tries} times" if tries > 1 else ""
                raise Unreachable(f"{url.shown}: {why}{times}", help=_later(asked_wait))
            self.sleep(seconds)

    @contextmanager
    def _followed(self, url: Url, method: str, headers: Mapping[str, str], sign: Signer) -> Generator[Answer]:
        """The answer behind every redirect. Each hop is judged like the first, and signed only if it is signed for."""
        here = url
        for _ in range(self.patience.redirects + 1):
            with self._asked(here, method, {**headers, **sign(method, here)}) as answer:
                location = answer.headers.get("location")
                if answer.status not in _REDIRECTS or location is None:
                    yield answer
                    return
                there = join_url(here, location)
            if here.scheme == "https" and there.scheme != "https":
                raise Refused(f"{here.shown} leads from HTTPS to plain HTTP")
            here = there
        raise Misbehaved(f"it leads on more than {self.patience.redirects} times")

    @contextmanager
    def _asked(self, url: Url, method: str, headers: Mapping[str, str]) -> Generator[Answer]:
        proxy = proxy_for(url)
        if proxy is not None:
            self.allowed.refuse_unlisted(url)
            address = url.host
        else:
            try:
                address = self.allowed.address(url, self.resolve)
            except OSError as error:
                raise Cut(f"its name cannot be resolved ({error.strerror or error})") from error
        with ask(method, url, address, headers, self.pace, proxy) as answer:
            yield answer


def _unwelcome(answer: Answer) -> NoSuchThing:
    said = {
        401: "asks who you are",
        403: "is not open to you",
        404: "does not exist",
        410: "does not exist any more",
    }.get(answer.status, f"answered HTTP {answer.status}")
    return NoSuchThing(f"{answer.url.shown} {said}", status=answer.status, headers=answer.headers)


def _later(asked_wait: str | None) -> str:
    if asked_wait is not None:
        return "the server asks for a pause; run the same command again later"
    return "look whether you reach it from here, and run the same command again: what was done stays done"
