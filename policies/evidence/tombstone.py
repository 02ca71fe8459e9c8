"""A tombstone: who gave a stored result up, signed, so that other users of the store can tell that from tampering.

It names one result by its step key and its manifest's digest, so it excuses the absence of nothing else. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llmops_spec.digests import Json, canonical
from policies.evidence.envelope import KeyPair, opened, seal
from policies.evidence.receipt import refuse_newer_statement, trusted_signers
from policies.evidence.statement import STATEMENT_TYPE
from policies.evidence.strict_json import parse_object
from policies.evidence.trust import Trust

PREDICATE: Final = "https://llmops.dev/attestations/tombstone/v1"


@dataclass(frozen=True, kw_only=True)
class Tombstone:
    step_key: str
    manifest_digest: str
    number: int
    """Counts the tombstones of one key, so that a result made again needs another one to go again."""
    name: str
    """Who gave it up: a step, or `gc`."""

    def statement(self) -> bytes:
        body: dict[str, Json] = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.step_key, "digest": {"sha256": self.manifest_digest}}],
            "predicateType": PREDICATE,
            "predicate": {"number": self.number, "givenUpBy": self.name},
        }
        return canonical(body)


@dataclass(frozen=True, kw_only=True)
class FoundTombstone:
    tombstone: Tombstone
    keyid: str
    digest: str
    """Of the envelope: what a journal remembers, so that each counts once."""


def sign_tombstone(tombstone: Tombstone, key: KeyPair) -> bytes:
    return seal(tombstone.statement(), key)


def read_tombstone(
    data: bytes, step_key: str, manifest_digest: str, number: int, trust: Trust
) -> FoundTombstone | None:
    """The tombstone of exactly this result, by a key that may decide and is not revoked; None for anything else.

    Raises:
        NewerFormat: a newer llmops wrote it.
    """
    refuse_newer_statement(data, PREDICATE, f"a tombstone of {step_key[:12]}", trust)
    signers = trusted_signers(data, trust)
    if not signers:
        return None
    envelope = opened(data)
    name = _given_up_by(envelope.payload)
    found = Tombstone(step_key=step_key, manifest_digest=manifest_digest, number=number, name=name)
    if envelope.payload != found.statement():
        return None
    return FoundTombstone(tombstone=found, keyid=signers[0].keyid, digest=envelope.digest)


def _given_up_by(payload: bytes) -> str:
    """What the signer wrote there; all the rest of the statement is held against what is expected."""
    predicate = parse_object(payload).get("predicate")
    name = predicate.get("givenUpBy") if isinstance(predicate, dict) else None
    return name if isinstance(name, str) else ""
