"""Documents of earlier formats are read, newer ones refused in one sentence, and no kind of document is forgotten.

`tests/formats/<format>/` keeps one of each kind as the product wrote it, most of them before their latest fields were
added. A format that is raised gets a folder of its own beside them; what lies there is never edited. `llmops.lock` has
its own such test (`llmops/lock/test_formats.py`); policy packs and their examples are written by people.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from compiler.plan import WORKING_TREE, DecidePayload, Evaluate, Plan, RollOut, Train, plan_digest
from llmops.apply.deployments import DeployedNote
from llmops.apply.journal import Journal
from llmops.apply.lock import Holder
from llmops.apply.planning import read_plan
from llmops.apply.servers import LivePair
from llmops.report.data import ReportData, ReportedVerdict
from llmops.report.page import render_report
from llmops_runtime.discovery import TASKS
from llmops_spec.digests import Json, canonical, digest
from llmops_spec.formats import MachineWritten, NewerFormat
from llmops_spec.lock import LockDocument
from llmops_spec.parts import BuiltInParts
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.data import CheckDataPayload, DataProfile, TransformPayload
from llmops_spec.payloads.evaluation import EvaluatePayload, RecordHeader
from llmops_spec.payloads.results import TaskResult
from llmops_spec.payloads.serving import EnginePayload, GatewayPayload, Ready, Supervision
from llmops_spec.payloads.training import TrainPayload
from llmops_spec.store import Manifest
from policies.evidence.envelope import new_key, opened, seal
from policies.evidence.receipt import PREDICATE as RECEIPT
from policies.evidence.receipt import receipt_holds, refuse_newer_statement
from policies.evidence.refusals import Reason, Refused
from policies.evidence.statement import SummaryStatement
from policies.evidence.tombstone import read_tombstone
from policies.evidence.trust import Trust, parse_trust
from policies.evidence.verify import Expected, SignedDecision, Verified, verify
from policies.gates.records import RecordInvalid, read_record
from policies.gates.results import refuse_newer_verdict

KEPT = Path(__file__).parents[1] / "formats" / "1"

PACKAGES = {"llmops_spec", "compiler", "policies", "backends", "llmops", "llmops_runtime"}

MODELS: Mapping[type[MachineWritten], str] = {
    CheckDataPayload: "payload.check-data.json",
    DataProfile: "profile.json",
    DecidePayload: "payload.decide.json",
    DeployedNote: "deployed.json",
    EnginePayload: "payload.engine.json",
    EvaluatePayload: "payload.evaluate.json",
    GatewayPayload: "payload.gateway.json",
    Holder: "holder.json",
    Manifest: "manifest.json",
    Ready: "ready.json",
    ReportData: "report.json",
    ReportedVerdict: "verdict.json",
    Supervision: "supervision.json",
    TaskResult: "task-result.json",
    TrainPayload: "payload.train.json",
    TransformPayload: "payload.transform.json",
    Trust: "trust.json",
}
"""Kinds that one JSON document is a file of."""
OTHERS = {
    Plan: "plan.json",
    RecordHeader: "record.jsonl",
}
"""Kinds inside of a larger file."""
NOT_MODELS = {"journal.db", "receipt.dsse.json", "summary.dsse.json", "test-result.dsse.json", "tombstone.dsse.json"}
SENTENCE = r"was written by a newer llmops \(format 2; this one reads up to 1\)"


def kept(name: str) -> bytes:
    return (KEPT / name).read_bytes()


def raised(name: str) -> bytes:
    """A stored copy as a newer version might write it: another number, and a field that nobody here knows."""
    return json.dumps({**json.loads(kept(name)), "formatVersion": 2, "fromLater": {}}).encode()


# --- no kind is forgotten


def every_model() -> set[type[BuiltInParts]]:
    found: set[type[BuiltInParts]] = set()
    waiting: list[type[BuiltInParts]] = [BuiltInParts]
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(below)
        waiting += below
    return found


def test_every_kind_of_document_is_kept() -> None:
    for entry in TASKS.values():
        entry.payload_type()  # imports it
    written = {one for one in every_model() if issubclass(one, MachineWritten)}
    of_product = {one for one in written if one.__module__.split(".")[0] in PACKAGES} - {MachineWritten, Payload}
    assert of_product == {*MODELS, *OTHERS}
    assert {one.name for one in KEPT.iterdir()} == {*MODELS.values(), *OTHERS.values(), *NOT_MODELS}


def test_no_document_has_a_format_of_its_own_making() -> None:
    """Whatever has a `formatVersion` refuses newer ones in the one way; the lock and packs do it with a place."""
    versioned = {one.__name__ for one in every_model() if "format_version" in one.model_fields}
    refusing = {one.__name__ for one in every_model() if issubclass(one, MachineWritten)}
    assert versioned - refusing <= {LockDocument.__name__, "_PackText", "_FixturesText"}


FORMAT_NUMBER = re.compile(r"^((?:\w+_)?FORMAT(?:_VERSION)?)(?:: Final)? = (\d+)$", re.MULTILINE)


def test_every_format_number_is_one_of_those_kept() -> None:
    found: dict[str, str] = {}
    for package in sorted(PACKAGES):
        for path in (KEPT.parents[2] / package).rglob("*.py"):
            for name, number in FORMAT_NUMBER.findall(path.read_text()):
                found[f"{path.relative_to(KEPT.parents[2]).as_posix()}: {name}"] = number
    assert found == dict.fromkeys(found, "1")
    assert set(found) == {
        "compiler/diagnostics/json_format.py: FORMAT_VERSION",  # printed for other programs; nothing here reads it
        "compiler/plan.py: PLAN_FORMAT",
        "llmops/apply/deployments.py: NOTE_FORMAT",
        "llmops/apply/journal.py: JOURNAL_FORMAT",
        "llmops/report/data.py: REPORT_FORMAT",
        "llmops_spec/lock.py: LOCK_FORMAT",
        "llmops_spec/payloads/base.py: PAYLOAD_FORMAT",
        "llmops_spec/store.py: MANIFEST_FORMAT",
        "policies/evidence/statement.py: DECISION_FORMAT",
        "policies/evidence/trust.py: TRUST_FORMAT",
        "policies/gates/records.py: FORMAT_VERSION",
        "policies/gates/results.py: FORMAT_VERSION",
        "policies/pack_text.py: PACK_FORMAT",
    }


# --- documents that one model reads


@pytest.mark.parametrize(("model", "name"), MODELS.items(), ids=MODELS.values())
def test_an_earlier_document_is_read(model: type[MachineWritten], name: str) -> None:
    read = model.model_validate_json(kept(name))
    assert read.format_version == 1
    written = cast("dict[str, object]", json.loads(kept(name)))
    again = read.model_dump(mode="json", by_alias=True)
    lost = {key for key, value in written.items() if value is not None and key not in again}
    assert not lost


@pytest.mark.parametrize(("model", "name"), MODELS.items(), ids=MODELS.values())
def test_a_newer_document_is_refused_before_its_fields_are(model: type[MachineWritten], name: str) -> None:
    with pytest.raises(NewerFormat, match=SENTENCE):
        model.model_validate_json(raised(name))


def test_what_an_earlier_document_lacks_is_at_its_default() -> None:
    engine = EnginePayload.model_validate_json(kept("payload.engine.json"))
    assert b"others" not in kept("payload.engine.json")
    assert engine.others == []
    assert Holder.model_validate_json(kept("holder.json")).host == "desk"  # written before it had a number
    plan = read_plan(KEPT / "plan.json")
    assert "base" not in json.loads(kept("plan.json"))["plan"]
    assert plan.base == WORKING_TREE


def test_an_earlier_payload_keeps_its_key() -> None:
    """Keys of the payloads that the same `apply` left in its plan."""
    keys = {getattr(one.step, "key", "") for one in read_plan(KEPT / "plan.json").steps}
    for name in ("check-data", "train", "evaluate", "decide"):
        model = next(one for one, file in MODELS.items() if file == f"payload.{name}.json")
        payload = cast("Payload", model.model_validate_json(kept(f"payload.{name}.json")))
        assert digest({"payload": payload.key_view()}) in keys, name


def test_an_earlier_report_is_drawn() -> None:
    data = ReportData.model_validate_json(kept("report.json"))
    assert data.evidence[0].base is None
    assert "support-quality" in render_report(data)


# --- the plan


def test_an_earlier_plan_is_read_though_its_payloads_know_less() -> None:
    plan = read_plan(KEPT / "plan.json")
    saved = json.loads(kept("plan.json"))
    assert plan_digest(saved["plan"]) == saved["digest"] != plan.digest()
    assert {type(one.step) for one in plan.steps} >= {Train, Evaluate, RollOut}
    assert Plan.model_validate(saved["plan"], strict=False) == plan


def test_a_newer_plan_is_refused(tmp_path: Path) -> None:
    saved = json.loads(kept("plan.json"))
    saved["plan"] |= {"formatVersion": 2, "steps": "otherwise"}
    (tmp_path / "plan.json").write_text(json.dumps(saved))
    with pytest.raises(NewerFormat, match=SENTENCE):
        read_plan(tmp_path / "plan.json")


# --- the journal


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(KEPT / "journal.db", tmp_path / "journal.db"))


def test_an_earlier_journal_is_read(journal_file: Path) -> None:
    journal = Journal(journal_file)
    try:
        (live,) = [body for step, (_, body) in journal.live().items() if step.startswith("roll-out/")]
        assert "name" not in live
        assert LivePair.model_validate(live).name == ""
        ((then, plan),) = journal.applied()
        assert then in {entry.plan for entry in journal.entries()}  # what keeps its results from `gc`
        assert then != plan.digest()
        assert plan.base == WORKING_TREE
        assert len(journal.results()) > 5
    finally:
        journal.close()


@pytest.mark.parametrize(
    "change",
    ["PRAGMA user_version = 2", """UPDATE plans SET body = replace(body, '"formatVersion":1', '"formatVersion":2')"""],
    ids=["journal", "plan inside"],
)
def test_a_newer_journal_is_refused(journal_file: Path, change: str) -> None:
    with sqlite3.connect(journal_file) as database:
        database.execute(change)
    database.close()

    def read() -> None:
        journal = Journal(journal_file)
        try:
            list(journal.plans())
        finally:
            journal.close()

    with pytest.raises(NewerFormat, match=SENTENCE):
        read()


# --- record and verdict


def test_an_earlier_record_is_read_and_a_newer_refused() -> None:
    lines = kept("record.jsonl").splitlines()
    record = read_record(lines)
    assert len(record.items) == record.header.planned_items.count > 0
    header = json.dumps({**json.loads(lines[0]), "formatVersion": 2, "fromLater": 1})
    with pytest.raises(RecordInvalid, match=SENTENCE + ": use that version of llmops, or a newer one"):
        read_record([header, *lines[1:]])


def test_a_newer_verdict_is_refused() -> None:
    refuse_newer_verdict(kept("verdict.json"), "support-safety")
    with pytest.raises(NewerFormat, match="the verdict of gate `support-safety` " + SENTENCE):
        refuse_newer_verdict(raised("verdict.json"), "support-safety")


# --- signed evidence


KEY = new_key(b"k" * 32)
TRUST = parse_trust(kept("trust.json"))
MANIFEST = Manifest.model_validate_json(kept("manifest.json"))


def resealed(name: str, change: Callable[[dict[str, Json]], object]) -> bytes:
    """An envelope of the same statement, changed and signed by a key that `TRUSTING` lists."""
    statement = json.loads(opened(kept(name)).payload)
    change(statement)
    return seal(canonical(statement), KEY)


TRUSTING = TRUST.with_key(KEY)


def decided(signed: SignedDecision) -> Verified | Refused:
    said = SummaryStatement.model_validate_json(opened(kept("summary.dsse.json")).payload)
    decision = said.predicate.decision
    verdict = json.loads(kept("verdict.json"))
    expected = Expected(
        gate=decision.gate,
        environment=decision.environment,
        tier="development",
        resource_uri=said.predicate.resource_uri,
        subject={one.name: one.uri or one.digest.sha256 for one in said.subject[1:]},
        gate_digest=decision.gate_digest,
        policies_digest=said.predicate.policy.digest.sha256,
        record_digest=decision.record_digest,
        recompute=lambda: verdict,
    )
    return verify(signed, expected=expected, trust=TRUSTING, now=datetime(2026, 12, 1, tzinfo=UTC))


def test_an_earlier_decision_still_counts_byte_for_byte() -> None:
    found = decided(SignedDecision(test_result=kept("test-result.dsse.json"), summary=kept("summary.dsse.json")))
    assert isinstance(found, Verified), found
    assert (found.assurance, found.base) == ("local", None)


def test_a_newer_decision_is_refused_by_its_format() -> None:
    def newer(statement: dict[str, Json]) -> None:
        decision = cast("dict[str, dict[str, Json]]", statement["predicate"])["decision"]
        decision |= {"formatVersion": 2, "fromLater": "x"}

    found = decided(
        SignedDecision(test_result=kept("test-result.dsse.json"), summary=resealed("summary.dsse.json", newer))
    )
    assert isinstance(found, Refused)
    assert found.reason is Reason.NEWER_FORMAT
    assert "was written by a newer llmops (format 2; this one reads up to 1)" in found.message
    assert "newer one" in found.next_step


def later_type(statement: dict[str, Json]) -> None:
    statement["predicateType"] = str(statement["predicateType"]).removesuffix("v1") + "v2"


def test_an_earlier_receipt_holds_and_a_newer_is_refused() -> None:
    assert receipt_holds(kept("receipt.dsse.json"), MANIFEST.key, MANIFEST.digest(), TRUST)
    refuse_newer_statement(kept("receipt.dsse.json"), RECEIPT, "a receipt", TRUST)
    newer = resealed("receipt.dsse.json", later_type)
    with pytest.raises(NewerFormat, match=SENTENCE):
        refuse_newer_statement(newer, RECEIPT, "a receipt", TRUSTING)
    refuse_newer_statement(newer, RECEIPT, "a receipt", TRUST)  # by nobody that is known: no reason to stop


def test_an_earlier_tombstone_counts_and_a_newer_is_refused() -> None:
    found = read_tombstone(kept("tombstone.dsse.json"), MANIFEST.key, MANIFEST.digest(), 1, TRUST)
    assert found is not None
    assert found.tombstone.name == "decide/support-quality"
    with pytest.raises(NewerFormat, match=SENTENCE):
        read_tombstone(resealed("tombstone.dsse.json", later_type), MANIFEST.key, MANIFEST.digest(), 1, TRUSTING)
