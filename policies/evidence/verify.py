"""Does signed evidence speak of exactly what is about to be applied, and does it say yes?

Called by `llmops apply` for every gate, before it provisions. Fail closed, in a fixed order: strict JSON, payload
type, signature by a key from outside the repository, signer and verifier, predicate type, subject recomputed from
the bytes about to be applied, resource, rules, verdict, age; last the evidence itself, from which the caller's
`recompute` makes the verdict again. Every comparison is of the form "refuse unless equal".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, TypeVar

from pydantic import ValidationError

from llmops_spec.base import SpecModel
from llmops_spec.digests import Json, canonical
from llmops_spec.formats import is_newer, newer_format
from policies.evidence.envelope import Envelope, EnvelopeRefused, KeyPair, OtherPayloadType, opened, seal, signed_by
from policies.evidence.refusals import NEXT_STEPS, Reason, Refused
from policies.evidence.statement import (
    DECISION_FORMAT,
    PASSED_LEVEL,
    SUMMARY,
    TEST_RESULT,
    WARNED_LEVEL,
    Assurance,
    Decision,
    GateEvidence,
    KeyAssurance,
    Subject,
    SummaryStatement,
    TestResultStatement,
    may_ship,
    moment,
    subjects,
    summary,
    test_result,
    verifier_id,
)
from policies.evidence.strict_json import JsonRefused, parse_object
from policies.evidence.trust import STRENGTH, Trust, TrustedKey

CLOCK_SKEW: Final = timedelta(days=1)
"""How far clocks may differ: evidence dated further ahead is refused."""

Tier: TypeAlias = Literal["development", "staging", "production"]
_Statement = TypeVar("_Statement", bound=SpecModel)


@dataclass(frozen=True, kw_only=True)
class SignedDecision:
    """The two envelopes that the `decide` step stores."""

    test_result: bytes
    summary: bytes


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is about to be applied, computed from its own bytes and never from the evidence."""

    gate: str
    environment: str
    tier: Tier
    resource_uri: str
    subject: Mapping[str, str]
    gate_digest: str
    policies_digest: str
    record_digest: str
    """Of the record's bytes as they lie in the store."""
    recompute: Callable[[], Mapping[str, Json]]
    """Decide again from the record and return the verdict's JSON. May raise `ValueError` for an unreadable record."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The evidence counts."""

    gate: str
    decided_at: datetime
    keyids: tuple[str, ...]
    assurance: Assurance
    base: str | None
    """Commit whose gates judged beside the change's own."""
    verdict: Mapping[str, Json]
    """As recomputed."""
    warned: bool
    """It ships although it is inconclusive, since the gate says so."""


class _Refusal(Exception):  # noqa: N818  # not an error but an answer; never leaves this module
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def sign_decision(evidence: GateEvidence, key: KeyPair) -> SignedDecision:
    """State and sign one decision.

    Raises:
        ValueError: a number that JSON cannot hold, a time without a zone, or a digest that is none.
    """
    first = seal(test_result(evidence), key)
    return SignedDecision(test_result=first, summary=seal(summary(evidence, test_result_envelope=first), key))


def verify(
    decision: SignedDecision,
    *,
    expected: Expected,
    trust: Trust,
    now: datetime,
    high_water: datetime | None = None,
) -> Verified | Refused:
    """Say whether `decision` lets `expected` be applied.

    `high_water` is the latest time that the state has seen: a clock set back does not make old evidence young.
    """
    latest = max(now, high_water) if high_water is not None else now
    try:
        return _verified(decision, expected, trust, latest=latest, now=now)
    except _Refusal as refusal:
        next_step = NEXT_STEPS[refusal.reason].format(gate=expected.gate)
        message = f"the evidence of gate `{expected.gate}` is refused: {refusal}"
        return Refused(reason=refusal.reason, message=message, next_step=next_step)


def _verified(
    decision: SignedDecision,
    expected: Expected,
    trust: Trust,
    *,
    latest: datetime,
    now: datetime,
) -> Verified:
    envelope = _signed(decision.summary, "verification summary", trust)
    keys = _keys(envelope, trust)
    said = _content(envelope)
    _refuse_unless(
        _verifier_of(said) in {verifier_id(one) for one in STRENGTH if all(_may_claim(key, one) for key in keys)},
        Reason.OTHER_VERIFIER,
        "its signer may not speak as the verifier that it names",
    )
    statement = _typed(said, SUMMARY, SummaryStatement)
    predicate = statement.predicate
    decided_at = _moment(predicate.time_verified)
    _check_assurance(predicate.decision, keys, predicate.verifier.id, expected, trust)
    _check_subject(statement.subject, expected)
    _refuse_unless(
        predicate.resource_uri == expected.resource_uri,
        Reason.OTHER_RESOURCE,
        f"it speaks of `{predicate.resource_uri}`, not of `{expected.resource_uri}`",
    )
    _check_decision(predicate.decision, expected)
    _check_policies(predicate.policy.digest.sha256, expected, trust)
    _refuse_unless(
        predicate.verification_result == "PASSED" and predicate.verified_levels in ([PASSED_LEVEL], [WARNED_LEVEL]),
        Reason.NOT_PASSED,
        "the gate did not pass",
    )
    max_age = timedelta(days=trust.max_age_days) if trust.max_age_days is not None else None
    _check_times(keys, decided_at, latest=latest, now=now, max_age=max_age)
    result, payload = _check_evidence(decision, statement, expected, trust)
    verdict = _recomputed(result.predicate.verdict, expected)
    evidence = _restated(statement, expected, verdict, decided_at)
    _refuse_unless(
        payload == test_result(replace(evidence, producer=result.predicate.producer))
        and envelope.payload == summary(evidence, test_result_envelope=decision.test_result),
        Reason.CONTRADICTION,
        "its statements say more, or less, than the decision does",
    )
    return Verified(
        gate=expected.gate,
        decided_at=decided_at,
        keyids=tuple(key.keyid for key in keys),
        assurance=predicate.decision.assurance,
        base=predicate.decision.base,
        verdict=verdict,
        warned=verdict.get("verdict") != "pass",
    )


