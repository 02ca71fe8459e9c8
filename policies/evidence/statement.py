"""What a decision says when it is signed: an in-toto test result, and a verification summary that authorises.

Built by whoever decides a gate, read by `verify`. Pure: the time is handed in.

The subject of both statements is every fact that can change behaviour, each by name, under one digest over all of
them. A fact that is no digest itself, such as a store name, is bound by the digest of its text. Versions of the
programs that took part are signed as provenance: shown, and never compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from llmops_spec.base import SpecModel
from llmops_spec.digests import Json, canonical, digest, digest_bytes
from llmops_spec.store import StepKey

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
DECISION_FORMAT: Final = 1
"""What this project adds to the two standards. Format 1 leaves its number out, so that what was signed stays."""
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
PASSED_LEVEL: Final = "LLMOPS_GATE_PASSED"
WARNED_LEVEL: Final = "LLMOPS_GATE_WARNED"
WHOLE_SUBJECT: Final = "gate-subject"
"""Name of the subject that stands for all facts together."""

KeyAssurance: TypeAlias = Literal["local", "ci"]
"""`local`: this machine ran it. `ci`: a runner that no author controls ran it, and gates of a reviewed base judged."""
Assurance: TypeAlias = KeyAssurance | Literal["bootstrap"]
"""`bootstrap`: as `local`, and there was no Git, so nothing that could have been reviewed."""
Commit: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]

Instant: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class GateEvidence:
    """One decided gate, with all that it is bound to."""

    gate: str
    environment: str
    resource_uri: str
    """What the decision is about: project, environment and gate."""
    subject: Mapping[str, str]
    """Everything that can change behaviour, by name: a digest, or another name that is bound as text."""
    verdict: Mapping[str, Json]
    """A gate verdict in its JSON form; `blocks` decides."""
    record_digest: str
    gate_digest: str
    policies_digest: str
    decided_at: datetime
    """With a time zone; kept to the second."""
    assurance: Assurance = "local"
    base: str | None = None
    """Commit whose gates judged beside the change's own; None where the working tree stood alone."""
    producer: Mapping[str, str] = field(default_factory=dict)
    """Versions of the programs that took part."""

    @property
    def ships(self) -> bool:
        return may_ship(self.verdict)


class _Digests(SpecModel):
    sha256: StepKey


class Subject(SpecModel):
    name: str
    uri: str | None = None
    """The fact's own text, where that is no digest."""
    digest: _Digests


class Attachment(SpecModel):
    name: str
    digest: _Digests


class Verifier(SpecModel):
    id: str
    version: dict[str, str]


class Decision(SpecModel):
    """Beside the fields of the two standards: what of this project the statement speaks of.

    Both are of `DECISION_FORMAT`; a later one writes `formatVersion` here.
    """

    gate: str
    environment: str
    gate_digest: StepKey
    record_digest: StepKey
    assurance: Assurance
    base: Commit | None = None

    @model_validator(mode="after")
    def _earned(self) -> Self:
        if self.assurance == "ci" and self.base is None:
            raise ValueError("assurance `ci` needs a base revision")
        if self.assurance == "bootstrap" and self.base is not None:
            raise ValueError("assurance `bootstrap` means that there is no base revision")
        return self


class TestResultPredicate(SpecModel):
    __test__ = False

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: list[Attachment]
    passed_tests: list[str]
    warned_tests: list[str]
    failed_tests: list[str]
    decided_at: Instant
    resource_uri: str
    decision: Decision
    verdict: dict[str, Any]
    producer: dict[str, str]


class SummaryPredicate(SpecModel):
    verifier: Verifier
    time_verified: Instant
    resource_uri: str
    policy: Attachment
    input_attestations: list[Attachment]
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: list[str]
    decision: Decision


class TestResultStatement(SpecModel):
    __test__ = False

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Subject]
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"]
    predicate: TestResultPredicate


class SummaryStatement(SpecModel):
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Subject]
    predicate_type: Literal["https://slsa.dev/verification_summary/v1"]
    predicate: SummaryPredicate


