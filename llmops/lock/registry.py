"""Image registries: the digest that a tag names, asked by the OCI distribution API with an anonymous token.

Called by `llmops.lock.resolving`. The digest is computed from the manifest's own bytes; what the registry says of it
must agree. https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import AllowList, Url, parse_url
from llmops.lock.answers import mapping
from llmops.lock.fetcher import Fetcher, NoSuchThing, Small, Unreachable

_DOCKER_HUB: Final = "registry-1.docker.io"
_MANIFEST_BYTES: Final = 4 << 20
_KINDS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
_NAME: Final = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class ImageName:
    """An image taken apart. Names without a host are Docker Hub's, as every tool has them."""

    host: str
    name: str
    tag: str


def parse_image(text: str) -> ImageName:
    """Raises: OperationFailed: it is no name of an image."""
    first, separator, rest = text.partition("/")
    is_host = bool(separator) and ("." in first or ":" in first or first == "localhost")
    found = _NAME.fullmatch(rest if is_host else text)
    if found is None:
        raise OperationFailed(f"`{text}` is no name of an image", exit_code=Exit.FINDINGS)
    host, name = first if is_host else "docker.io", found["name"]
    if host in ("docker.io", "index.docker.io"):
        host, name = _DOCKER_HUB, name if "/" in name else f"library/{name}"
    return ImageName(host=host, name=name, tag=found["tag"] or "latest")


@dataclass(frozen=True, kw_only=True)
class Registry:
    fetcher: Fetcher

    def digest(self, text: str) -> str:
        """The digest of what an image's tag names now: `sha256:…`.

        Raises:
            OperationFailed: it is not there, not open to everybody, or the registry cannot be reached.
        """
        image = parse_image(text)
        try:
            answer = self._manifest(image)
        except NoSuchThing as error:
            raise _refusal(text, error) from error
        found = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        said = answer.headers.get("docker-content-digest", found)
        if said != found:
            raise Unreachable(f"the registry of `{text}` says {said[:80]}, and sent a manifest of digest {found}")
        return found

    def _manifest(self, image: ImageName) -> Small:
        address = f"{_scheme(image.host, self.fetcher.allowed)}://{image.host}/v2/{image.name}/manifests/{image.tag}"
        accept = {"Accept": _KINDS}
        both = frozenset({200, 401})
        first = self.fetcher.small(address, headers=accept, accept=both, limit_bytes=_MANIFEST_BYTES)
        if first.status == 200:
            return first
        token = self._token(first.headers.get("www-authenticate", ""), image)
        origin = parse_url(address).origin

        def sign(method: str, url: Url) -> Mapping[str, str]:  # noqa: ARG001  # the port's
            return {"Authorization": f"Bearer {token}"} if url.origin == origin else {}

        return self.fetcher.small(address, headers=accept, sign=sign, limit_bytes=_MANIFEST_BYTES)

    def _token(self, challenge: str, image: ImageName) -> str:
        """An anonymous token for reading one repository, from where the registry says."""
        scheme, _, rest = challenge.partition(" ")
        asked = dict(_CHALLENGE.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in asked:
            raise OperationFailed(
                f"registry `{image.host}` gives no anonymous token",
                help="write the image by digest, `registry/name@sha256:…`: only public images are resolved",
            )
        scope = asked.get("scope", f"repository:{image.name}:pull")
        query = urlencode({"service": asked.get("service", image.host), "scope": scope})
        joint = "&" if "?" in asked["realm"] else "?"
        found = mapping(self.fetcher.small(f"{asked['realm']}{joint}{query}").json(), "the registry's token")
        token = found.get("token", found.get("access_token"))
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise Unreachable(f"registry `{image.host}` gave no token")
        return token


def _scheme(host: str, allowed: AllowList) -> str:
    """HTTPS, but for a port that the project lists: such a registry may be a plain one of the inner network."""
    name, _, port = host.rpartition(":")
    listed = port.isdecimal() and (name.strip("[]"), int(port)) in allowed.exact
    return "http" if listed and int(port) != 443 else "https"


def _refusal(text: str, error: NoSuchThing) -> OperationFailed:
    if error.status in (401, 403, 404):
        return OperationFailed(
            f"image `{text}` does not exist, or is not open to everybody",
            help="correct the name; or write a private image by digest, `registry/name@sha256:…`",
            exit_code=Exit.FINDINGS,
        )
    return error