# --- envelope, signature, statement


def _signed(data: bytes, what: str, trust: Trust) -> Envelope:
    try:
        envelope = opened(data)
    except OtherPayloadType as error:
        raise _Refusal(Reason.OTHER_PAYLOAD_TYPE, f"its {what}: {error}") from error
    except EnvelopeRefused as error:
        raise _Refusal(Reason.NOT_AN_ENVELOPE, f"its {what} is no envelope: {error}") from error
    known = [trust.key(keyid) for keyid, _ in envelope.signatures]
    _refuse_unless(
        all(one is not None for one in known),
        Reason.UNKNOWN_KEY,
        f"its {what} is signed by key {envelope.signatures[0][0][:12]}, which the trust file does not list",
    )
    _refuse_unless(
        signed_by(envelope, [one.public for one in known if one is not None]),
        Reason.BAD_SIGNATURE,
        f"its {what} was changed after it was signed",
    )
    _refuse_unless(
        not {envelope.digest, *(keyid for keyid, _ in envelope.signatures)} & set(trust.revoked),
        Reason.REVOKED,
        f"its {what}, or the key that signed it, is revoked",
    )
    return envelope


def _keys(envelope: Envelope, trust: Trust) -> tuple[TrustedKey, ...]:
    keys = tuple(key for keyid, _ in envelope.signatures if (key := trust.key(keyid)) is not None)
    _refuse_unless(
        all(key.role == "decide" for key in keys), Reason.WRONG_ROLE, "its signer may not decide gates, only approve"
    )
    return keys


def _content(envelope: Envelope) -> dict[str, object]:
    try:
        return parse_object(envelope.payload)
    except JsonRefused as error:
        raise _Refusal(Reason.NOT_A_STATEMENT, f"what is signed is {error}") from error


def _verifier_of(said: Mapping[str, object]) -> object:
    predicate = said.get("predicate")
    verifier = predicate.get("verifier") if isinstance(predicate, dict) else None
    name = verifier.get("id") if isinstance(verifier, dict) else None
    return name if isinstance(name, str) else None


def _format_of(said: Mapping[str, object]) -> object:
    predicate = said.get("predicate")
    decision = predicate.get("decision") if isinstance(predicate, dict) else None
    return decision.get("formatVersion", DECISION_FORMAT) if isinstance(decision, dict) else DECISION_FORMAT


