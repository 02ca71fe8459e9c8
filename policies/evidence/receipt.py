"""A receipt: who made a stored result, signed, so that a store can be shared with people who may write to it.

Decisions are signed for what they say; receipts for where the results under them come from. Without one, a result
planted in a shared store would be believed, and the next decision signed over it. Pure: bytes in, bytes out.
"""

from __future__ import annotations

from typing import Final

from llmops_spec.digests import canonical
from llmops_spec.formats import refuse_newer
from policies.evidence.envelope import EnvelopeRefused, KeyPair, opened, seal, signed_by
from policies.evidence.statement import STATEMENT_TYPE
from policies.evidence.strict_json import JsonRefused, parse_object
from policies.evidence.trust import Trust, TrustedKey

PREDICATE: Final = "https://llmops.dev/attestations/receipt/v1"


def sign_receipt(step_key: str, manifest_digest: str, key: KeyPair) -> bytes:
    """The envelope that says: the result of this step is the one with this manifest."""
    return seal(_payload(step_key, manifest_digest), key)


def receipt_holds(data: bytes, step_key: str, manifest_digest: str, trust: Trust) -> bool:
    """Whether an envelope is a receipt for exactly this result, by a key that may decide and is not revoked."""
    return bool(trusted_signers(data, trust)) and opened(data).payload == _payload(step_key, manifest_digest)


def refuse_newer_statement(data: bytes, predicate_type: str, document: str, trust: Trust) -> None:
    """Refuse what a key of the trust file signed under a later version of a predicate type, which ends in `/v<n>`.

    Raises:
        NewerFormat: a newer llmops wrote it.
    """
    stem, _, known = predicate_type.rpartition("/v")
    if not trusted_signers(data, trust):
        return
    try:
        kind, _, found = str(parse_object(opened(data).payload).get("predicateType")).rpartition("/v")
    except JsonRefused:
        return
    if kind == stem and found.isdecimal():
        refuse_newer(int(found), int(known), document)


def trusted_signers(data: bytes, trust: Trust) -> tuple[TrustedKey, ...]:
    """Who signed an envelope, where all of them may decide and none is revoked; nobody for anything else."""
    try:
        envelope = opened(data)
    except EnvelopeRefused:
        return ()
    keys = [trust.key(keyid) for keyid, _ in envelope.signatures]
    known = tuple(one for one in keys if one is not None and one.role == "decide")
    if not known or len(known) != len(keys) or {envelope.digest, *(one.keyid for one in known)} & set(trust.revoked):
        return ()
    return known if signed_by(envelope, [one.public for one in known]) else ()


def _payload(step_key: str, manifest_digest: str) -> bytes:
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": step_key, "digest": {"sha256": manifest_digest}}],
            "predicateType": PREDICATE,
            "predicate": {},
        }
    )
