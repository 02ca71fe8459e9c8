"""The Hugging Face Hub, or a mirror that speaks its API: what a revision means, and which bytes it holds.

Called by `llmops.lock.resolving`. Large files are not read here: the Hub keeps them by their SHA-256 and says it in its
listing. Every other file is read and held to the Git object that the commit names for it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import Url, parse_url
from llmops.lock.answers import integer_at, mapping, sequence_at, text_at
from llmops.lock.fetcher import Fetcher, NoSuchThing, Small, Unreachable
from llmops_spec.digests import Json
from llmops_spec.lock import LockedFile
from llmops_spec.secret import SecretValue
from llmops_spec.sources import HUB, NAME_BELOW_PATTERN

_BELOW: Final = re.compile(NAME_BELOW_PATTERN)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_NEXT: Final = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_MOST_FILES: Final = 10_000
_MOST_PAGES: Final = 100
_SMALL_BYTES: Final = 64 << 20
"""No file that the Hub keeps in Git itself is longer; the Hub takes 10 MB at most."""


RepositoryKind: TypeAlias = Literal["models", "datasets"]


@dataclass(frozen=True, kw_only=True)
class ListedFile:
    """A file of a repository at one commit."""

    path: str
    bytes: int
    git: str
    """Git's object id."""
    sha256: str | None
    """For a large file, which Git holds a pointer to."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What a revision of a repository means."""

    commit: str
    gated: bool
    licence: str | None


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One repository as one user sees it."""

    fetcher: Fetcher
    endpoint: str
    kind: RepositoryKind
    name: str
    token: SecretValue | None = None

    def revision(self, revision: str) -> Revision:
        """Raises: OperationFailed: it is not there, not open to us, or the Hub cannot be reached."""
        found = mapping(self._get(f"revision/{quote(revision, safe='')}").json(), "the Hub's answer")
        called = text_at(found, "id")
        if called != self.name:
            raise OperationFailed(
                f"repository `{self.name}` is called `{called}` now",
                help="review who owns that, and write the name that you mean",
                exit_code=Exit.FINDINGS,
            )
        commit = text_at(found, "sha")
        if not _COMMIT.fullmatch(commit) or (_COMMIT.fullmatch(revision) and commit != revision):
            raise Unreachable(f"the Hub says that revision `{revision}` of `{self.name}` is `{commit[:40]}`")
        return Revision(commit=commit, gated=found.get("gated") not in (None, False), licence=_licence(found))

    def files(self, commit: str) -> list[ListedFile]:
        """Every file of a commit, sorted by path."""
        found: list[ListedFile] = []
        answer = self._get(f"tree/{commit}?recursive=true&expand=false")
        for _ in range(_MOST_PAGES):
            found += _listed(answer.json())
            if len(found) > _MOST_FILES:
                raise OperationFailed(f"repository `{self.name}` has more than {_MOST_FILES} files")
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return sorted(found, key=lambda one: one.path)
            there = parse_url(following[1])
            if there.origin != self._origin:
                raise Unreachable(f"the Hub's list of `{self.name}` goes on at another host, {there.host}")
            answer = self._ask(str(there))
        raise OperationFailed(f"the list of the files of `{self.name}` does not end")

    def locked(self, commit: str, one: ListedFile, keep: Callable[[bytes], object] | None = None) -> LockedFile:
        """Digest and size of a file. `keep` is given its bytes, where they must be read anyway or are asked for.

        Raises:
            Unreachable: the bytes are not those of the commit.
        """
        if one.sha256 is not None and keep is None:
            return LockedFile(sha256=one.sha256, bytes=one.bytes)
        if one.bytes > _SMALL_BYTES and one.sha256 is None:
            raise Unreachable(f"`{one.path}` of `{self.name}` has {one.bytes} bytes, and no digest in the list")
        git = hashlib.sha1(f"blob {one.bytes}\0".encode(), usedforsecurity=False)

        def take(chunk: bytes) -> None:
            git.update(chunk)
            if keep is not None:
                keep(chunk)

        read = self.fetcher.digest(self.address(commit, one.path), sign=self.sign, size=one.bytes, sink=take)
        same = read.sha256 == one.sha256 if one.sha256 is not None else git.hexdigest() == one.git
        if not same:
            raise Unreachable(
                f"`{one.path}` of `{self.name}` is not what {commit[:12]} names: its bytes were changed on the way"
            )
        return read

    def address(self, commit: str, path: str) -> str:
        """Where a file is downloaded."""
        kind = "" if self.kind == "models" else f"{self.kind}/"
        return f"{self.endpoint.rstrip('/')}/{kind}{self.name}/resolve/{commit}/{quote(path)}"

    def sign(self, method: str, url: Url) -> Mapping[str, str]:  # noqa: ARG002  # the port's
        """The token, for the endpoint itself and nobody it leads to."""
        if self.token is None or url.origin != self._origin:
            return {}
        return {"Authorization": f"Bearer {self.token.reveal()}"}

    @property
    def _origin(self) -> tuple[str, str, int]:
        return parse_url(self.endpoint).origin

    def _get(self, rest: str) -> Small:
        return self._ask(f"{self.endpoint.rstrip('/')}/api/{self.kind}/{self.name}/{rest}")

    def _ask(self, url: str) -> Small:
        try:
            return self.fetcher.small(url, sign=self.sign)
        except NoSuchThing as error:
            raise self._refusal(error) from error

    def _refusal(self, error: NoSuchThing) -> OperationFailed:
        """What the Hub's refusals mean."""
        code = error.headers.get("x-error-code", "")
        with_token = self.token is not None
        if code == "GatedRepo" or (error.status == 403 and code != "RepoNotFound"):
            return OperationFailed(
                f"repository `{self.name}` is gated, and "
                + ("this token may not read it" if with_token else "no token was given"),
                help=f"accept its terms at {self.endpoint.rstrip('/')}/{self.name}, then set HF_TOKEN,"
                " or name a secret in `Project.spec.sources.hub.token`",
            )
        if code == "RevisionNotFound":
            said, advice = f"repository `{self.name}` has no such revision", "name a branch, a tag or a commit of it"
        elif error.status in (401, 404):
            said = f"repository `{self.name}` does not exist, or is private"
            advice = "correct the name" + ("" if with_token else "; for a private one set HF_TOKEN")
        else:
            return error
        return OperationFailed(said, help=advice, exit_code=Exit.FINDINGS)


