"""Whom an environment believes: the trust file, which lies outside the repository.

Parsed by `llmops` from bytes, read by `verify`. What a pull request can write, it could also sign for; so nothing
in a repository adds a key, accepts rules or lowers the assurance that a tier asks for.
"""

from __future__ import annotations

import json
from typing import ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, field_validator, model_validator

from llmops_spec.base import SpecModel
from llmops_spec.formats import MachineWritten
from llmops_spec.store import StepKey
from policies.evidence.envelope import KeyPair, keyid_of
from policies.evidence.statement import Assurance, KeyAssurance
from policies.evidence.strict_json import JsonRefused, parse_object

TRUST_FORMAT: Final = 1
STRENGTH: Final[dict[Assurance, int]] = {"bootstrap": 0, "local": 0, "ci": 1}
"""`bootstrap` is as good as `local` wherever that is enough, but in a production tier, where it never counts."""


class TrustInvalid(ValueError):  # noqa: N818  # reads as what it says
    """The trust file cannot be used; the message says why."""


class TrustedKey(SpecModel):
    keyid: StepKey
    """SHA-256 of the public key's 32 bytes."""
    public: StepKey
    """An Ed25519 public key: 32 bytes in hexadecimal."""
    role: Literal["decide", "approve"] = "decide"
    """What its signature counts for."""
    assurance: KeyAssurance = "local"
    """The most that a statement signed by it may claim."""
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    """A successor's `notBefore` lies before this, so that both count for a while."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if keyid_of(self.public) != self.keyid:
            raise ValueError("`keyid` is not the SHA-256 of `public`")
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise ValueError("`notBefore` is not before `notAfter`")
        return self


class RequiredAssurance(SpecModel):
    """By tier of the environment."""

    development: KeyAssurance = "local"
    staging: KeyAssurance = "local"
    production: KeyAssurance = "ci"


class Trust(MachineWritten):
    FORMAT: ClassVar[int] = TRUST_FORMAT
    DOCUMENT: ClassVar[str] = "the trust file"

    format_version: int = TRUST_FORMAT
    keys: list[TrustedKey] = Field(default_factory=list)
    accepted_policies: list[StepKey] | None = None
    """Digests of policy rules that count. Left out: whatever rules are in force where evidence is checked."""
    required_assurance: RequiredAssurance = Field(default_factory=RequiredAssurance)
    max_age_days: int | None = Field(default=None, ge=1, le=36500)
    """Decisions that are older count no more. Left out: age does not matter, what was decided about is the same."""
    revoked: list[StepKey] = Field(default_factory=list)
    """Key ids, and digests of envelopes, that count no more."""

    @field_validator("keys")
    @classmethod
    def _distinct(cls, keys: list[TrustedKey]) -> list[TrustedKey]:
        if len({one.keyid for one in keys}) != len(keys):
            raise ValueError("a key is listed twice")
        return keys

    def key(self, keyid: str) -> TrustedKey | None:
        return next((one for one in self.keys if one.keyid == keyid), None)

    def with_key(self, pair: KeyPair, *, assurance: KeyAssurance = "local") -> Trust:
        """This, with one more key that may decide."""
        added = TrustedKey(keyid=pair.keyid, public=pair.public, assurance=assurance)
        return self.model_copy(update={"keys": [*self.keys, added]})

    def to_bytes(self) -> bytes:
        """The file's content, for people to read and edit."""
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return (json.dumps(value, indent=2) + "\n").encode()


def parse_trust(data: bytes) -> Trust:
    """Read a trust file.

    Raises:
        TrustInvalid: it says nothing that could be relied on.
        NewerFormat: a newer llmops wrote it.
    """
    try:
        value = parse_object(data)
        if not isinstance(value.get("formatVersion"), int):
            raise TrustInvalid("the trust file has no `formatVersion`")
        return Trust.model_validate_json(data, by_alias=True, by_name=False)
    except JsonRefused as error:
        raise TrustInvalid(f"the trust file is {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TrustInvalid(f"the trust file, at `{place}`: {first['msg']}") from error
