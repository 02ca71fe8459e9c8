"""Forged, trimmed, replayed, swapped and merely old evidence: all of it is refused, each kind for its own reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmops_spec.digests import Json, canonical, digest_bytes
from policies.evidence.envelope import KeyPair, new_key, seal
from policies.evidence.refusals import NEXT_STEPS, Reason, Refused
from policies.evidence.statement import GateEvidence, verifier_id
from policies.evidence.trust import RequiredAssurance, Trust, TrustedKey
from policies.evidence.verify import Expected, SignedDecision, Verified, sign_decision, verify

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = new_key(bytes(range(32)))
OTHER = new_key(bytes(range(1, 33)))
BASE = "b" * 40
POLICIES, GATE, RECORD = "1" * 64, "2" * 64, "3" * 64
FACTS = {"model": "4" * 64, "adapter": f"store://{'5' * 64}/adapter", "prompt": "6" * 64}
VERDICT: dict[str, Json] = {
    "formatVersion": 1,
    "verdict": "pass",
    "blocks": False,
    "alpha": 0.05,
    "criteria": [{"criterion": "exact-match ≥ 0.7", "verdict": "pass", "estimate": 0.9, "low": 0.81, "high": 1.0}],
}
FAILED: dict[str, Json] = {
    **VERDICT,
    "verdict": "fail",
    "blocks": True,
    "criteria": [{"criterion": "exact-match ≥ 0.7", "verdict": "fail", "low": 0.1}],
}
WARNED: dict[str, Json] = {**VERDICT, "verdict": "inconclusive", "blocks": False}
EVIDENCE = GateEvidence(
    gate="quality",
    environment="here",
    resource_uri="llmops:demo/here/gate/quality",
    subject=FACTS,
    verdict=VERDICT,
    record_digest=RECORD,
    gate_digest=GATE,
    policies_digest=POLICIES,
    decided_at=NOW,
    producer={"llmops": "0.1.0"},
)
EXPECTED = Expected(
    gate="quality",
    environment="here",
    tier="development",
    resource_uri="llmops:demo/here/gate/quality",
    subject=FACTS,
    gate_digest=GATE,
    policies_digest=POLICIES,
    record_digest=RECORD,
    recompute=lambda: VERDICT,
)
TRUST = Trust().with_key(KEY)
SIGNED = sign_decision(EVIDENCE, KEY)


def outcome(
    decision: SignedDecision = SIGNED,
    *,
    expected: Expected = EXPECTED,
    trust: Trust = TRUST,
    now: datetime = NOW,
    **limits: Any,
) -> Reason | None:
    """The reason of the refusal; None where the evidence counts."""
    found = verify(decision, expected=expected, trust=trust, now=now, **limits)
    if isinstance(found, Refused):
        assert found.message.startswith("the evidence of gate `quality` is refused: ")
        assert found.next_step
        assert "{" not in found.next_step
        return found.reason
    return None


def payload(envelope: bytes) -> dict[str, Any]:
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def resigned(
    *,
    result: Callable[[dict[str, Any]], None] = lambda _: None,
    summary: Callable[[dict[str, Any]], None] = lambda _: None,
    key: KeyPair = KEY,
) -> SignedDecision:
    """The decision with its statements edited, and signed again so that everything else still fits."""
    first = payload(SIGNED.test_result)
    result(first)
    envelope = seal(canonical(first), key)
    second = payload(SIGNED.summary)
    second["predicate"]["inputAttestations"][0]["digest"]["sha256"] = digest_bytes(envelope)
    summary(second)
    return SignedDecision(test_result=envelope, summary=seal(canonical(second), key))


def both(change: Callable[[dict[str, Any]], None]) -> SignedDecision:
    return resigned(result=change, summary=change)


def test_good_evidence_counts_and_says_whose_it_is() -> None:
    found = verify(SIGNED, expected=EXPECTED, trust=TRUST, now=NOW + timedelta(days=400))
    assert found == Verified(
        gate="quality", decided_at=NOW, keyids=(KEY.keyid,), assurance="local", base=None, verdict=VERDICT, warned=False
    )
    assert outcome(resigned()) is None


def test_an_inconclusive_gate_that_only_warns_ships_and_says_so() -> None:
    decision = sign_decision(replace(EVIDENCE, verdict=WARNED), KEY)
    found = verify(decision, expected=replace(EXPECTED, recompute=lambda: WARNED), trust=TRUST, now=NOW)
    assert isinstance(found, Verified)
    assert found.warned
    assert payload(decision.test_result)["predicate"]["result"] == "WARNED"


@pytest.mark.parametrize("which", ["summary", "test_result"])
def test_no_byte_of_either_envelope_can_change(which: str) -> None:
    """Every byte, flipped to its neighbour and between upper and lower case."""
    original: bytes = getattr(SIGNED, which)
    accepted = []
    for place, byte in enumerate(original):
        for other in (byte ^ 1, byte ^ 0x20):
            forged = replace(SIGNED, **{which: original[:place] + bytes([other]) + original[place + 1 :]})
            if outcome(forged) is None:
                accepted.append((place, other))
    assert accepted == []


@pytest.mark.parametrize("which", ["summary", "test_result"])
def test_no_byte_can_be_cut_or_added(which: str) -> None:
    original: bytes = getattr(SIGNED, which)
    forgeries = [original[:place] + original[place + 1 :] for place in range(len(original))]
    forgeries += [original + b"\n", b" " + original, original[:-1], b"", b"\xef\xbb\xbf" + original, original * 2]
    assert [one for one in forgeries if outcome(replace(SIGNED, **{which: one})) is None] == []


def test_no_field_of_either_statement_can_be_left_out_even_by_the_right_key() -> None:
    accepted = []
    for which in ("result", "summary"):
        envelope = SIGNED.test_result if which == "result" else SIGNED.summary
        for path in _paths(payload(envelope)):
            if path[0] == "predicate" and ({"producer", "version"} & set(map(str, path))) and len(path) > 2:
                continue  # provenance: shown, never compared
            trimmed = resigned(**{which: lambda one, path=path: _delete(one, path)})
            accepted += [(which, path)] if outcome(trimmed) is None else []
    assert accepted == []


def test_no_value_of_either_statement_can_differ_even_if_the_right_key_signs_it() -> None:
    """Less the provenance, which is shown and never compared."""
    accepted = []
    for which in ("result", "summary"):
        envelope = SIGNED.test_result if which == "result" else SIGNED.summary
        for path in _leaves(payload(envelope)):
            altered = resigned(**{which: lambda one, path=path: _alter(one, path)})
            accepted += [(which, *path)] if outcome(altered) is None else []
    assert accepted == [
        ("result", "predicate", "producer", "llmops"),
        ("summary", "predicate", "verifier", "version", "llmops"),
    ]


def _paths(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, one in items for path in ((*here, key), *_paths(one, (*here, key)))]


def _leaves(value: object) -> list[tuple[str | int, ...]]:
    return [path for path in _paths(value) if not isinstance(_at(value, path), dict | list)]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _delete(value: Any, path: tuple[str | int, ...]) -> None:
    del _at(value, path[:-1])[path[-1]]


def _alter(value: Any, path: tuple[str | int, ...]) -> None:
    old = _at(value, path)
    if isinstance(old, bool):
        new: object = not old
    elif isinstance(old, str):
        new = "f" * 64 if len(old) == 64 else "2026-03-01T12:00:01Z" if old == "2026-03-01T12:00:00Z" else old + "x"
    else:
        new = old + 1
    _at(value, path[:-1])[path[-1]] = new


# --- the envelope


def edited(change: Callable[[dict[str, Any]], None], envelope: bytes = SIGNED.summary) -> bytes:
    value = json.loads(envelope)
    change(value)
    return canonical(value)


def test_an_envelope_of_another_type_is_refused_before_its_signature_is_looked_at() -> None:
    swapped = edited(lambda one: one.update(payloadType="application/json"))
    assert outcome(replace(SIGNED, summary=swapped)) == Reason.OTHER_PAYLOAD_TYPE


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"payloadType":NaN}',
        b"[" * 100_000,
        SIGNED.summary[:-1] + b',"payloadType":"application/vnd.in-toto+json"}',
        b" " * (1 << 20) + SIGNED.summary,
        edited(lambda one: one.update(signatures=[])),
        edited(lambda one: one.update(signatures={})),
        edited(lambda one: one.update(signatures=one["signatures"] * 2)),
        edited(lambda one: one.update(signatures=one["signatures"] * 9)),
        edited(lambda one: one["signatures"][0].update(keyid=7)),
        edited(lambda one: one["signatures"][0].update(note="hello")),
        edited(lambda one: one.update(payload="?")),
        edited(lambda one: one.update(payload=7)),
        edited(lambda one: one.update(more=1)),
    ],
    ids=range(17),
)
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    expected = {Reason.NOT_AN_ENVELOPE, Reason.OTHER_PAYLOAD_TYPE} if b"NaN" not in data else {Reason.NOT_AN_ENVELOPE}
    assert outcome(replace(SIGNED, summary=data)) in expected


def test_a_key_of_ones_own_does_not_count() -> None:
    assert outcome(sign_decision(EVIDENCE, OTHER)) == Reason.UNKNOWN_KEY


def test_nor_does_it_under_the_name_of_a_trusted_one() -> None:
    assert outcome(sign_decision(EVIDENCE, replace(OTHER, keyid=KEY.keyid))) == Reason.BAD_SIGNATURE


def test_nor_beside_a_trusted_one() -> None:
    extra = json.loads(sign_decision(EVIDENCE, OTHER).summary)["signatures"]
    joined = edited(lambda one: one["signatures"].extend(extra))
    assert outcome(replace(SIGNED, summary=joined)) == Reason.UNKNOWN_KEY


def test_two_trusted_keys_may_sign_together_and_then_both_must_hold() -> None:
    trust = TRUST.with_key(OTHER)
    extra = json.loads(seal(base64.b64decode(json.loads(SIGNED.summary)["payload"]), OTHER))["signatures"]
    joined = replace(SIGNED, summary=edited(lambda one: one["signatures"].extend(extra)))
    assert outcome(joined, trust=trust) is None
    wrong = [{**extra[0], "sig": base64.b64encode(bytes(64)).decode()}]
    forged = replace(SIGNED, summary=edited(lambda one: one["signatures"].extend(wrong)))
    assert outcome(forged, trust=trust) == Reason.BAD_SIGNATURE


def test_the_payload_of_another_envelope_under_this_signature_is_refused() -> None:
    failed = sign_decision(replace(EVIDENCE, verdict=FAILED), KEY)
    signatures = json.loads(failed.summary)["signatures"]
    spliced = edited(lambda one: one.update(signatures=signatures))
    assert outcome(replace(SIGNED, summary=spliced)) == Reason.BAD_SIGNATURE


def test_an_unsigned_statement_is_refused() -> None:
    bare = base64.b64decode(json.loads(SIGNED.summary)["payload"])
    assert outcome(replace(SIGNED, summary=bare)) == Reason.OTHER_PAYLOAD_TYPE


# --- the signer


def key(**more: Any) -> Trust:
    return Trust(keys=[TrustedKey(keyid=KEY.keyid, public=KEY.public, **more)])


def test_a_key_that_may_only_approve_decides_nothing() -> None:
    assert outcome(trust=key(role="approve")) == Reason.WRONG_ROLE


def test_without_any_trusted_key_nothing_counts() -> None:
    assert outcome(trust=Trust()) == Reason.UNKNOWN_KEY


@pytest.mark.parametrize("revoked", [KEY.keyid, digest_bytes(SIGNED.summary), digest_bytes(SIGNED.test_result)])
def test_what_is_revoked_counts_no_more(revoked: str) -> None:
    assert outcome(trust=TRUST.model_copy(update={"revoked": [revoked]})) == Reason.REVOKED


@pytest.mark.parametrize(
    ("window", "now", "reason"),
    [
        ({"not_before": NOW + timedelta(hours=1)}, NOW + timedelta(days=2), Reason.KEY_OUT_OF_TIME),
        ({"not_after": NOW - timedelta(hours=1)}, NOW, Reason.KEY_OUT_OF_TIME),
        ({"not_after": NOW + timedelta(days=1)}, NOW + timedelta(days=2), Reason.KEY_OUT_OF_TIME),
        ({"not_after": NOW + timedelta(days=3)}, NOW + timedelta(days=2), None),
        ({"not_before": NOW, "not_after": NOW + timedelta(days=1)}, NOW, None),
    ],
)
def test_a_key_counts_within_its_time(window: dict[str, Any], now: datetime, reason: Reason | None) -> None:
    assert outcome(trust=key(**window), now=now) == reason


def test_a_local_key_cannot_claim_to_be_the_pipeline() -> None:
    claimed = sign_decision(replace(EVIDENCE, assurance="ci", base=BASE), KEY)
    assert outcome(claimed) == Reason.OTHER_VERIFIER
    assert outcome(claimed, trust=key(assurance="ci")) is None


def test_a_pipeline_vouches_only_where_a_reviewed_base_judged() -> None:
    with pytest.raises(ValueError, match="needs a base revision"):
        sign_decision(replace(EVIDENCE, assurance="ci"), KEY)
    without = both(lambda one: one["predicate"]["decision"].update(assurance="ci"))
    named = resigned(summary=lambda one: one["predicate"]["verifier"].update(id=verifier_id("ci")))
    assert outcome(named, trust=key(assurance="ci")) == Reason.OTHER_VERIFIER
    assert outcome(without, trust=key(assurance="ci")) == Reason.NOT_A_STATEMENT


def test_a_base_is_signed_for_and_cannot_be_swapped() -> None:
    decision = sign_decision(replace(EVIDENCE, base=BASE), KEY)
    found = verify(decision, expected=EXPECTED, trust=TRUST, now=NOW)
    assert isinstance(found, Verified)
    assert found.base == BASE
    assert outcome(resigned(summary=lambda one: one["predicate"]["decision"].update(base=BASE))) == Reason.CONTRADICTION


def test_without_git_evidence_counts_everywhere_but_in_production_whatever_the_trust_file_says() -> None:
    decision = sign_decision(replace(EVIDENCE, assurance="bootstrap"), KEY)
    lowered = TRUST.model_copy(update={"required_assurance": RequiredAssurance(production="local")})
    assert outcome(decision, expected=replace(EXPECTED, tier="staging")) is None
    production = replace(EXPECTED, tier="production")
    assert outcome(decision, expected=production, trust=lowered) == Reason.TOO_LITTLE_ASSURANCE
    assert outcome(expected=production, trust=lowered) is None
    with pytest.raises(ValueError, match="no base revision"):
        sign_decision(replace(EVIDENCE, assurance="bootstrap", base=BASE), KEY)


def test_a_verifier_and_an_assurance_that_do_not_belong_together_are_refused() -> None:
    mixed = resigned(summary=lambda one: one["predicate"]["verifier"].update(id=verifier_id("ci")))
    assert outcome(mixed, trust=key(assurance="ci")) == Reason.OTHER_VERIFIER
    stranger = resigned(summary=lambda one: one["predicate"]["verifier"].update(id="https://example.org/verifier"))
    assert outcome(stranger) == Reason.OTHER_VERIFIER


def test_production_asks_for_more_than_this_machine() -> None:
    production = replace(EXPECTED, tier="production")
    assert outcome(expected=production) == Reason.TOO_LITTLE_ASSURANCE
    lowered = TRUST.model_copy(update={"required_assurance": RequiredAssurance(production="local")})
    assert outcome(expected=production, trust=lowered) is None
    by_pipeline = sign_decision(replace(EVIDENCE, assurance="ci", base=BASE), KEY)
    assert outcome(by_pipeline, expected=production, trust=key(assurance="ci")) is None


# --- what it speaks of


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ({**FACTS, "model": "f" * 64}, "`model` differ"),
        ({**FACTS, "adapter": f"store://{'9' * 64}/adapter"}, "`adapter` differ"),
        ({**FACTS, "guardrails": "a" * 64}, "`guardrails` differ"),
        ({"model": FACTS["model"], "adapter": FACTS["adapter"]}, "`prompt` differ"),
        ({}, "`adapter`, `model`, `prompt` differ"),
        ({**FACTS, "adapter": digest_bytes(FACTS["adapter"].encode())}, "`adapter` differ"),
    ],
)
def test_anything_that_moved_is_named(subject: Mapping[str, str], named: str) -> None:
    found = verify(SIGNED, expected=replace(EXPECTED, subject=subject), trust=TRUST, now=NOW)
    assert isinstance(found, Refused)
    assert found.reason == Reason.OTHER_SUBJECT
    assert found.message.endswith(named)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"resource_uri": "llmops:demo/prod/gate/quality", "environment": "prod"}, Reason.OTHER_RESOURCE),
        ({"resource_uri": "llmops:other/here/gate/quality"}, Reason.OTHER_RESOURCE),
        ({"environment": "prod"}, Reason.OTHER_RESOURCE),
        ({"gate": "safety"}, Reason.OTHER_GATE),
        ({"gate_digest": "f" * 64}, Reason.OTHER_GATE),
        ({"policies_digest": "f" * 64}, Reason.OTHER_POLICIES),
        ({"record_digest": "f" * 64}, Reason.OTHER_RECORD),
    ],
)
def test_evidence_of_something_else_does_not_count(change: dict[str, Any], reason: Reason) -> None:
    """Replayed from another environment, repository, gate or rule set; or over another record."""
    assert outcome(sign_decision(replace(EVIDENCE, **change), KEY)) == reason


def test_rules_that_the_trust_file_does_not_accept_do_not_count() -> None:
    assert outcome(trust=TRUST.model_copy(update={"accepted_policies": []})) == Reason.POLICIES_NOT_ACCEPTED
    assert outcome(trust=TRUST.model_copy(update={"accepted_policies": ["f" * 64]})) == Reason.POLICIES_NOT_ACCEPTED
    assert outcome(trust=TRUST.model_copy(update={"accepted_policies": ["f" * 64, POLICIES]})) is None


# --- the verdict


def test_a_gate_that_failed_stays_failed() -> None:
    failed = sign_decision(replace(EVIDENCE, verdict=FAILED), KEY)
    assert outcome(failed, expected=replace(EXPECTED, recompute=lambda: FAILED)) == Reason.NOT_PASSED


@pytest.mark.parametrize("blocks", [None, 0, "no", float("nan")])
def test_only_a_verdict_that_says_so_ships(blocks: Any) -> None:
    odd = {**VERDICT, "blocks": blocks}
    assert not replace(EVIDENCE, verdict=odd).ships
    assert outcome(expected=replace(EXPECTED, recompute=lambda: odd)) in {
        Reason.OTHER_VERDICT,
        Reason.UNREADABLE_RECORD,
    }


def test_a_verdict_without_a_word_does_not_ship() -> None:
    assert not replace(EVIDENCE, verdict={"blocks": False}).ships
    assert not replace(EVIDENCE, verdict={"verdict": "pass"}).ships


def test_a_summary_that_says_passed_over_a_result_that_failed_is_refused() -> None:
    lying = resigned(result=lambda one: one["predicate"].update(result="FAILED"))
    assert outcome(lying) == Reason.CONTRADICTION
    verdict = resigned(result=lambda one: one["predicate"].update(verdict=dict(FAILED)))
    assert outcome(verdict) == Reason.CONTRADICTION


def test_a_result_that_says_passed_over_a_record_that_does_not_is_refused() -> None:
    assert outcome(expected=replace(EXPECTED, recompute=lambda: FAILED)) == Reason.OTHER_VERDICT
    lower = {**VERDICT, "criteria": []}
    assert outcome(expected=replace(EXPECTED, recompute=lambda: lower)) == Reason.OTHER_VERDICT


def test_a_verdict_that_blocks_is_refused_even_where_everything_agrees() -> None:
    """The last guard, should a signer have stated what its own rules forbid."""
    forged = resigned(result=lambda one: one["predicate"].update(verdict={**VERDICT, "blocks": "no"}))
    assert outcome(forged, expected=replace(EXPECTED, recompute=lambda: {**VERDICT, "blocks": "no"})) is not None


def test_a_record_that_cannot_be_read_is_refused() -> None:
    def unreadable() -> Mapping[str, Json]:
        raise ValueError("line 7: not JSON")

    assert outcome(expected=replace(EXPECTED, recompute=unreadable)) == Reason.UNREADABLE_RECORD


def test_a_verdict_with_a_number_that_is_none_is_refused() -> None:
    broken = {**VERDICT, "alpha": float("nan")}
    assert outcome(expected=replace(EXPECTED, recompute=lambda: broken)) == Reason.UNREADABLE_RECORD
    with pytest.raises(ValueError, match="nan is not"):
        sign_decision(replace(EVIDENCE, verdict=broken), KEY)


def test_the_record_is_asked_only_after_everything_else_held() -> None:
    def never() -> Mapping[str, Json]:
        pytest.fail("the record of evidence that is refused anyway was read")

    for forged in (sign_decision(EVIDENCE, OTHER), both(lambda one: one["predicate"]["decision"].update(gate="x"))):
        assert outcome(forged, expected=replace(EXPECTED, recompute=never)) is not None


def test_the_test_result_of_another_decision_is_refused() -> None:
    other = sign_decision(replace(EVIDENCE, record_digest="f" * 64), KEY)
    assert outcome(replace(SIGNED, test_result=other.test_result)) == Reason.OTHER_EVIDENCE
    assert outcome(SignedDecision(test_result=SIGNED.summary, summary=SIGNED.summary)) == Reason.OTHER_EVIDENCE


def test_a_test_result_in_place_of_the_summary_is_refused() -> None:
    assert outcome(replace(SIGNED, summary=SIGNED.test_result)) == Reason.OTHER_VERIFIER
    bad_type = resigned(summary=lambda one: one.update(predicateType="https://in-toto.io/attestation/test-result/v0.1"))
    assert outcome(bad_type) == Reason.OTHER_PREDICATE


def test_a_statement_with_a_field_too_many_is_refused() -> None:
    assert outcome(resigned(summary=lambda one: one.update(extra=1))) == Reason.NOT_A_STATEMENT


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b"[]", b"x", b'{"predicate":Infinity}'])
def test_signed_text_that_is_read_in_two_ways_is_refused(text: bytes) -> None:
    assert outcome(replace(SIGNED, summary=seal(text, KEY))) == Reason.NOT_A_STATEMENT


# --- time


def aged(days: int) -> Trust:
    return TRUST.model_copy(update={"max_age_days": days})


def test_evidence_may_be_too_old() -> None:
    day = timedelta(days=1)
    assert outcome(now=NOW + 3 * day, trust=aged(3)) is None
    assert outcome(now=NOW + 3 * day, trust=aged(2)) == Reason.TOO_OLD


def test_a_clock_set_back_makes_nothing_young_again() -> None:
    day = timedelta(days=1)
    assert outcome(now=NOW, high_water=NOW + 3 * day, trust=aged(2)) == Reason.TOO_OLD
    assert outcome(now=NOW, high_water=NOW - 3 * day, trust=aged(2)) is None


def test_a_clock_that_is_a_day_off_changes_nothing_and_more_is_refused() -> None:
    assert outcome(now=NOW - timedelta(days=1)) is None
    assert outcome(now=NOW - timedelta(days=1, seconds=1)) == Reason.FROM_THE_FUTURE


def test_a_time_that_is_none_is_refused() -> None:
    def set_time(one: dict[str, Any]) -> None:
        one["predicate"].update({"timeVerified": "2026-13-01T00:00:00Z"})

    assert outcome(resigned(summary=set_time)) == Reason.NOT_A_STATEMENT


def test_every_reason_has_a_next_step() -> None:
    assert set(NEXT_STEPS) == set(Reason)


def test_an_envelope_above_the_size_limit_is_not_even_decoded() -> None:
    assert outcome(replace(SIGNED, summary=seal(b"x" * (1 << 20), KEY))) == Reason.NOT_AN_ENVELOPE