def test_result(evidence: GateEvidence) -> bytes:
    """The payload of the test-result statement.

    Raises:
        ValueError: a number that JSON cannot hold, a time without a zone, or a digest that is none.
    """
    canonical(evidence.verdict)  # refuses what pydantic would write as null
    criteria = _criteria_by_verdict(evidence.verdict)
    result = "PASSED" if evidence.verdict.get("verdict") == "pass" else "WARNED"
    statement = TestResultStatement(
        _type=STATEMENT_TYPE,
        subject=subjects(evidence.subject),
        predicate_type=TEST_RESULT,
        predicate=TestResultPredicate(
            result=result if evidence.ships else "FAILED",
            configuration=[
                _attachment(f"gate/{evidence.gate}", evidence.gate_digest),
                _attachment("policies", evidence.policies_digest),
                _attachment("record.jsonl", evidence.record_digest),
            ],
            passed_tests=criteria["pass"],
            warned_tests=criteria["inconclusive"],
            failed_tests=criteria["fail"],
            decided_at=instant(evidence.decided_at),
            resource_uri=evidence.resource_uri,
            decision=_decision(evidence),
            verdict=dict(evidence.verdict),
            producer=dict(evidence.producer),
        ),
    )
    return _payload(statement)


test_result.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test where it is imported


def summary(evidence: GateEvidence, *, test_result_envelope: bytes) -> bytes:
    """The payload of the verification summary, bound to the signed test result.

    Raises:
        ValueError: as `test_result`.
    """
    level = PASSED_LEVEL if evidence.verdict.get("verdict") == "pass" else WARNED_LEVEL
    statement = SummaryStatement(
        _type=STATEMENT_TYPE,
        subject=subjects(evidence.subject),
        predicate_type=SUMMARY,
        predicate=SummaryPredicate(
            verifier=Verifier(id=verifier_id(evidence.assurance), version=dict(evidence.producer)),
            time_verified=instant(evidence.decided_at),
            resource_uri=evidence.resource_uri,
            policy=_attachment("policies", evidence.policies_digest),
            input_attestations=[_attachment("test-result.dsse.json", digest_bytes(test_result_envelope))],
            verification_result="PASSED" if evidence.ships else "FAILED",
            verified_levels=[level] if evidence.ships else [],
            decision=_decision(evidence),
        ),
    )
    return _payload(statement)


def subjects(facts: Mapping[str, str]) -> list[Subject]:
    """The whole first, then each fact by name."""
    whole = Subject(name=WHOLE_SUBJECT, digest=_Digests(sha256=digest(dict(facts))))
    return [whole, *(_subject(name, facts[name]) for name in sorted(facts))]


def verifier_id(assurance: Assurance) -> str:
    return f"https://llmops.dev/verifiers/gate-{assurance}"


def may_ship(verdict: Mapping[str, Json]) -> bool:
    """Whether a verdict lets a release go on: only where it says so itself, in the one way there is."""
    return verdict.get("blocks") is False and verdict.get("verdict") in ("pass", "inconclusive")


def instant(moment: datetime) -> str:
    """Raises: ValueError: the moment has no time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Raises: ValueError: there is no such day or time."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _subject(name: str, fact: str) -> Subject:
    if _HEX.fullmatch(fact):
        return Subject(name=name, digest=_Digests(sha256=fact))
    return Subject(name=name, uri=fact, digest=_Digests(sha256=digest_bytes(fact.encode())))


def _attachment(name: str, sha256: str) -> Attachment:
    return Attachment(name=name, digest=_Digests(sha256=sha256))


def _decision(evidence: GateEvidence) -> Decision:
    return Decision(
        gate=evidence.gate,
        environment=evidence.environment,
        gate_digest=evidence.gate_digest,
        record_digest=evidence.record_digest,
        assurance=evidence.assurance,
        base=evidence.base,
    )


def _criteria_by_verdict(verdict: Mapping[str, Json]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"pass": [], "inconclusive": [], "fail": []}
    criteria = verdict.get("criteria")
    for one in criteria if isinstance(criteria, list | tuple) else ():
        if isinstance(one, Mapping):
            found.setdefault(str(one.get("verdict")), []).append(str(one.get("criterion")))
    return found


def _payload(statement: SpecModel) -> bytes:
    return canonical(statement.model_dump(mode="json", by_alias=True, exclude_none=True))
