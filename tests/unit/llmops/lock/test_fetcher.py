"""Whatever a server does, the fetcher ends, reads no more than it may, and believes no wrong bytes."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import AllowList, Refused, Url
from llmops.lock.fetcher import Fetcher, NoSuchThing, Unreachable
from llmops_spec.lock import LockedFile
from tests.unit.llmops.lock.conftest import QUICK, Reply, Slept, Web, Wire, fetcher_of

BODY = bytes(range(256)) * 400


def locked(body: bytes) -> LockedFile:
    return LockedFile(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body))


def ranged(body: bytes, etag: str | None = '"one"', cut_after: int | None = None) -> Callable[[Wire], None]:
    """A server of files that goes on where it is asked to, and may cut the connection."""

    def answer(wire: Wire) -> None:
        start = 0
        asked = wire.headers.get("Range")
        wanted = wire.headers.get("If-Range")
        if asked is not None and wanted in (None, etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        rest = body[start:]
        wire.send_response(206 if start else 200)
        wire.send_header("Content-Length", str(len(rest)))
        if start:
            wire.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if etag is not None:
            wire.send_header("ETag", etag)
        wire.end_headers()
        wire.wfile.write(rest[:cut_after])

    return answer


# --- redirects


def test_a_redirect_is_followed_to_a_listed_host(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": Reply(status=302, headers={"Location": "/b"}), "/b": Reply(body=b"here")}
    found = fetcher.small(f"{web.url}/a")
    assert (found.body, str(found.url)) == (b"here", f"{web.url}/b")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "ftp://models.example.com/",
        "https://evil.example/",
        "http://2852039166/",
        "//evil.example/",
        "http://user@127.0.0.1/",
    ],
)
def test_a_redirect_elsewhere_is_refused(web: Web, fetcher: Fetcher, location: str) -> None:
    web.pages = {"/a": Reply(status=302, headers={"Location": location})}
    with pytest.raises(Refused):
        fetcher.small(f"{web.url}/a")


def test_a_redirect_to_the_port_of_another_inner_server_is_refused(
    web: Web, new_web: Callable[[], Web], fetcher: Fetcher
) -> None:
    """The metadata server of a cloud is one: a port of this very address that nobody listed."""
    inner = new_web()
    inner.pages = {"/": Reply(body=b"credentials")}
    web.pages = {"/a": Reply(status=307, headers={"Location": f"{inner.url}/"})}
    with pytest.raises(Refused):
        fetcher.small(f"{web.url}/a")
    assert inner.asked == []


def test_redirects_in_a_circle_end(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": Reply(status=302, headers={"Location": "/a"})}
    with pytest.raises(Unreachable, match="more than 3 times"):
        fetcher.small(f"{web.url}/a")
    assert len(web.asked) == 4


def test_a_credential_goes_to_its_origin_alone(web: Web, new_web: Callable[[], Web], slept: Slept) -> None:
    other = new_web()
    other.pages = {"/b": Reply(body=b"large file")}
    web.pages = {"/a": Reply(status=302, headers={"Location": f"{other.url}/b"})}

    def sign(method: str, url: Url) -> Mapping[str, str]:
        return {"Authorization": "Bearer canary"} if url.port == web.port else {}

    fetcher_of(web, other, slept=slept).small(f"{web.url}/a", sign=sign)
    assert web.asked[0].headers["authorization"] == "Bearer canary"
    assert "authorization" not in other.asked[0].headers


# --- names and addresses


def test_the_checked_address_is_the_one_that_is_spoken_to(web: Web, slept: Slept) -> None:
    """A name that is resolved a second time, and then to something else, is DNS rebinding."""
    web.pages = {"/a": Reply(body=b"here")}
    answers = iter([["127.0.0.1"], ["203.0.113.9"]])
    allowed = AllowList.of([f"models.example.com:{web.port}"])
    fetcher = Fetcher(allowed=allowed, pace=QUICK, sleep=slept, resolve=lambda *_: next(answers))
    assert fetcher.small(f"http://models.example.com:{web.port}/a").body == b"here"
    assert web.asked[0].headers["host"] == f"models.example.com:{web.port}"
    assert next(answers) == ["203.0.113.9"]


def test_a_name_that_nobody_knows_is_tried_again_and_told(slept: Slept) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    fetcher = Fetcher(allowed=AllowList.of(["models.example.com"]), sleep=slept, resolve=unknown)
    with pytest.raises(Unreachable, match="cannot be resolved"):
        fetcher.small("https://models.example.com/a")
    assert len(slept.seconds) == 4


# --- limits


def test_an_answer_longer_than_allowed_is_not_read(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": Reply(body=b"x" * 1001)}
    with pytest.raises(Unreachable, match="1001 bytes, and at most 1000"):
        fetcher.small(f"{web.url}/a", limit_bytes=1000)


def endless(wire: Wire) -> None:
    wire.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        wire.wfile.write(block)


def test_a_body_that_never_ends_is_given_up(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": endless}
    with pytest.raises(Unreachable, match="does not end after 1000 bytes"):
        fetcher.small(f"{web.url}/a", limit_bytes=1000)
    with pytest.raises(Unreachable, match="does not end after 1048576 bytes"):
        fetcher.digest(f"{web.url}/a")
    with pytest.raises(Unreachable, match="does not end after 500 bytes"):
        fetcher.digest(f"{web.url}/a", size=500)


def test_a_compressed_body_is_not_unpacked(web: Web, fetcher: Fetcher) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    web.pages = {"/a": Reply(body=bomb, headers={"Content-Encoding": "gzip"})}
    with pytest.raises(Unreachable, match="compressed"):
        fetcher.small(f"{web.url}/a")
    assert web.asked[0].headers["accept-encoding"] == "identity"


def test_a_slow_header_is_given_up(web: Web, fetcher: Fetcher) -> None:
    def drip(wire: Wire) -> None:
        wire.raw("HTTP/1.1 200 OK\r\nX-A: ")
        for _ in range(100):
            wire.raw("x")
            time.sleep(0.05)

    web.pages = {"/a": drip}
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer within .* 3 times"):
        fetcher.small(f"{web.url}/a")
    assert time.monotonic() - began < 4


def test_a_slow_body_is_given_up(web: Web, fetcher: Fetcher) -> None:
    def drip(wire: Wire) -> None:
        wire.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            wire.raw("x")
            time.sleep(0.05)

    web.pages = {"/a": drip}
    with pytest.raises(Unreachable, match="the server sent"):
        fetcher.small(f"{web.url}/a")


def test_a_server_that_says_nothing_is_given_up(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": lambda _wire: time.sleep(1.5)}
    with pytest.raises(Unreachable, match="no answer"):
        fetcher.small(f"{web.url}/a")


def test_what_is_no_http_is_told(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": lambda wire: wire.raw("SSH-2.0-OpenSSH\r\n")}
    with pytest.raises(Unreachable):
        fetcher.small(f"{web.url}/a")


def test_a_length_that_is_too_short_for_the_file_is_noticed(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": Reply(body=BODY[:100])}
    with pytest.raises(Unreachable, match="100 bytes, where 102400 were expected"):
        fetcher.digest(f"{web.url}/a", size=len(BODY))


def test_a_body_longer_than_its_length_is_read_to_its_length(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": Reply(body=BODY, headers={"Content-Length": "100"})}
    assert fetcher.digest(f"{web.url}/a") == locked(BODY[:100])


def test_a_file_whose_length_nobody_says_is_refused(web: Web, fetcher: Fetcher) -> None:
    """A connection that is closed early would pass for the end."""
    web.pages = {"/a": Reply(body=BODY, bare=True)}
    with pytest.raises(Unreachable, match="does not say how long"):
        fetcher.digest(f"{web.url}/a")


# --- cuts


def test_a_cut_file_is_gone_on_with_where_it_was_cut(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": [ranged(BODY, cut_after=70_000), ranged(BODY, cut_after=20_000), ranged(BODY)]}
    got = bytearray()
    assert fetcher.digest(f"{web.url}/a", sink=got.extend) == locked(BODY)
    assert bytes(got) == BODY
    assert [one.headers.get("range") for one in web.asked] == [None, "bytes=70000-", "bytes=90000-"]
    assert web.asked[1].headers["if-range"] == '"one"'


def test_a_server_without_ranges_is_read_again_and_compared(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": [ranged(BODY, etag=None, cut_after=70_000), Reply(body=BODY)]}
    got = bytearray()
    assert fetcher.digest(f"{web.url}/a", sink=got.extend) == locked(BODY)
    assert bytes(got) == BODY
    assert "range" not in web.asked[1].headers


def test_a_file_that_changes_between_two_reads_is_noticed(web: Web, fetcher: Fetcher) -> None:
    other = b"y" + BODY[1:]
    web.pages = {"/a": [ranged(BODY, cut_after=70_000), ranged(other, etag='"two"')]}
    with pytest.raises(Unreachable, match="changed while it was read"):
        fetcher.digest(f"{web.url}/a")


def test_another_part_than_was_asked_for_is_noticed(web: Web, fetcher: Fetcher) -> None:
    wrong = Reply(status=206, body=BODY[5:], headers={"Content-Range": f"bytes 5-{len(BODY) - 1}/{len(BODY)}"})
    web.pages = {"/a": [ranged(BODY, cut_after=70_000), wrong]}
    with pytest.raises(Unreachable, match="another part"):
        fetcher.digest(f"{web.url}/a")


def test_a_file_that_is_always_cut_is_given_up(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": [ranged(BODY, cut_after=70_000), ranged(BODY, cut_after=0)]}
    with pytest.raises(Unreachable, match="ended early"):
        fetcher.digest(f"{web.url}/a")


@pytest.mark.parametrize("bytes_a_try", [1, 900])
def test_a_file_that_is_cut_after_each_morsel_is_given_up(web: Web, fetcher: Fetcher, bytes_a_try: int) -> None:
    web.pages = {"/a": ranged(BODY, cut_after=bytes_a_try)}
    with pytest.raises(Unreachable, match="3 times"):
        fetcher.digest(f"{web.url}/a")
    assert len(web.asked) == 3


def test_morsels_after_long_waits_are_no_progress(web: Web, fetcher: Fetcher) -> None:
    """As many bytes as the floor wants in one second, and a second of silence after each."""

    def slow(wire: Wire) -> None:
        ranged(BODY, cut_after=1200)(wire)
        wire.wfile.flush()
        time.sleep(1.5)  # longer than the fetcher bears

    web.pages = {"/a": slow}
    with pytest.raises(Unreachable, match="3 times"):
        fetcher.digest(f"{web.url}/a")
    assert len(web.asked) == 3


def test_a_long_file_that_is_often_cut_comes_all_the_same(web: Web, fetcher: Fetcher) -> None:
    web.pages = {"/a": ranged(BODY, cut_after=9_000)}
    assert fetcher.digest(f"{web.url}/a") == locked(BODY)
    assert len(web.asked) == 12


# --- busy servers


def test_a_busy_server_is_asked_again_when_it_says(web: Web, fetcher: Fetcher, slept: Slept) -> None:
    busy = Reply(status=429, headers={"Retry-After": "7"})
    web.pages = {"/a": [busy, Reply(status=503), Reply(body=b"here")]}
    assert fetcher.small(f"{web.url}/a").body == b"here"
    assert slept.seconds == [7.0, 1.0]


def test_a_server_that_asks_for_too_much_patience_is_given_up(web: Web, fetcher: Fetcher, slept: Slept) -> None:
    web.pages = {"/a": Reply(status=429, headers={"Retry-After": "86400"})}
    with pytest.raises(Unreachable, match="HTTP 429") as told:
        fetcher.small(f"{web.url}/a")
    assert (slept.seconds, len(web.asked)) == ([], 1)
    assert "pause" in told.value.help


def test_a_date_is_understood_as_a_pause(web: Web, fetcher: Fetcher, slept: Slept) -> None:
    past = Reply(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    odd = Reply(status=503, headers={"Retry-After": "soon"})
    web.pages = {"/a": [past, odd, Reply(body=b"here")]}
    assert fetcher.small(f"{web.url}/a").body == b"here"
    assert slept.seconds == [0.0, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 501])
def test_what_no_try_mends_is_not_tried_again(web: Web, fetcher: Fetcher, status: int) -> None:
    web.pages = {"/a": Reply(status=status)}
    with pytest.raises(NoSuchThing) as told:
        fetcher.small(f"{web.url}/a?signature=canary")
    assert (len(web.asked), told.value.status, told.value.exit_code) == (1, status, Exit.FINDINGS)
    assert "canary" not in told.value.what


# --- downloads


def test_a_download_is_held_to_its_digest(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    web.pages = {"/a": Reply(body=BODY)}
    fetcher.download(f"{web.url}/a", tmp_path / "a", locked(BODY))
    assert (tmp_path / "a").read_bytes() == BODY
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_other_bytes_under_the_locked_digest_leave_nothing(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    web.pages = {"/a": Reply(body=BODY[:-1] + b"!")}
    with pytest.raises(OperationFailed, match="other bytes") as told:
        fetcher.download(f"{web.url}/a", tmp_path / "a", locked(BODY))
    assert told.value.exit_code == Exit.TAMPERED
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_was_killed_is_gone_on_with(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(BODY[:50_000])
    web.pages = {"/a": ranged(BODY, etag=None)}
    told: list[int] = []
    fetcher.download(f"{web.url}/a", tmp_path / "a", locked(BODY), advance=told.append)
    assert (tmp_path / "a").read_bytes() == BODY
    assert web.asked[0].headers["range"] == "bytes=50000-"
    assert sum(told) == len(BODY)


@pytest.mark.parametrize("left", [b"z" * 50_000, b"z" * 200_000, BODY + b"more"])
def test_a_wrong_rest_of_an_earlier_run_is_no_harm(web: Web, fetcher: Fetcher, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "a.part").write_bytes(left)
    web.pages = {"/a": ranged(BODY, etag=None)}
    fetcher.download(f"{web.url}/a", tmp_path / "a", locked(BODY))
    assert (tmp_path / "a").read_bytes() == BODY


def test_an_address_of_ip_version_6_is_spoken_to(slept: Slept) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        asked: list[bytes] = []

        def answer() -> None:
            there, _ = server.accept()
            with there:
                asked.append(there.recv(65_536))
                there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        host = f"[::1]:{server.getsockname()[1]}"
        fetcher = Fetcher(allowed=AllowList.of([host]), pace=QUICK, sleep=slept)
        assert fetcher.small(f"http://{host}/a").body == b"here"
        thread.join()
    assert f"Host: {host}\r\n".encode() in asked[0]
