"""What the fetcher may speak to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.lock.addresses import AllowList, Refused, is_public, join_url, parse_url

HOSTS = AllowList.of(
    ["models.example.com", ".example.org", "10.0.0.5:9000", "[fd00::5]:9000", "inner.example.net:8443"]
)

TRICKS = [
    "file:///etc/passwd",
    "ftp://models.example.com/a",
    "gopher://models.example.com/a",
    "git+ext::sh -c id",
    "//models.example.com/a",
    "models.example.com/a",
    "https:///a",
    "https://user@models.example.com/a",
    "https://user:password@models.example.com/a",
    "https://models.example.com@evil.example/a",
    "https://models.example.com\\@evil.example/a",
    "https://models.example.com#@evil.example/a",
    "https://models.example.com/a b",
    "https://models.example.com/a\nHost: evil.example",
    "https://models.example.com/a\x00",
    "https://mödels.example.com/a",
    "https://models.example.com:99999/a",
    "https://models.example.com:x/a",
    "https://2852039166/latest/meta-data",
    "https://0177.0.0.1/a",
    "https://0x7f.0.0.1/a",
    "https://0x7f000001/a",
    "https://127.1/a",
    "https://127.0.0.01/a",
    "https://[fe80::1%25eth0]/a",
    "https://[fe80::1%eth0]/a",
    "https://[::1/a",
    "https://models..example.com/a",
    "https://-x.example.com/a",
]


@pytest.mark.parametrize("text", TRICKS)
def test_a_url_that_is_not_what_it_seems_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_url(text)


def test_a_refusal_repeats_no_password_and_no_query() -> None:
    with pytest.raises(Refused) as password:
        parse_url("https://user:hunter2@models.example.com/a")
    with pytest.raises(Refused) as signature:
        parse_url("ftp://models.example.com/a?sig=hunter2")
    assert "hunter2" not in password.value.what + signature.value.what


def test_a_plain_url_is_taken_apart() -> None:
    url = parse_url("https://Models.Example.com/a/b?c=d")
    assert (url.scheme, url.host, url.port, url.target) == ("https", "models.example.com", 443, "/a/b?c=d")
    assert str(parse_url("http://[fd00::5]:9000")) == "http://[fd00::5]:9000/"
    assert str(join_url(url, "../x?y")) == "https://models.example.com/x?y"


@pytest.mark.parametrize(
    "text",
    [
        "https://models.example.com/a",
        "https://a.example.org/",
        "https://a.b.example.org/",
        "http://10.0.0.5:9000/",
        "https://10.0.0.5:9000/",
        "http://[fd00::5]:9000/",
        "https://huggingface.co/x",
        "https://cdn-lfs.huggingface.co/x",
    ],
)
def test_a_listed_host_is_allowed(text: str) -> None:
    HOSTS.refuse_unlisted(parse_url(text))


@pytest.mark.parametrize(
    "text",
    [
        "http://models.example.com/a",
        "https://models.example.com:8443/",
        "https://example.org/",
        "https://notexample.org/",
        "https://models.example.com.evil.example/",
        "https://example.com/",
        "http://10.0.0.5/",
        "http://10.0.0.5:9001/",
        "https://10.0.0.5/",
        "https://evil.example/",
        "https://fakehuggingface.co/",
    ],
)
def test_any_other_is_not(text: str) -> None:
    with pytest.raises(Refused, match=r"list of allowed hosts|plain HTTP"):
        HOSTS.refuse_unlisted(parse_url(text))


INNER = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:224.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a01:2:300::",
    "64:ff9b:1:1::808:808",
    "::127.0.0.1",
    "::8.8.8.8",
    "::169.254.169.254",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "fec0::1",
    "feff::1",
    "5f00::1",
    "3fff::1",
    "4000::1",
]


@pytest.mark.parametrize("text", INNER)
def test_an_inner_address_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::808:808"]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("inner", INNER)
def test_a_listed_name_that_leads_inside_is_refused(inner: str) -> None:
    url = parse_url("https://models.example.com/a")
    with pytest.raises(Refused, match="inner address"):
        HOSTS.address(url, lambda *_: ["8.8.8.8", inner])


def test_an_exact_entry_may_lead_inside() -> None:
    url = parse_url("https://inner.example.net:8443/a")
    assert HOSTS.address(url, lambda *_: ["10.1.2.3"]) == "10.1.2.3"


def test_a_name_is_resolved_once() -> None:
    """The first answer is judged and used: a second one, which could be another, is never asked for."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    assert HOSTS.address(parse_url("https://models.example.com/"), lambda *_: next(answers)) == "8.8.8.8"
    assert next(answers) == ["127.0.0.1"]


@given(st.text(max_size=60))
def test_whatever_is_written_is_parsed_or_refused(text: str) -> None:
    try:
        url = parse_url(f"https://{text}")
    except Refused:
        return
    assert url.host == url.host.lower()
    assert "@" not in str(url).partition("://")[2].partition("/")[0]
