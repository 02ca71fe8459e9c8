"""Certificates are verified for the host that was named, though the connection goes to an address."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmops.lock import wire
from llmops.lock.addresses import AllowList, Refused
from llmops.lock.fetcher import Fetcher, Unreachable
from tests.unit.llmops.lock.conftest import QUICK, Reply, Slept, Web


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of `models.example.com` that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "models.example.com")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("models.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Web]:
    one = Web()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    one.socket = context.wrap_socket(one.socket, server_side=True)
    one.pages = {"/a": Reply(body=b"here")}
    threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system trusts that certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    wire._context.cache_clear()
    yield
    wire._context.cache_clear()


@pytest.fixture
def asking(secure: Web, slept: Slept) -> Callable[[str], bytes]:
    def ask(host: str) -> bytes:
        fetcher = Fetcher(
            allowed=AllowList.of([f"{host}:{secure.port}"]), pace=QUICK, sleep=slept, resolve=lambda *_: ["127.0.0.1"]
        )
        return fetcher.small(f"https://{host}:{secure.port}/a").body

    return ask


@pytest.mark.usefixtures("trusted")
def test_a_trusted_certificate_of_the_host_is_accepted(asking: Callable[[str], bytes]) -> None:
    assert asking("models.example.com") == b"here"


@pytest.mark.usefixtures("trusted")
def test_a_trusted_certificate_of_another_host_is_not(asking: Callable[[str], bytes], slept: Slept) -> None:
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        asking("other.example.com")
    assert slept.seconds == []


@pytest.mark.usefixtures("trusted")
def test_a_redirect_to_plain_http_is_refused_even_to_a_listed_port(secure: Web, web: Web, slept: Slept) -> None:
    web.pages = {"/b": Reply(body=b"anybody could have written this")}
    secure.pages["/down"] = Reply(status=302, headers={"Location": f"{web.url}/b"})
    allowed = AllowList.of([f"models.example.com:{secure.port}", web.host])
    fetcher = Fetcher(allowed=allowed, pace=QUICK, sleep=slept, resolve=lambda *_: ["127.0.0.1"])
    with pytest.raises(Refused, match="from HTTPS to plain HTTP"):
        fetcher.small(f"https://models.example.com:{secure.port}/down")
    assert web.asked == []


def test_a_certificate_that_nobody_vouches_for_is_not(asking: Callable[[str], bytes]) -> None:
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        asking("models.example.com")


@pytest.mark.usefixtures("trusted")
def test_a_proxy_of_the_environment_is_spoken_through(
    secure: Web, slept: Slept, monkeypatch: pytest.MonkeyPatch, new_web: Callable[[], Web]
) -> None:
    """The tunnel is asked for by name, after the list was asked; the certificate is still the host's."""
    proxy = new_web()
    proxy.tunnel_to = secure.port
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:canary@{proxy.host}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def unknown(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    listed = AllowList.of([f"models.example.com:{secure.port}"])
    fetcher = Fetcher(allowed=listed, pace=QUICK, sleep=slept, resolve=unknown)
    assert fetcher.small(f"https://models.example.com:{secure.port}/a").body == b"here"
    assert [(one.method, one.target) for one in proxy.asked] == [("CONNECT", f"models.example.com:{secure.port}")]
    assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")
    assert "proxy-authorization" not in secure.asked[0].headers
