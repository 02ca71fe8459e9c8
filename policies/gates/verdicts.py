"""Decide a gate: a verdict with its bounds for every criterion, and the verdict of the whole.

Called by whoever runs a gate, with records that `records` has read. Pure: the same records and rules give the
same verdict, whatever the order of lines. Statistics are in `bounds`, combination in `combining`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmops_spec.catalogue.metrics import MetricFacts
from policies.gates.bounds import Interval, Method, choose_method, interval, p_value_above
from policies.gates.combining import combine, statistical_count
from policies.gates.comparability import differences
from policies.gates.items import ItemOutcomes, listed_outcome, outcomes_of, paired
from policies.gates.quantiles import BoundedEstimate, quantile_below
from policies.gates.questions import Question, question_of
from policies.gates.records import Record
from policies.gates.results import Counts, CriterionVerdict, GateVerdict, VerdictWord
from policies.gates.rules import Better, CriterionRule, GateRules, Limits, NeverFail, NonInferior, Threshold
from policies.gates.wording import advise, advise_after_fail, method_words, reason_for


def decide(
    rules: GateRules, record: Record, baselines: Mapping[str, Record], facts: Mapping[str, MetricFacts]
) -> GateVerdict:
    """Return the verdict of a gate on a record.

    `baselines` holds the records that the rules name; one that is missing is a refused comparison.
    """
    judge = _Judge(rules=rules, record=record, baselines=baselines, facts=facts)
    return combine(rules, [judge.verdict(rule) for rule in rules.criteria])


class _Refused(Exception):  # noqa: N818 - not an error but an answer
    """The criterion cannot be judged on these records; the text says why."""


@dataclass(frozen=True, kw_only=True)
class _Judge:
    rules: GateRules
    record: Record
    baselines: Mapping[str, Record]
    facts: Mapping[str, MetricFacts]

    def verdict(self, rule: CriterionRule) -> CriterionVerdict:
        try:
            facts = self._facts_of(rule.metric)
            if isinstance(rule.bar, NeverFail):
                return self._never_fail(rule, rule.bar, facts)
            items = self._items(rule, facts)
        except _Refused as refusal:
            return replace(_blank(rule), reason=str(refusal), blocks_always=True)
        obstacle = _obstacle(items, self.rules.limits)
        if obstacle:
            return replace(
                _blank(rule),
                counts=_counts(items),
                reason=obstacle,
                advice="see the `reason` of those lines in the record, and evaluate again",
                blocks_always=True,
            )
        return self._tested(rule, rule.bar, items, facts)

    def _facts_of(self, metric: str) -> MetricFacts:
        recorded = next((one for one in self.record.header.metrics if one.name == metric), None)
        facts = self.facts.get(metric)
        if recorded is None:
            raise _Refused(f"the record has no metric `{metric}`")
        if facts is None:
            raise _Refused(f"metric `{metric}` is not known here")
        if facts.version != recorded.version:
            raise _Refused(
                f"`{metric}` was scored by version {recorded.version}; version {facts.version} is known here"
            )
        return facts

    def _items(self, rule: CriterionRule, facts: MetricFacts) -> ItemOutcomes:
        candidate = outcomes_of(self.record, facts, rule.slice)
        if not isinstance(rule.bar, NonInferior | Better):
            return candidate
        baseline = self.baselines.get(rule.bar.baseline)
        if baseline is None:
            raise _Refused(f"there is no record of the baseline, {rule.bar.baseline}")
        unlike = differences(self.record, baseline, rule.metric)
        if unlike:
            raise _Refused(f"the comparison with {rule.bar.baseline} is refused: {', '.join(unlike)} differ")
        return paired(candidate, outcomes_of(baseline, facts, None))

    def _tested(
        self, rule: CriterionRule, bar: Threshold | NonInferior | Better, items: ItemOutcomes, facts: MetricFacts
    ) -> CriterionVerdict:
        alpha = self.rules.alpha
        scores = items.scores()
        question = question_of(bar, scores, facts, self.record.header.draws)
        method = choose_method(question.sample, alpha)
        bounds = interval(question.sample, alpha, method)
        verdict = question.verdict(bounds)
        shown = replace(
            _blank(rule),
            verdict=verdict,
            counts=_counts(items, units=question.sample.units),
            method=method_words(bar, method),
            bar=question.own_bar,
            direction=question.direction,
            p_value_worse=self._p_value_worse(question),
            advice=_advice(verdict, question, bounds, method),
        )
        own = _in_own_units(bar, question, scores, bounds, method, alpha)
        shown = replace(shown, estimate=own.estimate, low=own.low, high=own.high)
        return replace(shown, reason=reason_for(shown, method, question, alpha))

    def _never_fail(self, rule: CriterionRule, bar: NeverFail, facts: MetricFacts) -> CriterionVerdict:
        """Return pass only if every draw of every listed item has the top score; nothing is estimated."""
        if facts.kind != "binary" or facts.high is None:
            raise _Refused(f"`neverFail` takes a metric with two values; `{facts.name}` is not one")
        top = facts.high if facts.higher_is_better else facts.low
        listed = tuple(dict.fromkeys(bar.items))
        found = {item: listed_outcome(self.record, item, facts, rule.slice, top) for item in listed}
        words = [f"`{item}` {why}" for item, (_, why) in found.items() if why]
        tally = [status for status, _ in found.values()]
        return replace(
            _blank(rule),
            verdict="fail" if words else "pass",
            reason="; ".join(words) if words else "every draw of every listed item has the top score",
            method="every listed item, no statistics",
            direction="never-fails",
            bar=top,
            counts=Counts(
                planned=len(listed),
                scored=tally.count("scored"),
                unscorable=tally.count("unscorable"),
                errored=tally.count("errored"),
                skipped=tally.count("skipped"),
            ),
        )

    def _p_value_worse(self, question: Question) -> float | None:
        if self.rules.combine != "block-if-any-shown-worse":
            return None
        # The method must not change with the level, so it is one that holds at Holm's smallest.
        method = choose_method(question.sample, self.rules.alpha / statistical_count(self.rules))
        return p_value_above(question.sample.mirrored(), -question.bar, method, tuned_for=self.rules.alpha)


def _advice(verdict: VerdictWord, question: Question, bounds: Interval, method: Method) -> str:
    if verdict == "inconclusive":
        return advise(question, bounds, method)
    return advise_after_fail(question) if verdict == "fail" else ""


def _in_own_units(
    bar: Threshold | NonInferior | Better,
    question: Question,
    scores: Sequence[tuple[str, float]],
    bounds: Interval,
    method: Method,
    alpha: float,
) -> BoundedEstimate:
    """Return estimate and bounds as they are reported; for a quantile those of the value, not of the share."""
    if isinstance(bar, Threshold) and bar.quantile is not None:
        sign = 1.0 if bar.side == "at-most" else -1.0
        found = quantile_below([(unit, sign * score) for unit, score in scores], question.bar, alpha, method)
        found = found.agreeing_with(sign * bar.value, bounds, question.bar)
        return found if bar.side == "at-most" else found.mirrored()
    plain = BoundedEstimate(estimate=question.sample.mean, low=bounds.low, high=bounds.high)
    return plain.mirrored() if question.mirrored else plain


def _obstacle(items: ItemOutcomes, limits: Limits) -> str:
    """Return why no statistics may excuse these items, or nothing."""
    planned = items.planned
    if planned == 0:
        return "no item is planned"
    if items.count("errored") / planned > limits.errored:
        return f"{items.count('errored')} of {planned} items are errored, above the limit of {limits.errored:.3g}"
    if items.count("unscorable") / planned > limits.unscorable:
        unscorable = items.count("unscorable")
        return f"{unscorable} of {planned} items are unscorable, above the limit of {limits.unscorable:.3g}"
    if items.absent:
        # Which items they are is unknown, so no tolerance for errors may cover them: trimming never helps.
        return f"{items.absent} of {planned} planned items have lines that are absent"
    if items.count("skipped"):
        return f"{items.count('skipped')} of {planned} items were skipped, and no rule here allows that"
    return "" if items.count("scored") else "no item is scored"


def _counts(items: ItemOutcomes, units: int = 0) -> Counts:
    return Counts(
        planned=items.planned,
        scored=items.count("scored"),
        unscorable=items.count("unscorable"),
        errored=items.count("errored"),
        skipped=items.count("skipped"),
        absent=items.absent,
        units=units,
    )


def _blank(rule: CriterionRule) -> CriterionVerdict:
    return CriterionVerdict(
        criterion=rule.text(),
        metric=rule.metric,
        slice=rule.slice,
        baseline=rule.bar.baseline if isinstance(rule.bar, NonInferior | Better) else None,
        verdict="inconclusive",
        reason="",
    )
