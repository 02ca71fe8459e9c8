"""Metrics against the catalogue and against the library that ROUGE-L is named after."""

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_runtime.metrics.builtin import BUILT_IN
from llmops_runtime.metrics.exact_match import ExactMatch
from llmops_runtime.metrics.label_accuracy import LabelAccuracy
from llmops_runtime.metrics.latency import LatencySeconds
from llmops_runtime.metrics.metric import Case, NotScorable, Score
from llmops_runtime.metrics.rouge_l import RougeL
from llmops_spec.catalogue.metrics import METRICS
from llmops_spec.evaluation import MetricUse


def test_built_in_metrics_are_the_catalogue() -> None:
    assert BUILT_IN.keys() == METRICS.keys()
    for name in BUILT_IN:
        assert isinstance(
            BUILT_IN[name](MetricUse(name=name)).score(Case(reference="a", answer="b")), Score | NotScorable
        )


@given(st.sampled_from(sorted(METRICS)), st.text(max_size=30), st.text(max_size=30))
def test_scores_are_in_the_range_of_the_catalogue(name: str, reference: str, answer: str) -> None:
    case = Case(reference=reference, answer=answer, labels=frozenset({answer.strip()}), latency_seconds=0.25)
    outcome = BUILT_IN[name](MetricUse(name=name)).score(case)
    assert isinstance(outcome, Score)
    assert math.isfinite(outcome.value)
    assert METRICS[name].low <= outcome.value <= (METRICS[name].high or math.inf)
    if METRICS[name].kind == "binary":
        assert outcome.value in {0.0, 1.0}


@pytest.mark.parametrize(
    ("reference", "answer", "ignore_case", "score"),
    [
        ("Yes", "Yes", False, 1.0),
        ("Yes", "  Yes\n", False, 1.0),
        ("Yes", "yes", False, 0.0),
        ("Straße", "STRASSE", True, 1.0),
        ("Yes", "Yes.", True, 0.0),
    ],
)
def test_exact_match(reference: str, answer: str, ignore_case: bool, score: float) -> None:
    metric = ExactMatch(ignore_case=ignore_case)
    assert metric.score(Case(reference=reference, answer=answer)) == Score(score)
    assert metric.parameters() == ({"ignoreCase": True} if ignore_case else {})


def test_label_accuracy() -> None:
    labels = frozenset({"a", "b"})
    assert LabelAccuracy().score(Case(reference="a", answer="a ", labels=labels)) == Score(1.0)
    assert LabelAccuracy().score(Case(reference="a", answer="b", labels=labels)) == Score(0.0)
    assert LabelAccuracy().score(Case(reference="a", answer="c", labels=labels)) == NotScorable(
        "the answer is no label"
    )


def test_latency() -> None:
    assert LatencySeconds().score(Case(reference="", answer="", latency_seconds=1.5)) == Score(1.5)
    assert isinstance(LatencySeconds().score(Case(reference="", answer="")), NotScorable)


@pytest.fixture(scope="module")
def library():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rouge_score.rouge_scorer import RougeScorer
    return RougeScorer(["rougeL"], use_stemmer=False)


@pytest.mark.slow
def test_rouge_l_is_the_librarys(library) -> None:
    some = ["the", "The", "cat's", "sat", "on-mat,", "7", "É", "ßtraße", "İ", "_x", "."]
    words = st.lists(st.sampled_from(some), max_size=12).map(" ".join)

    @given(st.one_of(words, st.text(max_size=60)), st.one_of(words, st.text(max_size=60)))
    def same(reference: str, answer: str) -> None:
        wanted = library.score(reference, answer)["rougeL"].fmeasure
        outcome = RougeL().score(Case(reference=reference, answer=answer))
        assert outcome == Score(pytest.approx(wanted, abs=1e-12))

    same()
