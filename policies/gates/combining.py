"""Combine the verdicts of criteria into the verdict of their gate.

Called by `verdicts`. `all-shown-good` is an intersection-union test and needs no correction;
`block-if-any-shown-worse` is a union-intersection test at Holm's levels.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies.gates.results import CriterionVerdict, GateVerdict, VerdictWord
from policies.gates.rules import GateRules, NeverFail


def combine(rules: GateRules, criteria: Sequence[CriterionVerdict]) -> GateVerdict:
    """Return the gate's verdict; `criteria` are in the order of the rules."""
    by_holm = rules.combine == "block-if-any-shown-worse"
    verdict, reason = _any_shown_worse(rules, criteria) if by_holm else _all_shown_good(criteria)
    excused = rules.on_inconclusive == "warn" and not any(one.blocks_always for one in criteria)
    tested = statistical_count(rules)
    ships_weak_data = by_holm or rules.on_inconclusive == "warn"
    return GateVerdict(
        verdict=verdict,
        blocks=verdict == "fail" or (verdict == "inconclusive" and not excused),
        reason=reason,
        alpha=rules.alpha,
        combine=rules.combine,
        on_inconclusive=rules.on_inconclusive,
        false_ship_at_most=None if ships_weak_data else rules.alpha,
        false_block_at_most=min(1.0, rules.alpha * (min(tested, 1) if by_holm else tested)),
        criteria=tuple(criteria),
    )


def statistical_count(rules: GateRules) -> int:
    """Return how many criteria carry a statistical error; `neverFail` carries none."""
    return sum(not isinstance(rule.bar, NeverFail) for rule in rules.criteria)


def holm_rejects(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return for each hypothesis whether Holm's step-down method rejects it at family level `alpha`."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    rejected = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > alpha / (len(p_values) - rank):
            break
        rejected[place] = True
    return rejected


def _all_shown_good(criteria: Sequence[CriterionVerdict]) -> tuple[VerdictWord, str]:
    failed = [one.criterion for one in criteria if one.verdict == "fail"]
    if failed:
        return "fail", f"shown not to hold: {'; '.join(failed)}"
    open_ones = [one.criterion for one in criteria if one.verdict == "inconclusive"]
    if open_ones:
        return "inconclusive", f"not shown either way: {'; '.join(open_ones)}"
    return "pass", "every criterion is shown to hold"


def _any_shown_worse(rules: GateRules, criteria: Sequence[CriterionVerdict]) -> tuple[VerdictWord, str]:
    pairs = list(zip(rules.criteria, criteria, strict=True))
    failed = [one.criterion for rule, one in pairs if isinstance(rule.bar, NeverFail) and one.verdict == "fail"]
    tested = [one for rule, one in pairs if not isinstance(rule.bar, NeverFail)]
    levels = [1.0 if one.p_value_worse is None else one.p_value_worse for one in tested]
    rejects = holm_rejects(levels, rules.alpha)
    failed += [one.criterion for one, rejected in zip(tested, rejects, strict=True) if rejected]
    if failed:
        return "fail", f"shown not to hold: {'; '.join(failed)}"
    unusable = [one.criterion for one in criteria if one.blocks_always]
    if unusable:
        return "inconclusive", f"cannot be judged: {'; '.join(unusable)}"
    undecided = sum(one.verdict != "pass" for one in tested)
    weak = f"; {undecided} of {len(tested)} are not shown to hold either, and ship all the same" if undecided else ""
    return "pass", f"no criterion is shown to fail at Holm's level{weak}"
