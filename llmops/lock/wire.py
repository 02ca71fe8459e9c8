"""One request on one connection, to an address that was checked, and its body as a guarded stream.

Called by `llmops.lock.fetcher`, which knows what to ask and when to ask again. Promises: the connection goes to the
address that was judged and to no other; TLS is verified for the host's name; headers arrive within their time and a
body no slower than the floor; a compressed body is refused, so a small answer cannot become a large one.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from llmops import __version__
from llmops.lock.addresses import Url
from llmops.lock.proxies import Proxy

_CHUNK_BYTES: Final = 1 << 18


class Cut(Exception):  # noqa: N818  # named as what happened
    """The connection ended, stalled or misbehaved: worth another try. Carries a sentence's end for the user."""


class Misbehaved(Exception):  # noqa: N818  # named as what happened
    """The server answered what no try will mend. Carries a sentence's end for the user."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a server may take."""

    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    """Between two reads."""
    headers_seconds: float = 60.0
    """From the request to the end of the headers: one byte a second is no answer."""
    floor_bytes_per_second: float = 1024.0
    floor_seconds: float = 60.0
    """A body slower than the floor over so long is given up."""

    def least_bytes(self, seconds: float) -> float:
        """What must have come in so long for it to be progress; in the first second as in a whole one."""
        return max(1.0, seconds) * self.floor_bytes_per_second


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers and a body that has not been read."""

    url: Url
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    _response: BaseHTTPResponse
    _pace: Pace

    @property
    def length(self) -> int | None:
        """What the server says the body has, in bytes."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() else None

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives.

        Raises:
            Cut: it ended early, stalled, or came slower than the floor.
            Misbehaved: it is compressed, though plain bytes were asked for.
        """
        if self.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise Misbehaved("the server compressed its answer, though plain bytes were asked for")
        began, received = time.monotonic(), 0
        while True:
            try:
                chunk = self._response.read1(_CHUNK_BYTES, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Cut(_said(error)) from error
            if not chunk:
                return
            received += len(chunk)
            elapsed = time.monotonic() - began
            if elapsed > self._pace.floor_seconds:
                if received < elapsed * self._pace.floor_bytes_per_second:
                    raise Cut(f"the server sent {received} bytes in {elapsed:.0f} s")
                began, received = time.monotonic(), 0
            yield chunk


@contextmanager
def ask(
    method: str, url: Url, address: str, headers: Mapping[str, str], pace: Pace, proxy: Proxy | None = None
) -> Generator[Answer]:
    """Send one request to `address`, or through a proxy that finds the host itself.

    Raises:
        Cut: no connection, or no answer in time.
        Misbehaved: the certificate is not the host's.
    """
    connection = _connection(url, address, pace, proxy)
    try:
        with closing(_answered(connection, method, url, headers, pace)) as response:  # it holds the socket, too
            named = {name.lower(): value for name, value in response.headers.items()}
            yield Answer(url=url, status=response.status, headers=named, _response=response, _pace=pace)
    finally:
        connection.close()


def _connection(url: Url, address: str, pace: Pace, proxy: Proxy | None) -> HTTPConnection:
    host, port = (address, url.port) if proxy is None else (proxy.host, proxy.port)
    if url.scheme == "http":
        return HTTPConnection(host, port, timeout=pace.connect_seconds)
    connection = HTTPSConnection(
        host,
        port,
        timeout=pace.connect_seconds,
        ssl_context=_context(),
        server_hostname=url.host,
    )
    if proxy is not None:
        connection.set_tunnel(url.host, url.port, headers=dict(proxy.headers))
    return connection


@cache
def _context() -> ssl.SSLContext:
    """Verifies against the system's authorities, a company's own among them."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _answered(
    connection: HTTPConnection, method: str, url: Url, headers: Mapping[str, str], pace: Pace
) -> BaseHTTPResponse:
    sent = {
        "Host": url.authority,
        "User-Agent": f"llmops/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    passed = threading.Event()
    try:
        connection.connect()
        sock = connection.sock
        assert sock is not None  # it is connected
        sock.settimeout(pace.silence_seconds)
        with _deadline(sock, pace.headers_seconds, passed):
            connection.request(method, url.target, headers=sent, preload_content=False, decode_content=False)
            response = connection.getresponse()
        if passed.is_set():  # headers that were cut short look like whole ones
            raise Cut(f"no answer within {pace.headers_seconds:.0f} s")
        return response
    except ssl.SSLCertVerificationError as error:
        raise Misbehaved(f"its certificate is not trusted: {error.verify_message}") from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        late = f"no answer within {pace.headers_seconds:.0f} s"
        raise Cut(late if passed.is_set() else _said(error)) from error


@contextmanager
def _deadline(sock: socket.socket, seconds: float, passed: threading.Event) -> Generator[None]:
    """Shut the socket down when the time is over, whatever trickles in, and set `passed`."""

    def end() -> None:
        passed.set()
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which may be waiting for a record

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _said(error: BaseException) -> str:
    """What a low-level error is to a user."""
    if isinstance(error, urllib3.exceptions.IncompleteRead | urllib3.exceptions.ProtocolError):
        return "the answer ended early"
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "no connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the connection broke ({type(error).__name__})"
