"""Keys, the trust file, and the statements as others would read them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from llmops_spec.digests import digest
from policies.evidence.envelope import load_key, new_key, opened, seal, signed_by
from policies.evidence.statement import GateEvidence, instant, subjects
from policies.evidence.trust import Trust, TrustInvalid, parse_trust
from policies.evidence.verify import sign_decision

KEY = new_key(bytes(32))
PEM = KEY.private_pem


def test_equal_randomness_makes_equal_keys_and_other_randomness_others() -> None:
    assert new_key(bytes(32)) == KEY
    assert new_key(bytes(31) + b"\x01").keyid != KEY.keyid


def test_a_key_survives_its_file() -> None:
    assert load_key(PEM) == KEY


def test_a_key_does_not_show_its_private_half() -> None:
    body = PEM.decode().splitlines()[1]
    assert body not in repr(KEY)
    assert body not in str(KEY)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_needs_all_of_its_randomness(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_key(bytes(length))


def _pem_of_another_kind() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _encrypted_pem() -> bytes:
    key = load_pem_private_key(PEM, password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize("pem", [b"", b"nothing", _pem_of_another_kind(), _encrypted_pem(), PEM[:60]])
def test_what_is_no_key_of_ours_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="the key file holds"):
        load_key(pem)


def test_a_seal_is_byte_stable_and_holds() -> None:
    sealed = seal(b"{}", KEY)
    assert sealed == seal(b"{}", KEY)
    assert signed_by(opened(sealed), [KEY.public])
    assert not signed_by(opened(sealed), [new_key(b"x" * 32).public])
    assert not signed_by(opened(sealed), [])


def test_a_trust_file_survives_being_written() -> None:
    trust = Trust().with_key(KEY, assurance="ci").model_copy(update={"revoked": ["a" * 64], "accepted_policies": []})
    assert parse_trust(trust.to_bytes()) == trust
    assert PEM.decode().splitlines()[1] not in trust.to_bytes().decode()


def test_the_first_trust_file_asks_more_of_production() -> None:
    trust = parse_trust(Trust().with_key(KEY).to_bytes())
    assert [trust.required_assurance.development, trust.required_assurance.production] == ["local", "ci"]
    assert trust.keys[0].assurance == "local"


def entry(**more: object) -> dict[str, object]:
    return {"keyid": KEY.keyid, "public": KEY.public, **more}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "formatVersion"),
        ({"formatVersion": "1"}, "formatVersion"),
        ({"formatVersion": 1, "kyes": []}, "kyes"),
        ({"formatVersion": 1, "keys": [entry(), entry()]}, "listed twice"),
        ({"formatVersion": 1, "keys": [entry(keyid="a" * 64)]}, "not the SHA-256"),
        ({"formatVersion": 1, "keys": [entry(role="admin")]}, "keys.0.role"),
        ({"formatVersion": 1, "keys": [entry(assurance="full")]}, "keys.0.assurance"),
        ({"formatVersion": 1, "keys": [entry(public="A" * 64)]}, "keys.0.public"),
        ({"formatVersion": 1, "keys": [entry(notBefore="2026-01-01T00:00:00")]}, "notBefore"),
        (
            {"formatVersion": 1, "keys": [entry(notBefore="2026-02-01T00:00:00Z", notAfter="2026-01-01T00:00:00Z")]},
            "not before",
        ),
        ({"formatVersion": 1, "requiredAssurance": {"production": "none"}}, "requiredAssurance.production"),
        ({"formatVersion": 1, "requiredAssurance": {"staging": "bootstrap"}}, "requiredAssurance.staging"),
        ({"formatVersion": 1, "keys": [entry(assurance="bootstrap")]}, "keys.0.assurance"),
        ({"formatVersion": 1, "maxAgeDays": 0}, "maxAgeDays"),
        ({"formatVersion": 1, "revoked": ["x"]}, "revoked.0"),
        ({"formatVersion": 1, "acceptedPolicies": "all"}, "acceptedPolicies"),
    ],
)
def test_a_trust_file_is_closed_and_strict(value: dict[str, object], said: str) -> None:
    with pytest.raises(TrustInvalid, match=said):
        parse_trust(json.dumps(value).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"formatVersion":1,"keys":[],"keys":[]}', b"\xff", b'{"formatVersion":NaN}']
)
def test_what_is_no_trust_file_is_refused(data: bytes) -> None:
    with pytest.raises(TrustInvalid):
        parse_trust(data)


EVIDENCE = GateEvidence(
    gate="quality",
    environment="here",
    resource_uri="llmops:demo/here/gate/quality",
    subject={"model": "4" * 64, "adapter": "none"},
    verdict={
        "verdict": "inconclusive",
        "blocks": True,
        "criteria": [
            {"criterion": "a", "verdict": "pass"},
            {"criterion": "b", "verdict": "inconclusive"},
            {"criterion": "c", "verdict": "fail"},
        ],
    },
    record_digest="3" * 64,
    gate_digest="2" * 64,
    policies_digest="1" * 64,
    decided_at=datetime(2026, 3, 1, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1))),
)


def statement(envelope: bytes) -> dict:
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def test_statements_have_the_fields_of_their_standards() -> None:
    decision = sign_decision(EVIDENCE, KEY)
    result, summary = statement(decision.test_result), statement(decision.summary)
    assert {one["_type"] for one in (result, summary)} == {"https://in-toto.io/Statement/v1"}
    assert result["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert summary["predicateType"] == "https://slsa.dev/verification_summary/v1"
    predicate = result["predicate"]
    assert [predicate[name] for name in ("result", "passedTests", "warnedTests", "failedTests")] == [
        "FAILED",
        ["a"],
        ["b"],
        ["c"],
    ]
    assert summary["predicate"]["verificationResult"] == "FAILED"
    assert summary["predicate"]["verifiedLevels"] == []
    assert summary["predicate"]["timeVerified"] == "2026-03-01T12:00:00Z"
    assert summary["predicate"]["policy"]["digest"] == {"sha256": "1" * 64}


def test_the_subject_binds_every_fact_and_all_of_them_together() -> None:
    found = {one.name: (one.digest.sha256, one.uri) for one in subjects(EVIDENCE.subject)}
    assert found["model"] == ("4" * 64, None)
    assert found["adapter"][1] == "none"
    assert found["gate-subject"][0] == digest(dict(EVIDENCE.subject))
    assert len(found) == 3


def test_a_moment_needs_a_zone() -> None:
    assert instant(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        instant(datetime(2026, 3, 1))  # noqa: DTZ001  # what is refused
