"""A gate as a user writes it, as the rules that `verdicts` decides by."""

from __future__ import annotations

from llmops_spec.gate import Criterion, GateSpec
from policies.gates.rules import Bar, Better, CriterionRule, GateRules, Limits, NeverFail, NonInferior, Threshold


def rules_of(spec: GateSpec) -> GateRules:
    """The rules of a gate. Baselines are named by their label."""
    return GateRules(
        criteria=tuple(criterion_rule(one) for one in spec.criteria),
        alpha=spec.alpha,
        combine=spec.combine,
        on_inconclusive=spec.on_inconclusive,
        limits=Limits(unscorable=spec.limits.unscorable, errored=spec.limits.errored),
    )


def criterion_rule(criterion: Criterion) -> CriterionRule:
    return CriterionRule(metric=criterion.metric, slice=criterion.slice, bar=_bar(criterion))


def _bar(criterion: Criterion) -> Bar:
    if criterion.at_least is not None:
        return Threshold(side="at-least", value=criterion.at_least, quantile=criterion.quantile)
    if criterion.at_most is not None:
        return Threshold(side="at-most", value=criterion.at_most, quantile=criterion.quantile)
    if criterion.never_fail is not None:
        return NeverFail(items=tuple(criterion.never_fail))
    if criterion.non_inferior_to is not None and criterion.margin is not None:
        return NonInferior(baseline=criterion.non_inferior_to.label, margin=criterion.margin)
    assert criterion.better_than is not None  # the model accepts exactly one bar
    return Better(baseline=criterion.better_than.label)
