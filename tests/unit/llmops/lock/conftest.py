"""Servers on loopback that speak what the lock asks, and a fetcher that may ask them."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import pytest

from llmops.lock.addresses import AllowList
from llmops.lock.fetcher import Fetcher
from llmops.lock.waiting import Patience
from llmops.lock.wire import Pace


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as the server saw it."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By lower-case name."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
    """Send no Content-Length."""


class Wire(BaseHTTPRequestHandler):
    """The connection of one request, for replies that must be written by hand."""

    server: Web  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        named = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method=self.command, target=self.path, headers=named)
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        self.close_connection = True
        try:
            if isinstance(answer, Reply):
                self._reply(answer)
            else:
                answer(self)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has heard enough

    do_HEAD = do_GET  # noqa: N815  # the base class's

    def do_CONNECT(self) -> None:
        """A tunnel to the port that the server was told, whatever host is asked for."""
        named = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(method=self.command, target=self.path, headers=named))
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", self.server.tunnel_to)) as there:
            self.raw("HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {self.connection: there, there: self.connection}
            while True:
                for here in select.select(list(ways), [], [])[0]:
                    if not (data := here.recv(65_536)):
                        return
                    ways[here].sendall(data)

    def _reply(self, answer: Reply) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not answer.bare and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def raw(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None: ...


Answer: TypeAlias = Reply | Callable[[Wire], None]


class Web(ThreadingHTTPServer):
    """Answers by path, without the query; a list is one answer a request, the last for ever. Remembers the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Wire)
        self.pages: dict[str, Answer | list[Answer]] = {}
        self.asked: list[Asked] = []
        self.tunnel_to = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer(self, asked: Asked) -> Answer:
        page = self.pages.get(asked.target.partition("?")[0], Reply(status=404))
        if isinstance(page, list):
            return page.pop(0) if len(page) > 1 else page[0]
        return page


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, token or key of the machine takes part."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("HF_TOKEN", "HF_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def new_web() -> Iterator[Callable[[], Web]]:
    """Starts servers; all of them end with the test."""
    started: list[Web] = []

    def start() -> Web:
        one = Web()
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


@pytest.fixture
def web(new_web: Callable[[], Web]) -> Web:
    return new_web()


@dataclass(frozen=True, kw_only=True)
class Slept:
    """The pauses that a fetcher would have made."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def slept() -> Slept:
    return Slept()


QUICK = Pace(
    connect_seconds=2.0, silence_seconds=1.0, headers_seconds=0.6, floor_bytes_per_second=1000.0, floor_seconds=0.4
)


@pytest.fixture
def fetcher(web: Web, slept: Slept) -> Fetcher:
    """May ask `web` alone, and has little time."""
    return fetcher_of(web, slept=slept)


def fetcher_of(*webs: Web, slept: Slept, **more: object) -> Fetcher:
    allowed = AllowList.of([one.host for one in webs])
    patience = Patience(tries=3, redirects=3, unsized_bytes=1 << 20)
    return Fetcher(allowed=allowed, pace=QUICK, patience=patience, sleep=slept, **more)  # pyright: ignore[reportArgumentType]
