"""Carry out a plan: each step that has to run, in order, with intent and result in the journal.

Can be killed at any point and run again: a step that makes an artifact is looked up in the store first, a step that
acts is compared with what is live.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from compiler.plan import (
    ActingStep,
    Action,
    ArtifactStep,
    CheckData,
    Decide,
    Evaluate,
    Fetch,
    Plan,
    PlannedStep,
    Provision,
    Record,
    RollOut,
    Step,
    StepId,
    Train,
    TransformData,
    Verify,
    identity,
    step_id,
)
from llmops.apply.deployments import note_deployed
from llmops.apply.integrity import tampered
from llmops.apply.journal import Entry, Event
from llmops.apply.progress import Display
from llmops.apply.servers import LivePair
from llmops.apply.sharing import in_engine_order, sharers
from llmops.apply.site import Site
from llmops.errors import Exit, OperationFailed
from llmops_spec.digests import Json
from llmops_spec.payloads import process
from llmops_spec.payloads.base import Payload
from llmops_spec.payloads.results import Progress, TaskResult
from llmops_spec.payloads.serving import EnginePayload
from llmops_spec.secret import Variables
from llmops_spec.store import Manifest, StoreCorrupt, keys_named_in, load_manifest, pins_text, publish
from policies.gates.results import GateVerdict

Notes: TypeAlias = Mapping[str, str | int | float]
"""Figures for people."""

StepState = Literal["done", "cached", "in-place", "failed", "not-run"]


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    step: Step
    state: StepState
    seconds: float = 0.0
    notes: Notes = field(default_factory=dict[str, str | int | float])


@dataclass(kw_only=True)
class RunOutcome:
    """What became of a plan."""

    steps: list[StepOutcome] = field(default_factory=list[StepOutcome])
    verdicts: dict[str, GateVerdict] = field(default_factory=dict[str, GateVerdict])
    """By gate."""
    failure: OperationFailed | None = None
    """Why it stopped early, where it did."""

    @property
    def exit_code(self) -> Exit:
        return self.failure.exit_code if self.failure is not None else Exit.CLEAN


class Workers(Protocol):
    """What runs outside this process."""

    def run_task(
        self, payload: Payload, name: str, variables: Variables, on_progress: Callable[[Progress], None]
    ) -> TaskResult: ...

    def evaluate(
        self,
        step: Evaluate,
        to_come: Sequence[EnginePayload],
        variables: Mapping[str, str],
        on_progress: Callable[[Progress], None],
    ) -> TaskResult:
        """Measure. The engine may answer for evaluations to come, too, and stay up for them."""
        ...

    def end_candidates(self) -> None:
        """End what evaluations have left up."""
        ...

    def roll_out(self, step: RollOut, variables: Mapping[str, str], old: LivePair | None) -> LivePair: ...

    def stop(self, pair: LivePair) -> None: ...

    def ask(self, url: str, service: str, variables: Mapping[str, str], seconds: float) -> str: ...


class Judge(Protocol):
    """Decides gates and vouches for decisions."""

    def decide(self, step: Decide, outputs: Path) -> GateVerdict:
        """Decide from the stored records and write verdict and signed evidence to `outputs`."""
        ...

    def vouch(self, step: Decide) -> GateVerdict:
        """The stored decision, with its evidence verified and its verdict recomputed.

        Raises:
            OperationFailed: with exit code 7.
        """
        ...

    def sign(self, manifest: Manifest) -> None:
        """Leave a receipt for a result that was made here."""
        ...

    def refuse_stranger(self, step: ArtifactStep, manifest: Manifest) -> None:
        """Refuse a stored result that nobody trusted vouches for.

        Raises:
            OperationFailed: with exit code 7.
        """
        ...


@dataclass(kw_only=True)
class Executor:
    site: Site
    workers: Workers
    judge: Judge
    display: Display
    verified: dict[str, str]
    """Manifest digest of each stored result that may be built on, by step key; grows as steps are made."""
    _waiting: list[PlannedStep] = field(init=False, default_factory=list[PlannedStep])
    """What comes after the running step."""

    def run(self, plan: Plan, *, acting: bool = True) -> RunOutcome:
        """Carry out a plan, or with `acting` off only what its gates depend on.

        A blocked gate, or a step that fails, ends the run; what was done stays done.
        """
        outcome = RunOutcome()
        chosen = in_engine_order([one for one in plan.steps if acting or isinstance(one.step, ArtifactStep)])
        plan_digest = plan.digest()
        self.site.journal.remember_plan(plan)
        try:
            if any(isinstance(one.step, Train) and one.action is Action.RUN for one in chosen):
                self.site.training_secrets()  # a missing one is noticed before anything runs, and costs nothing
            self._vouch_for_cached(chosen, outcome)
            required = {gate for one in plan.steps if isinstance(one.step, RollOut) for gate in one.step.gates}
            for number, one in enumerate(chosen, start=1):
                self._waiting = chosen[number:]
                if isinstance(one.step, ActingStep):
                    self._refuse_blocked(outcome, required)
                outcome.steps.append(self._step(one, number, len(chosen), plan_digest, outcome))
            if acting:
                self._remove(plan)
            self._refuse_blocked(outcome, {f"decide/{gate}" for gate in outcome.verdicts})
            if acting:
                note_deployed(self.site, self.verified)
        except OperationFailed as error:
            outcome.failure = error
            self._note_the_rest(chosen, outcome)
        finally:
            self.workers.end_candidates()
        return outcome

    def _vouch_for_cached(self, chosen: list[PlannedStep], outcome: RunOutcome) -> None:
        """Before anything runs: decisions that would be built on are verified, so a forgery costs nothing."""
        for one in chosen:
            if isinstance(one.step, Decide) and one.action is not Action.RUN:
                outcome.verdicts[one.step.name] = self.judge.vouch(one.step)

    def _refuse_blocked(self, outcome: RunOutcome, required: set[StepId]) -> None:
        """A release needs every gate that one of its services names; a gate that none names only ends it unwell."""
        verdicts = outcome.verdicts.items()
        blocked = {gate: verdict for gate, verdict in verdicts if verdict.blocks and f"decide/{gate}" in required}
        if not blocked:
            return
        failed = [gate for gate, verdict in blocked.items() if verdict.verdict == "fail"]
        code = Exit.GATE_FAILED if failed else Exit.GATE_INCONCLUSIVE
        chosen = failed or list(blocked)
        words = ("gates " if len(chosen) > 1 else "gate ") + ", ".join(f"`{gate}`" for gate in chosen)
        what = "failed" if failed else "could not be decided"
        raise OperationFailed(
            f"{words} {what}; {_what_was_rolled_out(outcome)}",
            help="the table says which criterion, and the report why",
            exit_code=code,
        )

    def _step(
        self, planned: PlannedStep, number: int, total: int, plan_digest: str, outcome: RunOutcome
    ) -> StepOutcome:
        step = planned.step
        if planned.action is not Action.RUN:
            return StepOutcome(step=step, state=_LEFT[planned.action])
        name = step_id(step)
        self.display.begin(name, number, total)
        began = time.monotonic()
        self._journal(plan_digest, step, "intent")
        try:
            result, notes = self._guarded(step, outcome)
        except OperationFailed:
            self._journal(plan_digest, step, "failed")
            self.display.end(name, "failed", time.monotonic() - began)
            outcome.steps.append(StepOutcome(step=step, state="failed", seconds=time.monotonic() - began))
            raise
        self._journal(plan_digest, step, "done", result)
        seconds = time.monotonic() - began
        self.display.end(name, "done", seconds)
        return StepOutcome(step=step, state="done", seconds=seconds, notes=notes)

    def _journal(self, plan_digest: str, step: Step, event: Event, result: str = "") -> None:
        self.site.journal.write(
            Entry(plan=plan_digest, step=step_id(step), event=event, identity=identity(step), result=result)
        )

    def _guarded(self, step: Step, outcome: RunOutcome) -> tuple[str, Notes]:
        """Do one step; a full disk, or a folder that may not be written, is a failed step."""
        try:
            return self._carry_out(step, outcome)
        except StoreCorrupt as error:
            raise tampered(step, str(error)) from error
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise OperationFailed(
                f"{step_id(step)}: {error.strerror or error}{place}",
                help="mend that, and run the same command again: finished steps are kept, and this one starts again",
                exit_code=Exit.STEP_FAILED,
            ) from error

    def _carry_out(self, step: Step, outcome: RunOutcome) -> tuple[str, Notes]:
        """Do one step. Returns the digest of its stored manifest, where it has one, and figures for people."""
        if isinstance(step, ArtifactStep):
            return self._make(step, outcome)
        left, notes = self._act(step)
        self.site.journal.set_live(step_id(step), step.revision, left)
        return "", notes

    def _make(self, step: ArtifactStep, outcome: RunOutcome) -> tuple[str, Notes]:
        """Make an artifact, store it and sign for it. One that came into the store meanwhile must be vouched for."""
        meanwhile = load_manifest(self.site.store, step.key)
        if meanwhile is not None:
            self.judge.refuse_stranger(step, meanwhile)
        notes: Notes = {}
        match step:
            case Fetch():
                from llmops.apply.fetching import fetch_files, forget_downloads  # only here is HTTP needed

                self._published(step, lambda folder: fetch_files(self.site, step, folder, self.display.update))
                forget_downloads(self.site)
            case Decide():
                self._published(step, lambda folder: self._decide(step, folder))
                outcome.verdicts[step.name] = self.judge.vouch(step)  # what the store holds, and no other
            case CheckData() | TransformData():
                variables = self._variables(step.name, step.payload)
                notes = self.workers.run_task(step.payload, step_id(step), variables, self.display.update).notes
            case Train():
                variables = {**self._variables(step.name, step.payload), **self.site.training_secrets()}
                notes = self.workers.run_task(step.payload, step_id(step), variables, self.display.update).notes
            case Evaluate():
                to_come = sharers(step, self._waiting)
                variables = self._variables(step.name, step.payload, *to_come)
                notes = self.workers.evaluate(step, to_come, variables, self.display.update).notes
        return self._signed(step), notes

    def _variables(self, name: str, *payloads: Payload) -> dict[str, str]:
        """What a child is told beside its payload; it reads only results that were verified."""
        named = keys_named_in(" ".join(one.model_dump_json(by_alias=True) for one in payloads))
        pins = {key: self.verified[key] for key in named}
        return {**self.site.task_variables(name), process.PINS: pins_text(pins)}

    def _act(self, step: ActingStep) -> tuple[Mapping[str, Json], Notes]:
        """Bring a revision about. Returns what the journal keeps of it, and figures for people."""
        match step:
            case Provision():
                (self.site.folder / "logs").mkdir(parents=True, exist_ok=True)
                return {}, {}
            case RollOut():
                return self._roll_out(step)
            case Verify():
                return {}, self._verify(step)
            case Record():
                return {}, {}

    def _roll_out(self, step: RollOut) -> tuple[Mapping[str, Json], Notes]:
        """Hand over to a new pair. It is journaled before the old one is stopped: cut off in between, both answer."""
        old = self.site.live_pairs().get(step.name)
        pair = self.workers.roll_out(step, self._variables(step.name, step.engine), old)
        left = pair.model_dump(mode="json", by_alias=True)
        self.site.journal.set_live(step_id(step), step.revision, left)
        if old is not None:
            self.workers.stop(old)
        return left, {"url": pair.url}

    def _signed(self, step: ArtifactStep) -> str:
        """Sign for what a step has stored. Returns the digest of its manifest."""
        manifest = load_manifest(self.site.store, step.key)
        if manifest is None:
            raise OperationFailed(f"{step_id(step)} ended without a stored result", exit_code=Exit.STEP_FAILED)
        self.judge.sign(manifest)
        self.verified[step.key] = manifest.digest()
        return manifest.digest()

    def _published(self, step: ArtifactStep, write: Callable[[Path], None]) -> Manifest:
        """Make a step's outputs in this process and store them."""
        self.site.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="outputs-", dir=self.site.folder))
        try:
            write(folder)
            return publish(self.site.store, step.key, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _decide(self, step: Decide, folder: Path) -> None:
        self.judge.decide(step, folder)

    def _verify(self, step: Verify) -> Notes:
        pair = self.site.live_pairs().get(step.name)
        if pair is None:
            raise OperationFailed(f"service `{step.name}` is not running", exit_code=Exit.STEP_FAILED)
        began = time.monotonic()
        answer = self.workers.ask(pair.url, step.name, step.variables, 30.0)
        return {"answer": answer, "seconds": round(time.monotonic() - began, 3)}

    def _remove(self, plan: Plan) -> None:
        """Stop services that the spec no longer has."""
        pairs = self.site.live_pairs()
        for name in plan.removals:
            self.workers.stop(pairs[name])
            for kind in ("provision", "roll-out", "verify"):
                self.site.journal.forget_live(f"{kind}/{name}")

    def _note_the_rest(self, chosen: list[PlannedStep], outcome: RunOutcome) -> None:
        known = {step_id(one.step) for one in outcome.steps}
        for one in chosen:
            if step_id(one.step) not in known:
                outcome.steps.append(StepOutcome(step=one.step, state=_LEFT[one.action]))


_LEFT: Mapping[Action, StepState] = {Action.RUN: "not-run", Action.CACHED: "cached", Action.IN_PLACE: "in-place"}
"""What a step is that a run did not come to."""


def _what_was_rolled_out(outcome: RunOutcome) -> str:
    rolled_out = [one.step.name for one in outcome.steps if one.state == "done" and isinstance(one.step, RollOut)]
    return f"rolled out: {', '.join(rolled_out)}" if rolled_out else "nothing was rolled out"
