"""What became of a plan, as tables: steps, verdicts with their bounds, addresses, the report."""

from __future__ import annotations

from pathlib import Path

from compiler.plan import step_id
from llmops.apply.executor import RunOutcome, StepOutcome
from llmops.apply.site import Site
from llmops.cli.console import style, table
from policies.gates.results import CriterionVerdict, GateVerdict

_STATES = {"done": "green", "cached": "green", "in-place": "green", "failed": "red", "not-run": "yellow"}
_VERDICTS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def outcome_text(site: Site, outcome: RunOutcome, report: Path | None) -> str:
    """Everything that a person reads after a run."""
    parts = [_steps(outcome)] if outcome.steps else []
    if outcome.verdicts:
        parts.append(verdicts_text(outcome.verdicts))
    as_before = " (as before this run)" if outcome.failure is not None else ""
    pairs = [(name, pair) for name, pair in site.live_pairs().items() if pair.is_healthy()]
    ends = [f"service `{name}`: {pair.url}, model {pair.model_name}{as_before}" for name, pair in pairs]
    if report is not None:
        ends.append(f"report: {report}")
    if ends:
        parts.append("\n".join(ends))
    return "\n\n".join(parts)


def _steps(outcome: RunOutcome) -> str:
    rows = [_step_row(one) for one in outcome.steps]
    return table(rows, heads=("Step", "", "Seconds", ""))


def _step_row(one: StepOutcome) -> list[str]:
    time = f"{one.seconds:.1f}" if one.state in ("done", "failed") else ""
    notes = ", ".join(f"{name} {value}" for name, value in one.notes.items())
    return [step_id(one.step), style(one.state.replace("-", " "), _STATES[one.state]), time, notes]


def verdicts_text(verdicts: dict[str, GateVerdict]) -> str:
    """A row per criterion, and below each gate that does not pass, why and what would help."""
    rows: list[list[str]] = []
    for gate, verdict in verdicts.items():
        rows.append([gate, "", "", "", "", _word(verdict.verdict)])
        rows += [_criterion_row(one) for one in verdict.criteria]
    text = table(rows, heads=("Gate", "Estimate", "Bounds", "Bar", "Units", "Verdict"))
    remarks = [
        _remark(gate, one) for gate, verdict in verdicts.items() for one in verdict.criteria if one.verdict != "pass"
    ]
    return "\n".join([text, *remarks])


def _criterion_row(one: CriterionVerdict) -> list[str]:
    sign = {"at-least": "≥", "at-most": "≤", "never-fails": ""}[one.direction]
    return [
        f"  {one.criterion}",
        _number(one.estimate),
        f"[{_number(one.low)}, {_number(one.high)}]" if one.estimate is not None else "",
        f"{sign} {_number(one.bar)}" if one.bar is not None else "",
        str(one.counts.units or ""),
        _word(one.verdict),
    ]


def _remark(gate: str, one: CriterionVerdict) -> str:
    advice = f"; {one.advice}" if one.advice else ""
    return f"{gate}: {one.criterion}: {one.reason}{advice}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _word(verdict: str) -> str:
    return style(verdict, _VERDICTS[verdict])
