"""The proxy of a company, where the environment, or on a Mac the system, names one: HTTPS goes through its tunnel.

Called by `llmops.lock.fetcher`. The variables are those that curl and pip read: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`,
in lower case too. They belong to whoever runs the command, never to the project. Behind a proxy the host's name is
resolved by the proxy, so inner addresses behind a public name are the proxy's to refuse; the host list, numbers in
URLs, certificates and every limit are still ours. Plain HTTP, which only listed ports speak, is never proxied.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from llmops.errors import OperationFailed
from llmops.lock.addresses import Url


@dataclass(frozen=True, kw_only=True)
class Proxy:
    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def proxy_for(url: Url) -> Proxy | None:
    """The proxy that the environment names for a URL.

    Raises:
        OperationFailed: what it names is no address of a proxy.
    """
    if url.scheme != "https":
        return None
    named = getproxies()
    text = named.get("https") or named.get("all")
    if not text or proxy_bypass(url.authority):
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port or 8080
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme != "http" or host is None:
        raise OperationFailed(
            "the variable HTTPS_PROXY names no proxy that is spoken to by HTTP",
            help="set it to `http://host:port`, or name the host in NO_PROXY",
        )
    if parts.username is None:
        return Proxy(host=host, port=port)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host=host, port=port, headers={"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"})
