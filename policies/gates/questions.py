"""Turn a criterion and its items into one question: is the mean of this sample at least the bar?

Called by `verdicts`. Everything is oriented so that more is better: where less is better the sample is mirrored,
a quantile becomes the share of items on the good side of the threshold, a comparison the mean difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmops_spec.catalogue.metrics import MetricFacts
from policies.gates.bounds import Interval
from policies.gates.results import VerdictWord
from policies.gates.rules import Better, NonInferior, Threshold
from policies.gates.samples import Sample, sample_of


@dataclass(frozen=True, kw_only=True)
class Question:
    sample: Sample
    bar: float
    strict: bool
    """The bound must exceed the bar, not only reach it."""
    mirrored: bool
    """The sample holds negated scores: less of the metric is better."""
    own_bar: float
    """The bar in the metric's own units."""

    @property
    def direction(self) -> Literal["at-least", "at-most"]:
        return "at-most" if self.mirrored else "at-least"

    def verdict(self, bounds: Interval) -> VerdictWord:
        if bounds.low is None or bounds.high is None:
            return "inconclusive"
        if bounds.low > self.bar or (bounds.low == self.bar and not self.strict):
            return "pass"
        return "fail" if bounds.high < self.bar else "inconclusive"


def question_of(
    bar: Threshold | NonInferior | Better, scores: Sequence[tuple[str, float]], facts: MetricFacts, draws: int
) -> Question:
    """Return the question that `bar` asks of (unit, score) pairs; for comparisons the scores are differences."""
    match bar:
        case Threshold():
            return _threshold(bar, scores, facts, draws)
        case NonInferior(margin=margin):
            own_bar = -margin if facts.higher_is_better else margin
            return _comparison(scores, facts, own_bar=own_bar, strict=False)
        case Better():
            return _comparison(scores, facts, own_bar=0.0, strict=True)


def share_sample(scores: Sequence[tuple[str, float]], threshold: float, *, at_most: bool) -> Sample:
    """Return 1 for every item on the good side of the threshold and 0 for the others."""
    good = [(unit, float(score <= threshold if at_most else score >= threshold)) for unit, score in scores]
    return sample_of(good, low=0.0, high=1.0, two_valued=True)


def _threshold(bar: Threshold, scores: Sequence[tuple[str, float]], facts: MetricFacts, draws: int) -> Question:
    at_most = bar.side == "at-most"
    if bar.quantile is None:
        sample = sample_of(scores, low=facts.low, high=facts.high, two_valued=facts.kind == "binary" and draws == 1)
        return _oriented(sample, own_bar=bar.value, mirrored=at_most, strict=False)
    return Question(
        sample=share_sample(scores, bar.value, at_most=at_most),
        bar=bar.quantile if at_most else 1.0 - bar.quantile,
        strict=False,
        mirrored=at_most,
        own_bar=bar.value,
    )


def _comparison(scores: Sequence[tuple[str, float]], facts: MetricFacts, *, own_bar: float, strict: bool) -> Question:
    reach = None if facts.high is None else facts.high - facts.low
    sample = sample_of(scores, low=None if reach is None else -reach, high=reach, two_valued=False)
    return _oriented(sample, own_bar=own_bar, mirrored=not facts.higher_is_better, strict=strict)


def _oriented(sample: Sample, *, own_bar: float, mirrored: bool, strict: bool) -> Question:
    return Question(
        sample=sample.mirrored() if mirrored else sample,
        bar=-own_bar if mirrored else own_bar,
        strict=strict,
        mirrored=mirrored,
        own_bar=own_bar,
    )