def token_may_go_to(endpoint: str) -> bool:
    """Whether a token is for this endpoint: the Hub itself, or the mirror that `HF_ENDPOINT` names.

    A project cannot send anybody's token elsewhere by naming a mirror of its own.
    """
    named = os.environ.get("HF_ENDPOINT", HUB)
    return endpoint.rstrip("/") in (HUB, named.rstrip("/"))


def _licence(found: Mapping[str, Json]) -> str | None:
    """The licence of the card: its SPDX-like id, or the name that goes with `other`."""
    card = found.get("cardData")
    if not isinstance(card, Mapping):
        return None
    named = card.get("license")
    if named == "other" and isinstance(other := card.get("license_name"), str):
        named = other
    return named[:100] if isinstance(named, str) and named.isprintable() else None


def _listed(answer: Json) -> Iterator[ListedFile]:
    for one in sequence_at({"files": answer}, "files"):
        entry = mapping(one, "an entry of the Hub's list")
        if entry.get("type") != "file":
            continue
        large = entry.get("lfs")
        pointer = mapping(large, "the entry of a large file") if large is not None else None
        yield ListedFile(
            path=safe_name(text_at(entry, "path")),
            bytes=integer_at(pointer if pointer is not None else entry, "size"),
            git=text_at(entry, "oid"),
            sha256=_sha256(text_at(pointer, "oid")) if pointer is not None else None,
        )


def _sha256(text: str) -> str:
    found = text.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise Unreachable("the Hub's list has a large file without a SHA-256")
    return found


def safe_name(path: str) -> str:
    """The name of a file as a server gives it, where it stays below the folder that it is put in.

    Raises:
        Unreachable: it does not, or holds what cannot be shown.
    """
    if len(path) > 512 or not path.isprintable() or not _BELOW.fullmatch(path):
        shown = "".join(one if one.isprintable() else "?" for one in path)[:80]
        raise Unreachable(f"a server names a file `{shown}`, which is no name below a folder")
    return path
