"""The digest that a tag names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from llmops.errors import OperationFailed
from llmops.lock.addresses import Refused
from llmops.lock.fetcher import Fetcher, Unreachable
from llmops.lock.registry import ImageName, Registry, parse_image
from tests.unit.llmops.lock.conftest import Answer, Asked, Reply, Slept, Web, fetcher_of

MANIFEST = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@pytest.mark.parametrize(
    ("text", "host", "name", "tag"),
    [
        ("python", "registry-1.docker.io", "library/python", "latest"),
        ("python:3.11", "registry-1.docker.io", "library/python", "3.11"),
        ("some/model", "registry-1.docker.io", "some/model", "latest"),
        ("docker.io/some/model:1", "registry-1.docker.io", "some/model", "1"),
        ("registry.example/a/b/c:v1", "registry.example", "a/b/c", "v1"),
        ("localhost:5000/a:1", "localhost:5000", "a", "1"),
        ("127.0.0.1:5000/a:1", "127.0.0.1:5000", "a", "1"),
    ],
)
def test_an_image_is_named_as_every_tool_has_it(text: str, host: str, name: str, tag: str) -> None:
    assert parse_image(text) == ImageName(host=host, name=name, tag=tag)


@pytest.mark.parametrize(
    "text", ["", "Upper/case", "a:b:c", "a/../b", "registry.example/a b", "a@sha256:12", "/a", "a//b"]
)
def test_what_is_no_image_is_told(text: str) -> None:
    with pytest.raises(OperationFailed, match="no name of an image"):
        parse_image(text)


class TokenRegistry:
    """A registry that shows a manifest to whoever holds the token that its realm gives away."""

    def __init__(self, realm: str, manifest: Reply) -> None:
        self.realm = realm
        self.manifest = manifest

    def reply(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") == "Bearer anonymous":
            return self.manifest
        challenge = f'Bearer realm="{self.realm}",service="registry.example",scope="repository:a/b:pull"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})


def serve(web: Web, registry: TokenRegistry, token: Answer) -> None:
    answer = web.answer

    def by_token(asked: Asked) -> Answer | list[Answer]:
        return registry.reply(asked) if asked.target.startswith("/v2/") else answer(asked)

    web.answer = by_token  # pyright: ignore[reportAttributeAccessIssue]  # a double
    web.pages["/token"] = token


def test_a_tag_is_resolved_with_an_anonymous_token(web: Web, fetcher: Fetcher) -> None:
    manifest = Reply(body=MANIFEST, headers={"Docker-Content-Digest": DIGEST})
    serve(web, TokenRegistry(f"{web.url}/token", manifest), Reply(body=b'{"token": "anonymous"}'))
    assert Registry(fetcher=fetcher).digest(f"{web.host}/a/b:1") == DIGEST
    first, asked, last = web.asked
    assert (first.target, last.target) == ("/v2/a/b/manifests/1", "/v2/a/b/manifests/1")
    assert asked.target == "/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull"
    assert "authorization" not in asked.headers
    assert "index.v1+json" in first.headers["accept"]


def test_an_open_registry_needs_none(web: Web, fetcher: Fetcher) -> None:
    web.pages["/v2/a/manifests/latest"] = Reply(body=MANIFEST)
    assert Registry(fetcher=fetcher).digest(f"{web.host}/a") == DIGEST
    assert len(web.asked) == 1


def test_a_digest_that_is_not_the_manifests_is_refused(web: Web, fetcher: Fetcher) -> None:
    web.pages["/v2/a/manifests/1"] = Reply(body=MANIFEST, headers={"Docker-Content-Digest": "sha256:" + "0" * 64})
    with pytest.raises(Unreachable, match="sent a manifest of digest"):
        Registry(fetcher=fetcher).digest(f"{web.host}/a:1")


def test_a_realm_elsewhere_is_refused(web: Web, new_web: Callable[[], Web], slept: Slept) -> None:
    other = new_web()
    serve(web, TokenRegistry(f"{other.url}/token", Reply(body=MANIFEST)), Reply(status=404))
    with pytest.raises(Refused):
        Registry(fetcher=fetcher_of(web, slept=slept)).digest(f"{web.host}/a/b:1")
    assert other.asked == []


@pytest.mark.parametrize("token", [b"{}", b'{"token": 1}', b'{"token": "a\\r\\nHost: b"}', b'{"token": ""}'])
def test_a_token_that_is_none_is_refused(web: Web, fetcher: Fetcher, token: bytes) -> None:
    serve(web, TokenRegistry(f"{web.url}/token", Reply(body=MANIFEST)), Reply(body=token))
    with pytest.raises(Unreachable, match="gave no token"):
        Registry(fetcher=fetcher).digest(f"{web.host}/a/b:1")


def test_what_is_not_there_or_not_open_is_told(web: Web, fetcher: Fetcher) -> None:
    with pytest.raises(OperationFailed, match="does not exist, or is not open"):
        Registry(fetcher=fetcher).digest(f"{web.host}/a:1")
    basic = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    web.pages["/v2/a/manifests/1"] = basic
    with pytest.raises(OperationFailed, match="no anonymous token"):
        Registry(fetcher=fetcher).digest(f"{web.host}/a:1")


def test_a_registry_that_is_not_listed_is_not_asked(web: Web, new_web: Callable[[], Web], slept: Slept) -> None:
    other = new_web()
    with pytest.raises(Refused, match="not on the list of allowed hosts"):
        Registry(fetcher=fetcher_of(web, slept=slept)).digest(f"{other.host}/a:1")
    assert other.asked == []
