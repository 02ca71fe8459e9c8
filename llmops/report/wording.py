"""Numbers, times and verdicts in words for a reader who is new to them.

Used by `page` and `charts`. Words alone: nothing here decides.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from compiler.base_version import MARK
from compiler.diagnostics.catalogue import BASE_CANNOT_RUN
from compiler.plan import BOOTSTRAP, Decide, Plan, is_commit
from llmops.errors import Exit
from llmops.report.data import ReportedCriterion, ReportedStep, ReportedVerdict, StepState

EXIT_WORDS: Final[dict[int, tuple[str, str]]] = {
    Exit.CLEAN: ("good", "everything asked for is done"),
    Exit.FINDINGS: ("bad", "the spec has errors"),
    Exit.MISUSE: ("bad", "misuse, or a broken environment"),
    Exit.CHANGES: ("open", "the plan has changes"),
    Exit.GATE_FAILED: ("bad", "a gate failed"),
    Exit.POLICY_FAILED: ("bad", "a policy failed"),
    Exit.GATE_INCONCLUSIVE: ("open", "a gate is inconclusive"),
    Exit.TAMPERED: ("bad", "evidence or a saved plan does not match"),
    Exit.STEP_FAILED: ("bad", "a step failed; the same command again resumes"),
    Exit.BUG: ("bad", "a mistake of llmops itself"),
    Exit.INTERRUPTED: ("open", "interrupted; the same command again resumes"),
}

STATE_WORDS: Final[dict[StepState, str]] = {
    "done": "ran",
    "cached": "from the store",
    "in-place": "in place",
    "failed": "failed",
    "not-run": "not run",
    "running": "running",
}

ASSURANCE_WORDS: Final[dict[str, str]] = {
    "local": "signed with a key of one machine: shows that this machine decided so, not that anyone else agrees",
    "ci": (
        "signed by the pipeline that a trust file outside the repository names, with the gates of a reviewed base "
        "revision beside the change's own"
    ),
    "bootstrap": "decided without a reviewed base to compare with; refused in production",
}

COMBINE_WORDS: Final[dict[str, str]] = {
    "all-shown-good": "passes only when every criterion is shown to hold",
    "block-if-any-shown-worse": "fails only when some criterion is shown not to hold; weak data pass",
}


def base_words(plan: Plan) -> str:
    """What judges beside the change's own gates; nothing where the working tree stands alone."""
    if plan.base == BOOTSTRAP:
        return "No Git history here, so nothing was reviewed: decisions say `bootstrap`, and production refuses them"
    if not is_commit(plan.base):
        return ""
    decided = [one.step.name for one in plan.steps if isinstance(one.step, Decide)]
    twice = ", ".join(f"`{name}`" for name in decided if name.endswith(MARK))
    said = f"decided as there too, and needed: {twice}" if twice else "each of its gates decides as it does here"
    if any(one.rule == BASE_CANNOT_RUN.name for one in plan.policies):
        said = "its gates cannot judge this change"
    return f"Base revision {plan.base[:12]}: {said}"


def number(value: float) -> str:
    """Four significant digits, with a real minus sign."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def share(value: float) -> str:
    """A share as percent with one decimal."""
    return f"{100 * value:.1f} %"


def level(value: float) -> str:
    """A probability as percent, as short as it can be."""
    return f"{100 * value:.3g} %"


def seconds(value: float) -> str:
    if 0 < value < 0.05:
        return "< 0.1 s"
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(iso: str) -> str:
    """`2026-08-14 09:41:27 UTC`; text that is no ISO 8601 time stays as it is."""
    try:
        read = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = read.tzname() or ""
    return f"{read.replace(tzinfo=None, microsecond=0).isoformat(sep=' ')} {zone}".rstrip()


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def json_text(value: JsonValue) -> str:
    """Text as it is, a number short, anything else as JSON."""
    match value:
        case str():
            return value
        case bool() | None:
            return json.dumps(value)
        case int():
            return f"{value:,}" if abs(value) < 10**15 else str(value)
        case float():
            return number(value)
        case _:
            return json.dumps(value, ensure_ascii=False, sort_keys=True)


def bar_words(criterion: ReportedCriterion) -> str:
    """The bar as a wish: `at least 0.75`, `difference above 0`."""
    if criterion.direction == "never-fails":
        return "every listed item at the top score"
    if criterion.bar is None:
        return ""
    side = criterion.direction.replace("-", " ")
    if criterion.baseline is None:
        return f"{side} {number(criterion.bar)}"
    strict = criterion.bar == 0
    words = {"at-least": "above", "at-most": "below"}[criterion.direction] if strict else side
    return f"difference {words} {signed(criterion.bar)}"


def estimate_words(criterion: ReportedCriterion) -> str:
    if criterion.estimate is None:
        return "none"
    return number(criterion.estimate) if criterion.baseline is None else signed(criterion.estimate)


def bounds_words(criterion: ReportedCriterion) -> str:
    """Both bounds, `0.803 to 0.877`, an absent one as `none`."""
    if criterion.low is None and criterion.high is None:
        return "none"
    show = signed if criterion.baseline is not None else number
    low, high = ("none" if one is None else show(one) for one in (criterion.low, criterion.high))
    return f"{low} to {high}"


def units_words(criterion: ReportedCriterion) -> str:
    """How much was measured, and of how many independent units."""
    if criterion.planned == 0:
        return "no item was planned"
    listed = "listed " if criterion.direction == "never-fails" else ""
    words = f"{criterion.scored:,} of {plural(criterion.planned, f'{listed}item')} scored"
    lost = [(criterion.unscorable, "unscorable"), (criterion.errored, "errored"), (criterion.skipped, "skipped")]
    words += "".join(f", {count:,} {why}" for count, why in lost if count)
    if criterion.absent:
        words += f" ({criterion.absent:,} with absent lines)"
    if criterion.units and criterion.units != criterion.scored:
        words += f"; {plural(criterion.units, 'independent cluster')}"
    elif criterion.units:
        words += "; each item counts by itself"
    return words


def gate_words(verdict: ReportedVerdict) -> list[str]:
    """How the gate decides, and how often that goes wrong."""
    unsure = "blocks" if verdict.on_inconclusive == "block" else "only warns"
    ships = "A change that does not hold its criteria may pass: weak data are let through."
    if verdict.false_ship_at_most is not None:
        ships = f"A change that does not hold some criterion passes in at most {level(verdict.false_ship_at_most)}."
    beyond = level(verdict.alpha)
    return [
        f"Each bound is one-sided: the true value lies beyond it in at most {beyond} of cases (α = {verdict.alpha:g}).",
        f"The gate {COMBINE_WORDS.get(verdict.combine, verdict.combine)}; inconclusive {unsure}.",
        ships,
        f"A good change is failed in at most {level(verdict.false_block_at_most)}.",
    ]


def error_of(step: ReportedStep) -> tuple[str, str]:
    """What went wrong in a failed step, and what to do."""
    error, help_ = step.notes.get("error", ""), step.notes.get("help", "")
    return json_text(error) or "it gave no reason", json_text(help_)
