"""Decide gates from stored records, sign the decisions, and vouch for those that are stored.

Implements `executor.Judge`. What counts is always recomputed from the records; a signature alone ships nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from compiler.plan import BOOTSTRAP, ArtifactStep, Decide, DecidePayload, is_commit, step_id
from llmops import __version__
from llmops.apply.integrity import refuse_stranger, tampered
from llmops.apply.planning import VERDICT_FILE
from llmops.apply.receipts import write_receipt
from llmops.apply.site import Site
from llmops.apply.trust import ensure_keys, load_trust, signing_key
from llmops.errors import Exit, OperationFailed
from llmops_spec.catalogue.metrics import METRICS
from llmops_spec.digests import Json, canonical, digest, digest_bytes
from llmops_spec.store import Manifest, Store, StoreCorrupt, load_manifest, make_ref, read_output, split_ref
from policies.evidence.envelope import KeyPair
from policies.evidence.refusals import Refused
from policies.evidence.statement import Assurance, GateEvidence
from policies.evidence.trust import Trust
from policies.evidence.verify import Expected, SignedDecision, Verified, sign_decision, verify
from policies.gates.from_spec import rules_of
from policies.gates.records import Record, RecordInvalid, read_record
from policies.gates.results import GateVerdict, refuse_newer_verdict
from policies.gates.verdicts import decide

TEST_RESULT_FILE = "test-result.dsse.json"
SUMMARY_FILE = "summary.dsse.json"


@dataclass(frozen=True, kw_only=True)
class DeskJudge:
    site: Site
    trust: Trust
    key: KeyPair | None = None
    """None where decisions are only verified."""

    def decide(self, step: Decide, outputs: Path) -> GateVerdict:
        """Decide from the stored records; write the verdict and its signed evidence to `outputs`."""
        verdict, key = self._recompute(step), self._signing_key()
        evidence = GateEvidence(
            gate=step.payload.gate,
            environment=step.payload.environment,
            resource_uri=self._resource(step.payload),
            subject=subject_of(self.site.store, step.payload),
            verdict=verdict.to_json(),
            record_digest=digest_bytes(self._read(step, step.payload.record)),
            gate_digest=step.payload.subject["gate"],
            policies_digest=step.payload.policies,
            decided_at=datetime.now(UTC),
            assurance=self._assurance(key),
            base=self.site.base if is_commit(self.site.base) else None,
            producer={"llmops": __version__, "python": platform.python_version()},
        )
        signed = sign_decision(evidence, key)
        (outputs / VERDICT_FILE).write_bytes(canonical(verdict.to_json()) + b"\n")
        (outputs / TEST_RESULT_FILE).write_bytes(signed.test_result)
        (outputs / SUMMARY_FILE).write_bytes(signed.summary)
        return verdict

    def sign(self, manifest: Manifest) -> None:
        """Leave a receipt for a result that was made here."""
        write_receipt(self.site.store, manifest, self._signing_key(), self.site.folder)

    def refuse_stranger(self, step: ArtifactStep, manifest: Manifest) -> None:
        refuse_stranger(self.site.store, step, manifest, self.trust)

    def vouch(self, step: Decide) -> GateVerdict:
        """The verdict of a stored decision, recomputed from its records; one that ships has its evidence verified.

        Raises:
            OperationFailed: with exit code 7, where record, verdict and evidence do not belong together.
        """
        verdict = self._recompute(step)
        stored = self._read(step, make_ref(step.key, VERDICT_FILE))
        refuse_newer_verdict(stored, step.payload.gate)
        if canonical(verdict.to_json()) != stored.rstrip(b"\n"):
            raise tampered(step, "its stored verdict is not the one that its record gives")
        if not verdict.blocks:
            self.verify(step, verdict)
        return verdict

    def verify(self, step: Decide, verdict: GateVerdict) -> Verified:
        """Verify the signed evidence of a decision that ships.

        Raises:
            OperationFailed: with exit code 7 and the reason of the refusal.
        """
        found = verify(
            self.signed(step),
            expected=self._expected(step, verdict),
            trust=self.trust,
            now=datetime.now(UTC),
            high_water=self.site.journal.latest(),
        )
        if isinstance(found, Refused):
            raise OperationFailed(found.message, help=found.next_step, exit_code=Exit.TAMPERED)
        return found

    def signed(self, step: Decide) -> SignedDecision:
        """The two envelopes of a stored decision."""
        return SignedDecision(
            test_result=self._read(step, make_ref(step.key, TEST_RESULT_FILE)),
            summary=self._read(step, make_ref(step.key, SUMMARY_FILE)),
        )

    def _signing_key(self) -> KeyPair:
        return self.key if self.key is not None else signing_key(self.trust)

    def _assurance(self, key: KeyPair) -> Assurance:
        """What a decision may claim: as much as its key, where a reviewed base judged too; else what a desk can."""
        if self.site.base == BOOTSTRAP:
            return "bootstrap"
        listed = self.trust.key(key.keyid)
        return listed.assurance if listed is not None and is_commit(self.site.base) else "local"

    def _expected(self, step: Decide, verdict: GateVerdict) -> Expected:
        def recompute() -> Mapping[str, Json]:
            return verdict.to_json()

        return Expected(
            gate=step.payload.gate,
            environment=step.payload.environment,
            tier=self.site.spec.tier,
            resource_uri=self._resource(step.payload),
            subject=subject_of(self.site.store, step.payload),
            gate_digest=step.payload.subject["gate"],
            policies_digest=step.payload.policies,
            record_digest=digest_bytes(self._read(step, step.payload.record)),
            recompute=recompute,
        )

    def _recompute(self, step: Decide) -> GateVerdict:
        payload = step.payload
        record = self._record(step, payload.record)
        baselines = {label: self._record(step, ref) for label, ref in payload.baselines.items()}
        return decide(rules_of(payload.spec), record, baselines, METRICS)

    def _record(self, step: Decide, ref: str) -> Record:
        try:
            return read_record(self._read(step, ref).splitlines())
        except RecordInvalid as error:
            raise OperationFailed(
                f"{step_id(step)}: the record `{ref}` cannot be used: {error}",
                help="evaluate again, or mend the record that the gate names",
                exit_code=Exit.STEP_FAILED,
            ) from error

    def _read(self, step: Decide, ref: str) -> bytes:
        try:
            return read_output(self.site.store, ref)
        except (StoreCorrupt, FileNotFoundError) as error:
            raise tampered(step, str(error)) from error

    def _resource(self, payload: DecidePayload) -> str:
        project = self.site.project
        return f"llmops://{project}/{payload.environment}/gates/{payload.gate}"


def open_judge(site: Site, tell: Callable[[str], None]) -> DeskJudge:
    """The judge of this user, with keys made on a first run.

    Raises:
        OperationFailed: no trust file where there should be one, or no key that can sign.
    """
    ensure_keys(site, tell)
    trust = load_trust()
    return DeskJudge(site=site, trust=trust, key=signing_key(trust))


def open_verifier(site: Site) -> DeskJudge:
    """A judge that only verifies: it needs the trust file and no private key, and makes nothing.

    Raises:
        OperationFailed: there is no trust file.
    """
    return DeskJudge(site=site, trust=load_trust())


def subject_of(store: Store, payload: DecidePayload) -> dict[str, str]:
    """Everything that can change behaviour, with the digest of the bytes behind each store name added."""
    facts = dict(payload.subject)
    for name, fact in payload.subject.items():
        if fact.startswith("store://"):
            facts[f"bytes:{name}"] = _output_digest(store, fact)
    return facts


def _output_digest(store: Store, ref: str) -> str:
    """Digest over the files of an output, by name; of nothing where it is not stored."""
    key, output = split_ref(ref)
    manifest = load_manifest(store, key)
    outputs = manifest.outputs if manifest else {}
    return digest(
        {name: one.digest for name, one in outputs.items() if name == output or name.startswith(f"{output}/")}
    )
