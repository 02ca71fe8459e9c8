"""Why evidence is refused, and what the reader can do about it. Made by `verify`, printed by `llmops`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from llmops_spec.formats import ADVICE


class Reason(StrEnum):
    """In the order in which they are looked for."""

    NOT_AN_ENVELOPE = "not-an-envelope"
    OTHER_PAYLOAD_TYPE = "other-payload-type"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    REVOKED = "revoked"
    WRONG_ROLE = "wrong-role"
    KEY_OUT_OF_TIME = "key-out-of-time"
    OTHER_VERIFIER = "other-verifier"
    NEWER_FORMAT = "newer-format"
    OTHER_PREDICATE = "other-predicate"
    NOT_A_STATEMENT = "not-a-statement"
    TOO_LITTLE_ASSURANCE = "too-little-assurance"
    OTHER_SUBJECT = "other-subject"
    OTHER_RESOURCE = "other-resource"
    OTHER_GATE = "other-gate"
    OTHER_POLICIES = "other-policies"
    POLICIES_NOT_ACCEPTED = "policies-not-accepted"
    NOT_PASSED = "not-passed"
    FROM_THE_FUTURE = "from-the-future"
    TOO_OLD = "too-old"
    OTHER_EVIDENCE = "other-evidence"
    CONTRADICTION = "contradiction"
    OTHER_RECORD = "other-record"
    UNREADABLE_RECORD = "unreadable-record"
    OTHER_VERDICT = "other-verdict"


_DECIDE_AGAIN: Final = (
    "run `llmops evidence discard decide/{gate}`, then apply again: the gate is decided anew from its record"
)
_EVALUATE_AGAIN: Final = "run `llmops evidence discard` with the evaluate step of gate `{gate}`, then apply again"
_TRUST: Final = "if you know whose key it is, add it to the trust file; else find out who wrote this evidence"

NEXT_STEPS: Final[dict[Reason, str]] = {
    Reason.NOT_AN_ENVELOPE: _DECIDE_AGAIN,
    Reason.OTHER_PAYLOAD_TYPE: _DECIDE_AGAIN,
    Reason.UNKNOWN_KEY: _TRUST,
    Reason.BAD_SIGNATURE: "find out who changed it; then " + _DECIDE_AGAIN,
    Reason.REVOKED: _DECIDE_AGAIN,
    Reason.WRONG_ROLE: "let a key decide whose role in the trust file is `decide`",
    Reason.KEY_OUT_OF_TIME: "put the current key into the trust file, then " + _DECIDE_AGAIN,
    Reason.OTHER_VERIFIER: _DECIDE_AGAIN,
    Reason.NEWER_FORMAT: ADVICE,
    Reason.OTHER_PREDICATE: _DECIDE_AGAIN,
    Reason.NOT_A_STATEMENT: _DECIDE_AGAIN,
    Reason.TOO_LITTLE_ASSURANCE: (
        "let the pipeline decide the gate, with `--against` a reviewed revision, or lower `requiredAssurance` in the "
        "trust file; then " + _DECIDE_AGAIN
    ),
    Reason.OTHER_SUBJECT: "apply again: what has changed is evaluated and decided anew",
    Reason.OTHER_RESOURCE: "decide the gate in the environment that you apply to",
    Reason.OTHER_GATE: "apply again: a changed gate is decided anew",
    Reason.OTHER_POLICIES: "apply again: the gate is decided anew under the rules in force",
    Reason.POLICIES_NOT_ACCEPTED: "add the digest of the rules to `acceptedPolicies` in the trust file, once reviewed",
    Reason.NOT_PASSED: "run `llmops gate run` and read the verdict: what it measured is not good enough",
    Reason.FROM_THE_FUTURE: "set this machine's clock, or decide the gate again",
    Reason.TOO_OLD: _EVALUATE_AGAIN,
    Reason.OTHER_EVIDENCE: _DECIDE_AGAIN,
    Reason.CONTRADICTION: _DECIDE_AGAIN,
    Reason.OTHER_RECORD: _EVALUATE_AGAIN,
    Reason.UNREADABLE_RECORD: _EVALUATE_AGAIN,
    Reason.OTHER_VERDICT: "find out who changed the record or the verdict; then " + _DECIDE_AGAIN,
}


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The evidence does not count."""

    reason: Reason
    message: str
    """One sentence."""
    next_step: str
