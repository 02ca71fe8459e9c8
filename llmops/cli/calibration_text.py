"""What `llmops size calibrate` prints for people."""

from __future__ import annotations

from compiler.sizing.budget import GIB
from llmops.cli.console import style, table
from llmops.cli.size_text import cards_text, engine_text, verdict_text
from llmops.sizing.calibration import Calibration, Residual


def calibration_text(found: Calibration) -> str:
    """The page of one log."""
    budget, start_up = found.budget, found.start_up
    head = f"{found.log}: {found.subject.shown} on {cards_text(budget.gpus, found.gpu)}, {engine_text(budget)}"
    lines = [head]
    if start_up.starts > 1:
        lines.append(f"  the log holds {start_up.starts} start-ups; this is the last")
    if start_up.failure is not None:
        lines.append(f"  it failed: {start_up.failure}")
    lines.append(f"  predicted: {verdict_text(budget.verdict)}{_agreement(found)}")
    lines += [f"  not known: {one}" for one in budget.missing]
    if found.residuals:
        heads = ("  one GPU", "measured", "predicted", "residual", "", "margin")
        lines += ["", table([_residual(one) for one in found.residuals], heads=heads), "", _in_all(found)]
    elif budget.verdict != "unknown":
        lines.append("  the log tells no figure to compare: it ends before the engine measured its memory")
    return "\n".join(lines)


def _agreement(found: Calibration) -> str:
    if found.agrees is None:
        return ""
    return ", and so it was" if found.agrees else style(", which is wrong", "red")


def _in_all(found: Calibration) -> str:
    margin = f"the margin of {found.budget.margin_bytes / GIB:.2f} GiB"
    if not found.beyond:
        return f"  in all: within {margin}"
    named = ", ".join(found.beyond)
    advice = "verdicts do not hold here; is it the GPU, and are these the settings, that the log is of?"
    return f"  in all: {style('beyond', 'red')} {margin} ({named}): {advice}"


def _residual(one: Residual) -> tuple[str, ...]:
    digits = {"GiB": 2, "tokens": 0, "requests": 2}[one.unit]
    of = "of the budget" if one.unit == "GiB" else ""
    return (
        f"  {one.name}",
        f"{one.measured:,.{digits}f}",
        f"{one.predicted:,.{digits}f}",
        f"{one.difference:+,.{digits}f} {one.unit}",
        f"{one.share:+.1%} {of}".rstrip(),
        "within" if one.within else style("beyond", "red"),
    )
