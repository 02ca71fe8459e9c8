"""Object stores that speak S3: what lies below a prefix, and how requests are signed.

Called by `llmops.lock.resolving`. Credentials come from the variables that Amazon's own tools read
(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`); without them requests are anonymous, and
so they are to a store that only the project names. A signature holds no secret and is good for one host, one request
and fifteen minutes; a session's token beside it is a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit
from xml.etree import ElementTree as ET

from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import Url, parse_url
from llmops.lock.fetcher import Fetcher, NoSuchThing, Small, Unreachable
from llmops_spec.lock import LockedFile
from llmops_spec.secret import SecretValue
from llmops_spec.sources import FromS3

_MOST_OBJECTS: Final = 10_000
_LONGEST_KEY: Final = 1024
"""In bytes of UTF-8. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
_EMPTY: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Credentials:
    key_id: str
    secret: SecretValue
    session: SecretValue | None = None


def credentials_from_environment() -> Credentials | None:
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    session = os.environ.get("AWS_SESSION_TOKEN")
    return Credentials(key_id=key_id, secret=SecretValue(secret), session=SecretValue(session) if session else None)


def credentials_may_go_to(endpoint: str | None) -> bool:
    """Whether keys are for this endpoint: Amazon's own, or the store that the user's variables name, as Amazon's tools
    read them.

    A project cannot have anybody's keys sent elsewhere, or in the clear, by naming a store of its own.
    """
    if endpoint is None:
        return True  # by HTTPS
    named = (os.environ.get(name, "").rstrip("/") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return endpoint.rstrip("/") in {one for one in named if one}


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket, with the part of its names that a source speaks of."""

    fetcher: Fetcher
    source: FromS3
    credentials: Credentials | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def name(self) -> str:
        return urlsplit(self.source.uri).netloc

    @property
    def key(self) -> str:
        """What follows the bucket in the address: one object, or a folder."""
        return self.source.uri.removeprefix(f"s3://{self.name}").removeprefix("/")

    def objects(self) -> dict[str, int]:
        """Names below the folder, with their sizes in bytes.

        Raises:
            OperationFailed: the bucket is not there, not open to us, empty there, or cannot be reached.
        """
        prefix = f"{self.key.rstrip('/')}/" if self.key.strip("/") else ""
        found: dict[str, int] = {}
        token: str | None = None
        while True:
            query = f"list-type=2&prefix={quote(prefix, safe='')}"
            query += f"&continuation-token={quote(token, safe='')}" if token is not None else ""
            page = _page(self._ask(f"{self._base}?{query}").body)
            found |= {_below(prefix, name): size for name, size in page.objects if not name.endswith("/")}
            if len(found) > _MOST_OBJECTS:
                raise OperationFailed(f"`{self.source.uri}` holds more than {_MOST_OBJECTS} objects")
            if page.following is None:
                break
            token = page.following
        if not found:
            raise OperationFailed(f"`{self.source.uri}` holds nothing", exit_code=Exit.FINDINGS)
        return found

    def locked(
        self, name: str, size: int | None, advance: Callable[[int], None], keep: Callable[[bytes], object] | None = None
    ) -> LockedFile:
        """Digest and size of an object: as the store has them where it checked a SHA-256 itself, else by reading it."""
        if keep is None and (stored := self._stored_digest(name)) is not None:
            return stored
        try:
            return self.fetcher.digest(self.address(name), sign=self.sign, size=size, advance=advance, sink=keep)
        except NoSuchThing as error:
            raise self._refusal(error) from error

    def address(self, name: str) -> str:
        """Where an object below the folder is downloaded; the object of the address itself where `name` is empty."""
        folder = f"{self.key.rstrip('/')}/" if self.key.strip("/") else ""
        return f"{self._base}{quote(folder + name if name else self.key)}"

    @property
    def _base(self) -> str:
        if self.source.endpoint is not None:
            return f"{self.source.endpoint.rstrip('/')}/{self.name}/"
        host = f"s3.{self.source.region}.amazonaws.com"
        return f"https://{host}/{self.name}/" if "." in self.name else f"https://{self.name}.{host}/"

    def _stored_digest(self, name: str) -> LockedFile | None:
        def sign(method: str, url: Url) -> Mapping[str, str]:
            return self._signed(method, url, {"x-amz-checksum-mode": "ENABLED"})

        try:
            found = self.fetcher.small(self.address(name), method="HEAD", sign=sign)
        except NoSuchThing as error:
            raise self._refusal(error) from error
        text, length = found.headers.get("x-amz-checksum-sha256", ""), found.headers.get("content-length", "")
        if found.headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT" or not length.isdecimal():
            return None  # of a multipart upload it is a digest of digests
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
        return LockedFile(sha256=raw.hex(), bytes=int(length)) if len(raw) == 32 else None

    def _ask(self, url: str) -> Small:
        try:
            return self.fetcher.small(url, sign=self.sign)
        except NoSuchThing as error:
            raise self._refusal(error) from error

    def _refusal(self, error: NoSuchThing) -> OperationFailed:
        uri = self.source.uri
        region = error.headers.get("x-amz-bucket-region")
        if region is not None and region != self.source.region and error.status in (301, 307, 400):
            said, advice = f"bucket `{self.name}` is in region `{region}`", f"write `region: {region}`"
        elif error.status == 404:
            said, advice = f"`{uri}` does not exist", "correct the address"
        elif error.status in (401, 403):
            said = f"`{uri}` is not open to " + ("these credentials" if self.credentials else "everybody")
            also = ""
            if not credentials_may_go_to(self.source.endpoint):
                also = (
                    f", and AWS_ENDPOINT_URL_S3={self.source.endpoint}: a store that only the project names gets no key"
                )
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may read it" + also
            return OperationFailed(said, help=advice)
        else:
            return error
        return OperationFailed(said, help=advice, exit_code=Exit.FINDINGS)

    def sign(self, method: str, url: Url) -> Mapping[str, str]:
        """Headers that sign a request for this store's own host; none for any other, and none without credentials."""
        return self._signed(method, url, {})

    def _signed(self, method: str, url: Url, extra: Mapping[str, str]) -> Mapping[str, str]:
        if self.credentials is None or url.origin != parse_url(self._base).origin:
            return extra
        return sign_request(method, url, extra, self.credentials, region=self.source.region, now=self.now())


def sign_request(
    method: str, url: Url, headers: Mapping[str, str], credentials: Credentials, *, region: str, now: datetime
) -> dict[str, str]:
    """The headers of a request without a body, signed by AWS Signature Version 4 for the service `s3`.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    sent = {**headers, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    if credentials.session is not None:
        sent["x-amz-security-token"] = credentials.session.reveal()
    signed = {name.lower(): value.strip() for name, value in {**sent, "host": url.authority}.items()}
    names = ";".join(sorted(signed))
    path, _, query = url.target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    request = "\n".join(
        (
            method,
            path,
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            _EMPTY,
        )
    )
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret.reveal()}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    given = f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": given}


def _below(prefix: str, key: str) -> str:
    """The name of an object below the folder that was asked for. Raises: Unreachable: it is not there, or no key."""
    if not key.startswith(prefix) or len(key.encode()) > _LONGEST_KEY:
        raise Unreachable("the object store's list holds what was not asked for")
    return key.removeprefix(prefix)


@dataclass(frozen=True, kw_only=True)
class _Page:
    objects: tuple[tuple[str, int], ...]
    following: str | None


def _page(body: bytes) -> _Page:
    """One page of a listing. Raises: Unreachable: it is none."""
    if re.search(rb"<!(DOCTYPE|ENTITY)", body, re.IGNORECASE):
        raise Unreachable("the object store's list declares entities, which no list does")
    try:
        root = ET.fromstring(body)  # noqa: S314  # without entities there is nothing to expand
        objects = tuple(_objects(root))
    except (ET.ParseError, ValueError) as error:
        raise Unreachable("the object store's list is not what S3 answers") from error
    return _Page(objects=objects, following=root.findtext("{*}NextContinuationToken"))


def _objects(root: ET.Element) -> Iterator[tuple[str, int]]:
    """Raises: ValueError: a size is no number."""
    for one in root.iterfind("{*}Contents"):
        yield one.findtext("{*}Key") or "", int(one.findtext("{*}Size") or "")
