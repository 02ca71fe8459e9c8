"""Gather what a report says from a plan, its outcome and the store, and write the page.

Called by `apply` and `gate run` when they end, however they end. Nothing here fails a run: what cannot be read is
left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, ValidationError

from compiler.plan import CheckData, Decide, Plan, Train, step_id
from llmops.apply.executor import RunOutcome, StepOutcome
from llmops.apply.judge import SUMMARY_FILE
from llmops.apply.site import Site
from llmops.errors import OperationFailed
from llmops.io.files import write_atomically
from llmops.report.data import (
    CurvePoint,
    ReportData,
    ReportedEvidence,
    ReportedService,
    ReportedStep,
    ReportedVerdict,
)
from llmops.report.wording import base_words
from llmops_spec.formats import ADVICE, NewerFormat
from llmops_spec.payloads.data import DataProfile
from llmops_spec.store import StoreCorrupt, make_ref, read_output
from policies.evidence.envelope import EnvelopeRefused, opened


def write_report(site: Site, plan: Plan, outcome: RunOutcome) -> Path:
    """Write `report.html` and its data beside the environment's state. Returns the page's path."""
    from llmops.report.page import render_report

    data = gather(site, plan, outcome)
    page = site.folder / "report.html"
    write_atomically(site.folder / "report.json", data.model_dump_json(by_alias=True, indent=1).encode())
    write_atomically(page, render_report(data).encode())
    return page


def gather(site: Site, plan: Plan, outcome: RunOutcome) -> ReportData:
    done = {step_id(one.step): one for one in outcome.steps}
    unread: list[str] = []
    profiles = dict(_profiles(site, plan, unread.append))
    return ReportData(
        project=plan.project,
        environment=plan.environment,
        target=plan.target,
        outcome=_sentence(plan, outcome),
        exit_code=int(outcome.exit_code),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=[
            _step(done[step_id(one.step)], one.action.value, one.reason, outcome.failure)
            for one in plan.steps
            if step_id(one.step) in done
        ],
        policies=plan.policies,
        notes=[*([base] if (base := base_words(plan)) else []), *plan.notes, *unread],
        profiles=profiles,
        curves=dict(_curves(site, plan)),
        verdicts={gate: ReportedVerdict.model_validate(one.to_json()) for gate, one in outcome.verdicts.items()},
        evidence=list(_evidence(site, plan)),
        services=[
            ReportedService(name=name, url=f"{pair.url}/v1/services/{name}", model=pair.model_name)
            for name, pair in site.live_pairs().items()
            if pair.is_healthy()
        ],
    )


def _sentence(plan: Plan, outcome: RunOutcome) -> str:
    if outcome.failure is not None:
        return f"Stopped: {outcome.failure.what}."
    ran = sum(one.state == "done" for one in outcome.steps)
    passed = f"; every gate passed ({len(outcome.verdicts)})" if outcome.verdicts else ""
    return f"Environment {plan.environment} is as its spec says: {ran} steps ran{passed}."


def _step(one: StepOutcome, action: str, reason: str, failure: OperationFailed | None) -> ReportedStep:
    notes: dict[str, JsonValue] = dict(one.notes)
    if one.state == "failed" and failure is not None:
        notes |= {"error": failure.what, "help": failure.help}
    return ReportedStep.model_validate(
        {
            "id": step_id(one.step),
            "kind": one.step.kind,
            "name": one.step.name,
            "action": action,
            "reason": reason,
            "state": one.state,
            "seconds": one.seconds if one.state in ("done", "failed") else None,
            "notes": notes,
        }
    )


def _stored(site: Site, key: str, output: str) -> bytes | None:
    try:
        return read_output(site.store, make_ref(key, output))
    except (FileNotFoundError, StoreCorrupt):
        return None


def _profiles(site: Site, plan: Plan, tell: Callable[[str], None]) -> Iterator[tuple[str, DataProfile]]:
    """The profile of each dataset that can be read. Of one that a newer llmops wrote it is told."""
    for one in plan.steps:
        if isinstance(one.step, CheckData) and (data := _stored(site, one.step.key, "profile.json")):
            try:
                yield one.step.name, DataProfile.model_validate_json(data)
            except NewerFormat as error:
                tell(f"dataset `{one.step.name}`: {error}: {ADVICE}")
            except ValidationError:
                continue


def _curves(site: Site, plan: Plan) -> Iterator[tuple[str, list[CurvePoint]]]:
    for one in plan.steps:
        if isinstance(one.step, Train) and (data := _stored(site, one.step.key, "curve.jsonl")):
            try:
                yield one.step.name, [CurvePoint.model_validate_json(line) for line in data.splitlines()]
            except ValidationError:
                continue


def _evidence(site: Site, plan: Plan) -> Iterator[ReportedEvidence]:
    for one in plan.steps:
        if not isinstance(one.step, Decide) or (data := _stored(site, one.step.key, SUMMARY_FILE)) is None:
            continue
        try:
            envelope = opened(data)
        except EnvelopeRefused:
            continue
        statement = json.loads(envelope.payload)
        yield ReportedEvidence(
            gate=one.step.name,
            key_id=envelope.signatures[0][0],
            assurance=statement["predicate"]["decision"]["assurance"],
            base=statement["predicate"]["decision"].get("base"),
            statement_digest=envelope.digest,
            subject={fact["name"]: fact.get("uri") or fact["digest"]["sha256"] for fact in statement["subject"]},
            provenance=statement["predicate"]["verifier"]["version"],
        )
