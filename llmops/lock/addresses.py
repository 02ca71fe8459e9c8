"""Which addresses the fetcher may speak to: URLs without tricks, hosts on a list, and no inner network behind a name.

Called for the first URL of every request and for each redirect. Nothing here opens a connection.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urljoin, urlsplit

from llmops.errors import Exit, OperationFailed

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Host and port to the texts of its addresses. Raises: OSError."""

DEFAULT_HOSTS: Final = (
    "huggingface.co",
    ".huggingface.co",
    ".hf.co",
    ".amazonaws.com",
    "registry-1.docker.io",
    "auth.docker.io",
    "ghcr.io",
    "quay.io",
    "nvcr.io",
    ".nvcr.io",
    "authn.nvidia.com",
    "public.ecr.aws",
    "gcr.io",
    "registry.k8s.io",
    ".pkg.dev",
)
"""The Hub with the servers of its large files, Amazon S3, and well-known registries with those of their tokens."""

_PRINTABLE: Final = re.compile(r"[!-~]+")
_HOST_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_NUMBER_LIKE: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/96"))
"""Translated by everybody alike (RFC 6052), and by a network of one's own (RFC 8215) as most write it."""
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that was ever given to the Internet. Site-local addresses, segments of routes (`5f00::/16`) and the old
ways to carry an IPv4 address (`::/96`, `::ffff:0:0:0/96`) lie outside.
https://www.iana.org/assignments/ipv6-address-space"""
_DOCUMENTED: Final = ipaddress.IPv6Network("3fff::/20")
"""For examples (RFC 9637); the standard library does not know it everywhere."""
_PORTS: Final = {"https": 443, "http": 80}


class Refused(OperationFailed):
    """An address that the project may not reach. What was written, or what a server answered, is at fault."""

    def __init__(self, what: str, *, help: str = "") -> None:  # noqa: A002  # as printed
        super().__init__(what, help=help, exit_code=Exit.FINDINGS)


@dataclass(frozen=True, kw_only=True)
class Url:
    """A URL that says what it seems to say."""

    scheme: str
    host: str
    """Lower case; an IPv6 address without its brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """As the `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """For people: without the query, which may hold a signature."""
        return str(self).partition("?")[0]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """A URL taken apart, or refused.

    Raises:
        Refused: another scheme than HTTP; a user, a fragment, a backslash, a blank or anything invisible; a host that
            is a number in disguise, such as `0177.0.0.1` or `2852039166`.
    """
    if not _PRINTABLE.fullmatch(text) or "\\" in text or "#" in text:
        raise Refused(f"`{_shown(text)}` is not a plain URL", help="write it in printable ASCII, without `\\` and `#`")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Refused(f"`{_shown(text)}` is not a URL: {error}") from error
    if parts.scheme not in _PORTS:
        raise Refused(f"`{_shown(text)}` has the scheme `{parts.scheme}`", help="only https, and http where allowed")
    if "@" in parts.netloc:
        raise Refused(f"a URL of `{parts.hostname}` has a user or a password in it", help="name secrets by reference")
    host = (parts.hostname or "").lower()
    _refuse_disguised(host, text)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], target=target)


def join_url(base: Url, location: str) -> Url:
    """Where a redirect leads."""
    return parse_url(urljoin(str(base), location))


def _shown(text: str) -> str:
    """A URL for people: nothing invisible, no query, which may hold a signature."""
    return "".join(one if one.isprintable() else "?" for one in text.partition("?")[0])[:200]


def _refuse_disguised(host: str, text: str) -> None:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)  # a zone, as in `fe80::1%eth0`, is in none of ours
        except ValueError as error:
            raise Refused(f"`{_shown(text)}` names no host") from error
        if "%" in host:
            raise Refused(f"`{_shown(text)}` names a network of this machine")
        return
    if not _HOST_NAME.fullmatch(host) or len(host) > 253:
        raise Refused(f"`{_shown(text)}` names no host", help="write the host's name in ASCII letters, digits, hyphens")
    if _NUMBER_LIKE.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)  # four decimal numbers, no leading zeros
        except ValueError as error:
            raise Refused(f"`{host}` is an address in disguise", help="write four decimal numbers") from error


@dataclass(frozen=True, kw_only=True)
class AllowList:
    """Hosts that may be asked. Built from the project's list and the product's own."""

    names: frozenset[str]
    """`models.example.com`, or `.example.com` for all below it: HTTPS on its usual port, public addresses only."""
    exact: frozenset[tuple[str, int]]
    """Host and port that may also be an inner address, and plain HTTP."""

    @classmethod
    def of(cls, written: Iterable[str]) -> AllowList:
        """From what a project writes: entries with a port are exact."""
        exact: set[tuple[str, int]] = set()
        names: set[str] = set(DEFAULT_HOSTS)
        for entry in written:
            host, separator, port = entry.rpartition(":")
            if separator and port.isdecimal() and not entry.endswith("]"):
                exact.add((host.strip("[]"), int(port)))
            else:
                names.add(entry.strip("[]"))
        return cls(names=frozenset(names), exact=frozenset(exact))

    def refuse_unlisted(self, url: Url) -> None:
        """Raises: Refused: the host is on no list, or the scheme is not for it."""
        if (url.host, url.port) in self.exact:
            return
        if url.scheme != "https":
            raise Refused(
                f"`{url.authority}` would be asked by plain HTTP",
                help=f"use https, or add `{url.host}:{url.port}` to `Project.spec.sources.allowedHosts`",
            )
        parents = {url.host[index:] for index, one in enumerate(url.host) if one == "."}
        if url.port != _PORTS["https"] or not ({url.host} | parents) & self.names:
            raise Refused(
                f"host `{url.authority}` is not on the list of allowed hosts",
                help=f"if it is meant, add `{url.authority}` to `Project.spec.sources.allowedHosts`",
            )

    def address(self, url: Url, resolve: Resolver) -> str:
        """The one address to connect to. The name is resolved here, once, and not again by whoever connects.

        Raises:
            Refused: the host is not listed, or one of its addresses is not public and host and port are not listed.
            OSError: the name cannot be resolved.
        """
        self.refuse_unlisted(url)
        found = resolve(url.host, url.port)
        if not found:
            raise OSError(f"`{url.host}` has no address")
        if (url.host, url.port) not in self.exact:
            for one in found:
                if not is_public(ipaddress.ip_address(one.partition("%")[0])):
                    raise Refused(
                        f"`{url.host}` leads to the inner address {one}",
                        help=f"if it is meant, add `{url.host}:{url.port}` to `Project.spec.sources.allowedHosts`",
                    )
        return found[0]


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may have it: not private, loopback, link-local, shared, reserved or multicast.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, Teredo, NAT64) is judged by that too.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(address in one for one in _NAT64):
            carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [one for one in carried if one is not None]
        if inner:
            return all(is_public(one) for one in inner)
        if address not in _UNICAST or address in _DOCUMENTED:
            return False
    return address.is_global and not address.is_multicast


def system_resolver(host: str, port: int) -> list[str]:
    """Addresses as the system knows them, in its order of preference. Raises: OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