def _typed(said: dict[str, object], predicate_type: str, model: type[_Statement]) -> _Statement:
    written = _format_of(said)
    _refuse_unless(
        not is_newer(written, DECISION_FORMAT),
        Reason.NEWER_FORMAT,
        newer_format(written, DECISION_FORMAT, "what is signed"),
    )
    _refuse_unless(
        said.get("predicateType") == predicate_type,
        Reason.OTHER_PREDICATE,
        f"its predicate type is not `{predicate_type}`",
    )
    try:
        return model.model_validate(said, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _Refusal(Reason.NOT_A_STATEMENT, f"`{place}` of what is signed is not as it must be") from error


# --- what it speaks of


def _may_claim(key: TrustedKey, assurance: Assurance) -> bool:
    return STRENGTH[assurance] <= STRENGTH[key.assurance]


def _check_assurance(
    decision: Decision, keys: tuple[TrustedKey, ...], verifier: str, expected: Expected, trust: Trust
) -> None:
    claimed = decision.assurance
    _refuse_unless(
        verifier == verifier_id(claimed) and all(_may_claim(key, claimed) for key in keys),
        Reason.OTHER_VERIFIER,
        f"it claims assurance `{claimed}`, which its signer or its verifier may not give",
    )
    wanted: KeyAssurance = getattr(trust.required_assurance, expected.tier)
    _refuse_unless(
        STRENGTH[claimed] >= STRENGTH[wanted] and not (claimed == "bootstrap" and expected.tier == "production"),
        Reason.TOO_LITTLE_ASSURANCE,
        f"its assurance is `{claimed}`, and a {expected.tier} environment requires `{wanted}`",
    )


def _check_subject(found: list[Subject], expected: Expected) -> None:
    wanted = subjects(expected.subject)
    if found == wanted:
        return
    ours, theirs = ({one.name: (one.digest.sha256, one.uri) for one in some} for some in (wanted, found))
    moved = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    named = ", ".join(f"`{name}`" for name in moved if name != wanted[0].name) or "the list of its subjects"
    raise _Refusal(Reason.OTHER_SUBJECT, f"it was decided about something else: {named} differ")


def _check_decision(decision: Decision, expected: Expected) -> None:
    _refuse_unless(
        decision.environment == expected.environment,
        Reason.OTHER_RESOURCE,
        f"it was decided in environment `{decision.environment}`",
    )
    _refuse_unless(
        decision.gate == expected.gate and decision.gate_digest == expected.gate_digest,
        Reason.OTHER_GATE,
        f"it was decided by another gate, or by an earlier wording of it: `{decision.gate}`",
    )


def _check_policies(digest: str, expected: Expected, trust: Trust) -> None:
    _refuse_unless(digest == expected.policies_digest, Reason.OTHER_POLICIES, "it was decided under other policy rules")
    _refuse_unless(
        trust.accepted_policies is None or digest in trust.accepted_policies,
        Reason.POLICIES_NOT_ACCEPTED,
        "the trust file does not accept the policy rules in force",
    )


def _check_times(
    keys: tuple[TrustedKey, ...],
    decided_at: datetime,
    *,
    latest: datetime,
    now: datetime,
    max_age: timedelta | None,
) -> None:
    # A stolen key can claim any time of signing; so a key's end also counts against the present.
    _refuse_unless(
        all(
            (key.not_before is None or decided_at >= key.not_before)
            and (key.not_after is None or max(decided_at, latest) <= key.not_after)
            for key in keys
        ),
        Reason.KEY_OUT_OF_TIME,
        "the key that signed it is not, or no longer, valid",
    )
    _refuse_unless(
        decided_at <= now + CLOCK_SKEW, Reason.FROM_THE_FUTURE, f"it is dated {decided_at:%Y-%m-%d %H:%M} UTC"
    )
    _refuse_unless(
        max_age is None or latest - decided_at <= max_age,
        Reason.TOO_OLD,
        f"it was decided at {decided_at:%Y-%m-%d %H:%M} UTC, longer ago than is allowed",
    )


# --- the evidence itself


def _check_evidence(
    decision: SignedDecision, statement: SummaryStatement, expected: Expected, trust: Trust
) -> tuple[TestResultStatement, bytes]:
    """The test result is the one that the summary was made from, and says the same. Returns it and its bytes."""
    envelope = _signed(decision.test_result, "test result", trust)
    named = {one.name: one.digest.sha256 for one in statement.predicate.input_attestations}
    _refuse_unless(
        named == {"test-result.dsse.json": envelope.digest},
        Reason.OTHER_EVIDENCE,
        "its summary was made from another test result",
    )
    _keys(envelope, trust)
    result = _typed(_content(envelope), TEST_RESULT, TestResultStatement)
    predicate, authorised = result.predicate, statement.predicate
    _refuse_unless(
        result.subject == statement.subject
        and predicate.decision == authorised.decision
        and predicate.resource_uri == authorised.resource_uri
        and predicate.decided_at == authorised.time_verified
        and predicate.result in ("PASSED", "WARNED")
        and may_ship(predicate.verdict),
        Reason.CONTRADICTION,
        "its test result and its summary contradict each other",
    )
    _refuse_unless(
        predicate.decision.record_digest == expected.record_digest,
        Reason.OTHER_RECORD,
        "the record in the store is not the one that was decided about",
    )
    return result, envelope.payload


def _restated(
    statement: SummaryStatement, expected: Expected, verdict: Mapping[str, Json], decided_at: datetime
) -> GateEvidence:
    """The decision as it would be stated here: what was signed must be this, to the byte."""
    return GateEvidence(
        gate=expected.gate,
        environment=expected.environment,
        resource_uri=expected.resource_uri,
        subject=expected.subject,
        verdict=verdict,
        record_digest=expected.record_digest,
        gate_digest=expected.gate_digest,
        policies_digest=expected.policies_digest,
        decided_at=decided_at,
        assurance=statement.predicate.decision.assurance,
        base=statement.predicate.decision.base,
        producer=statement.predicate.verifier.version,
    )


def _recomputed(signed: Mapping[str, Json], expected: Expected) -> Mapping[str, Json]:
    try:
        verdict = expected.recompute()
        again = canonical(verdict)
    except ValueError as error:
        raise _Refusal(Reason.UNREADABLE_RECORD, f"the verdict cannot be recomputed: {error}") from error
    _refuse_unless(
        again == canonical(signed), Reason.OTHER_VERDICT, "the verdict recomputed from its record is another one"
    )
    _refuse_unless(may_ship(verdict), Reason.NOT_PASSED, "the verdict recomputed from its record blocks")
    return verdict


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise _Refusal(Reason.NOT_A_STATEMENT, f"`{text}` is no time") from error


def _refuse_unless(holds: bool, reason: Reason, message: str) -> None:  # noqa: FBT001  # reads as a sentence
    if holds is not True:
        raise _Refusal(reason, message)
