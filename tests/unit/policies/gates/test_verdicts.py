"""Whole decisions on whole records, and what must hold whatever the scores are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llmops_spec.catalogue.metrics import METRICS, MetricFacts
from policies.gates.bounds import Interval
from policies.gates.questions import question_of
from policies.gates.records import Record, read_record
from policies.gates.results import CriterionVerdict, GateVerdict
from policies.gates.rules import Bar, Better, CriterionRule, GateRules, Limits, NeverFail, NonInferior, Threshold
from policies.gates.verdicts import decide

BASE = "model support-base"


def judged(record: Record, bar: Bar, metric: str = "exact-match", **gate: Any) -> GateVerdict:
    baselines = gate.pop("baselines", {})
    rule = CriterionRule(metric=metric, bar=bar, slice=gate.pop("slice", None))
    return decide(GateRules(criteria=(rule,), **gate), record, baselines, METRICS)


def one(record: Record, bar: Bar, metric: str = "exact-match", **gate: Any) -> CriterionVerdict:
    return judged(record, bar, metric, **gate).criteria[0]


def at_least(value: float) -> Threshold:
    return Threshold(side="at-least", value=value)


def mixed(good: int, bad: int, *, first: int = 0) -> dict[str, list[float]]:
    return {f"i{first + place:04}": [float(place < good)] for place in range(good + bad)}


@pytest.mark.parametrize(("bar", "verdict"), [(0.8, "pass"), (0.87, "inconclusive"), (0.95, "fail")])
def test_a_share_is_decided_by_its_exact_bounds(written: Any, bar: float, verdict: str) -> None:
    found = one(written(scores=mixed(174, 26)).record(), at_least(bar))
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(0.87)
    assert found.low == pytest.approx(stats.beta.ppf(0.05, 174, 27))
    assert found.high == pytest.approx(stats.beta.ppf(0.95, 175, 26))
    assert "Clopper-Pearson" in found.method
    assert (found.counts.planned, found.counts.scored, found.counts.units) == (200, 200, 200)


def test_clusters_weaken_the_same_scores(written: Any) -> None:
    scores = mixed(174, 26)
    alone = one(written(scores=scores).record(), at_least(0.8))
    clusters = {item: f"c{int(item[1:]) // 10}" for item in scores}
    together = one(written(scores=scores, clusters=clusters).record(), at_least(0.8))
    assert together.counts.units == 20
    assert (alone.verdict, together.verdict) == ("pass", "inconclusive")
    assert "clusters would show it; there are 20" in together.advice


def test_one_cluster_is_inconclusive_and_says_so(written: Any) -> None:
    scores = mixed(100, 0)
    found = judged(written(scores=scores, clusters=dict.fromkeys(scores, "c")).record(), at_least(0.5))
    assert found.verdict == "inconclusive"
    assert "one cluster" in found.criteria[0].reason
    assert found.criteria[0].low is None


def test_a_quantile_is_decided_as_a_share_and_reported_in_seconds(written: Any) -> None:
    record = written(scores={f"i{n}": [0.1 * n] for n in range(100)}, metric="latency-seconds").record()
    bar = Threshold(side="at-most", value=9.9, quantile=0.95)
    found = one(record, bar, "latency-seconds")
    assert (found.verdict, found.direction, found.bar) == ("pass", "at-most", 9.9)
    assert found.estimate == pytest.approx(9.4)
    # Order statistics by hand: the least j with a lower bound of j/100 at 0.95 or more is 99; upper is 92.
    assert found.high == pytest.approx(9.8)
    assert found.low == pytest.approx(0.1 * (next(j for j in range(101) if upper(j) >= 0.95) - 1))
    assert one(record, Threshold(side="at-most", value=9.5, quantile=0.95), "latency-seconds").verdict == "inconclusive"
    assert one(record, Threshold(side="at-most", value=5.0, quantile=0.95), "latency-seconds").verdict == "fail"


def upper(successes: int) -> float:
    return float(stats.beta.ppf(0.95, successes + 1, 100 - successes))


def test_fifty_eight_items_cannot_show_a_ninety_fifth_percentile(written: Any) -> None:
    bar = Threshold(side="at-most", value=2.0, quantile=0.95)
    few, enough = (
        one(
            written(scores={f"i{n}": [1.0 + n / 1000] for n in range(size)}, metric="latency-seconds").record(),
            bar,
            "latency-seconds",
        )
        for size in (58, 59)
    )
    assert (few.verdict, few.high) == ("inconclusive", None)
    assert enough.verdict == "pass"


def test_three_items_cannot_bound_a_median_from_either_side(written: Any) -> None:
    record = written(scores={"a": [1.0], "b": [2.0], "c": [3.0]}, metric="latency-seconds").record()
    found = one(record, Threshold(side="at-most", value=2.5, quantile=0.5), "latency-seconds")
    assert (found.verdict, found.estimate, found.low, found.high) == ("inconclusive", 2.0, None, None)


def test_a_low_quantile_at_least_is_the_mirror_of_a_high_one_at_most(written: Any) -> None:
    scores = {f"i{n}": [n / 100] for n in range(101)}
    flipped = {item: [1.0 - score] for item, (score,) in scores.items()}
    high = one(
        written(scores=scores, metric="rouge-l").record(),
        Threshold(side="at-most", value=0.75, quantile=0.625),
        "rouge-l",
    )
    low = one(
        written(scores=flipped, metric="rouge-l").record(),
        Threshold(side="at-least", value=0.25, quantile=0.375),
        "rouge-l",
    )
    assert high.verdict == low.verdict == "pass"
    assert (low.estimate, low.low, low.high) == pytest.approx((1 - high.estimate, 1 - high.high, 1 - high.low))


def test_the_mean_of_few_latencies_is_inconclusive_and_of_many_decided(written: Any) -> None:
    bar = Threshold(side="at-most", value=2.0)
    few, many = (
        one(
            written(scores={f"i{n}": [1.0 + n % 10 / 10] for n in range(size)}, metric="latency-seconds").record(),
            bar,
            "latency-seconds",
        )
        for size in (40, 400)
    )
    assert (few.verdict, many.verdict) == ("inconclusive", "pass")
    assert "40 items are too few for a metric without limits" in few.reason
    assert many.low < 1.45 < many.high < 2.0


def compared(
    written: Any,
    ours: Mapping[str, Sequence[float | None]],
    theirs: Mapping[str, Sequence[float | None]],
    bar: Bar,
    **header: Any,
) -> CriterionVerdict:
    record = written(scores=ours).record()
    return one(record, bar, baselines={BASE: written(scores=theirs, header=header).record()})


def test_a_comparison_pairs_items_and_reports_the_difference(written: Any) -> None:
    found = compared(written, mixed(180, 20), mixed(100, 100), Better(baseline=BASE))
    assert (found.verdict, found.bar, found.baseline) == ("pass", 0.0, BASE)
    assert found.estimate == pytest.approx(0.4)
    assert "differences on the same items" in found.method


def test_equal_systems_are_not_better_and_not_much_worse(written: Any) -> None:
    same = mixed(150, 50)
    assert compared(written, same, same, Better(baseline=BASE)).verdict == "inconclusive"
    assert compared(written, same, same, NonInferior(baseline=BASE, margin=0.05)).verdict == "pass"
    assert compared(written, same, same, NonInferior(baseline=BASE, margin=0.0)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("bar", "verdict"), [(Better(baseline=BASE), "inconclusive"), (NonInferior(baseline=BASE, margin=0.0), "pass")]
)
def test_a_bound_at_the_bar_is_not_inferior_and_not_better(bar: Better | NonInferior, verdict: str) -> None:
    question = question_of(bar, [("a", 0.5), ("b", 0.5)], METRICS["rouge-l"], 1)
    assert question.verdict(Interval(low=0.0, high=1.0)) == verdict


def test_a_shown_loss_fails_the_margin(written: Any) -> None:
    found = compared(written, mixed(100, 100), mixed(190, 10), NonInferior(baseline=BASE, margin=0.05))
    assert (found.verdict, found.bar, found.direction) == ("fail", -0.05, "at-least")


def test_less_latency_than_the_baseline_is_better(written: Any) -> None:
    fast, late = (
        written(scores={f"i{n}": [base + (n * step) % 10 / 10] for n in range(200)}, metric="latency-seconds").record()
        for base, step in ((1.0, 3), (1.5, 7))
    )
    won = one(fast, Better(baseline=BASE), "latency-seconds", baselines={BASE: late})
    lost = one(late, NonInferior(baseline=BASE, margin=0.2), "latency-seconds", baselines={BASE: fast})
    assert (won.verdict, won.direction) == ("pass", "at-most")
    assert (lost.verdict, lost.bar) == ("fail", 0.2)
    assert won.estimate == pytest.approx(-lost.estimate)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"sampling": {"temperature": 0.5, "seed": 0}}, "sampling"),
        ({"draws": 2}, "draws"),
        ({"metrics": [{"name": "exact-match", "version": "2", "parameters": {}}]}, "version or parameters"),
        (
            {"metrics": [{"name": "exact-match", "version": "1", "parameters": {"ignoreCase": True}}]},
            "version or parameters",
        ),
    ],
)
def test_an_unlike_baseline_is_refused_and_blocks_in_any_case(written: Any, header: dict[str, Any], words: str) -> None:
    record, baseline = written(scores=mixed(50, 0)).record(), written(scores=mixed(0, 50), header=header).record()
    gate = judged(record, Better(baseline=BASE), baselines={BASE: baseline}, on_inconclusive="warn")
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)
    assert "is refused" in gate.criteria[0].reason
    assert words in gate.criteria[0].reason


def test_other_items_are_refused_even_where_the_baseline_was_trimmed(written: Any) -> None:
    record = written(scores=mixed(50, 0)).record()
    assert "the items or their rows" in compared(written, mixed(50, 0), mixed(51, 0), Better(baseline=BASE)).reason
    lines = written(scores=mixed(0, 50)).lines()
    forged = [line.replace(json.loads(line).get("itemDigest", "-"), "f" * 64) for line in lines[1:-1]]
    header = written(scores=mixed(50, 0)).lines()[0]
    refused = one(record, Better(baseline=BASE), baselines={BASE: read_record([header, *forged])})
    assert "the items or their rows" in refused.reason


def test_a_baseline_that_lacks_a_line_blocks_whatever_the_limits(written: Any) -> None:
    record = written(scores={f"i{n}": [1.0, 1.0] for n in range(200)}).record()
    baseline = read_record(written(scores={f"i{n}": [0.0, 0.0] for n in range(200)}).lines()[:-1])
    gate = judged(
        record,
        Better(baseline=BASE),
        baselines={BASE: baseline},
        limits=Limits(unscorable=1.0, errored=1.0),
        on_inconclusive="warn",
    )
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)
    assert "absent" in gate.criteria[0].reason


def test_another_subject_is_the_treatment_and_never_refused(written: Any) -> None:
    subject = {"subject": {"facts": {"model": "other"}, "digest": "1" * 64}}
    assert compared(written, mixed(50, 0), mixed(0, 50), Better(baseline=BASE), **subject).verdict == "pass"


def test_a_baseline_without_record_blocks(written: Any) -> None:
    gate = judged(written(scores=mixed(50, 0)).record(), Better(baseline=BASE), on_inconclusive="warn")
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)


def test_a_share_above_its_limit_is_inconclusive_and_blocks_whatever_warn_says(written: Any) -> None:
    scores: dict[str, list[float | None]] = {**mixed(196, 0), **{f"u{n}": [None] for n in range(4)}}
    record = written(scores=scores).record()
    gate = judged(record, at_least(0.5), on_inconclusive="warn")
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)
    assert "4 of 200 items are unscorable, above the limit of 0.01" in gate.criteria[0].reason


def test_a_share_at_its_limit_is_allowed_and_counted(written: Any) -> None:
    scores: dict[str, list[float | None]] = {**mixed(198, 0), "u1": [None], "u2": [None]}
    found = one(written(scores=scores).record(), at_least(0.5))
    assert found.verdict == "pass"
    assert (found.counts.planned, found.counts.scored, found.counts.unscorable) == (200, 198, 2)


def test_nothing_scored_blocks(written: Any) -> None:
    record = written(scores=mixed(60, 0), slices={"i0000": ["other"]}).record()
    gate = judged(record, at_least(0.0), slice="strict", on_inconclusive="warn")
    assert (gate.verdict, gate.blocks, gate.criteria[0].reason) == ("inconclusive", True, "no item is planned")


def test_skipped_items_are_no_free_choice(written: Any) -> None:
    lines = written(scores=mixed(100, 1)).lines()
    lines[-1] = lines[-1].replace('"status": "scored", "score": 0.0', '"status": "skipped"')
    gate = judged(read_record(lines), at_least(0.5), on_inconclusive="warn")
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)


def test_a_metric_of_another_version_or_of_none_is_refused(written: Any) -> None:
    record = written(scores=mixed(60, 0)).record()
    assert "has no metric" in one(record, at_least(0.5), "rouge-l").reason
    newer = {"exact-match": MetricFacts(**{**vars(METRICS["exact-match"]), "version": "2"})}
    rules = GateRules(criteria=(CriterionRule(metric="exact-match", bar=at_least(0.5)),))
    assert "scored by version 1" in decide(rules, record, {}, newer).criteria[0].reason


def test_a_slice_is_judged_by_its_own_items(written: Any) -> None:
    scores = mixed(100, 100)
    slices = {item: ["easy"] if score == [1.0] else ["hard"] for item, score in scores.items()}
    record = written(scores=scores, slices=slices).record()
    assert one(record, at_least(0.9), slice="easy").verdict == "pass"
    assert one(record, at_least(0.9), slice="hard").verdict == "fail"
    assert one(record, at_least(0.9), slice="easy").counts.planned == 100


def test_draws_are_averaged_and_never_taken_for_items(written: Any) -> None:
    """Twelve wins of four items with three draws each are four items."""
    found = one(written(scores={f"i{n}": [1.0] * 3 for n in range(4)}).record(), at_least(0.5))
    assert found.counts.units == 4
    assert found.verdict == "inconclusive"
    assert "Clopper-Pearson" not in found.method  # a mean of draws has more than two values


LISTED = NeverFail(items=("a", "b"))


@pytest.mark.parametrize(
    ("scores", "verdict", "words"),
    [
        ({"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [0.0, 0.0]}, "pass", "every draw"),
        ({"a": [1.0, 0.0], "b": [1.0, 1.0]}, "fail", "`a` failed 1 of 2 draws"),
        ({"a": [1.0, None], "b": [1.0, 1.0]}, "fail", "`a` is unscorable"),
        ({"a": [1.0, 0.5], "b": [1.0, 1.0]}, "fail", "`a` is errored"),
        ({"a": [1.0, 1.0]}, "fail", "`b` is absent"),
    ],
)
def test_never_fail_wants_the_top_score_of_every_draw(
    written: Any, scores: dict[str, list[float | None]], verdict: str, words: str
) -> None:
    for combine in ("all-shown-good", "block-if-any-shown-worse"):
        gate = judged(written(scores=scores).record(), LISTED, combine=combine, on_inconclusive="warn")
        assert (gate.verdict, gate.blocks) == (verdict, verdict == "fail")
        assert words in gate.criteria[0].reason


def test_never_fail_refuses_a_metric_of_many_values(written: Any) -> None:
    gate = judged(written(scores={"a": [1.0], "b": [1.0]}, metric="rouge-l").record(), LISTED, "rouge-l")
    assert (gate.verdict, gate.blocks) == ("inconclusive", True)


def test_shown_worse_gives_every_criterion_its_level(written: Any) -> None:
    found = one(written(scores=mixed(100, 100)).record(), at_least(0.6), combine="block-if-any-shown-worse")
    assert found.p_value_worse == pytest.approx(stats.binom.cdf(100, 200, 0.6))


def test_the_json_form_has_every_number_and_no_infinity(written: Any) -> None:
    gate = judged(written(scores=mixed(58, 0)).record(), Threshold(side="at-most", value=2.0, quantile=0.95))
    value = json.loads(json.dumps(gate.to_json(), allow_nan=False))
    assert value["formatVersion"] == 1
    assert value["criteria"][0]["planned"] == 58
    assert value["criteria"][0]["method"].startswith("exact binomial bound")
    assert value["falseShipAtMost"] == 0.05


SCORE = st.sampled_from([0.0, 1.0]) | st.floats(0, 1) | st.none()
RECORDS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.lists(SCORE, min_size=2, max_size=2), min_size=1, max_size=25
)
BARS = st.one_of(
    st.builds(Threshold, side=st.sampled_from(["at-least", "at-most"]), value=st.floats(-0.1, 1.1)),
    st.builds(
        Threshold,
        side=st.sampled_from(["at-least", "at-most"]),
        value=st.floats(0, 1),
        quantile=st.sampled_from([0.1, 0.5, 0.9]),
    ),
    st.builds(NonInferior, baseline=st.just(BASE), margin=st.floats(0, 0.5)),
    st.builds(Better, baseline=st.just(BASE)),
)


def gate_of(bar: Bar, combine: str) -> GateRules:
    return GateRules(
        criteria=(CriterionRule(metric="rouge-l", bar=bar),),
        limits=Limits(unscorable=0.5, errored=0.5),
        on_inconclusive="warn",
        combine=combine,  # pyright: ignore[reportArgumentType]
        alpha=0.2,
    )


def clusters_of(scores: Mapping[str, object]) -> dict[str, str]:
    return {item: item[0] for item in scores}


COMBINES = st.sampled_from(["all-shown-good", "block-if-any-shown-worse"])


@given(scores=RECORDS, bar=BARS, combine=COMBINES, order=st.randoms(use_true_random=False))
def test_the_order_of_lines_never_changes_a_verdict(
    written: Any, scores: dict[str, list[float | None]], bar: Bar, combine: str, order: Any
) -> None:
    lines = written(scores=scores, metric="rouge-l", clusters=clusters_of(scores)).lines()
    shuffled = lines[1:]
    order.shuffle(shuffled)
    baseline = {BASE: written(scores={item: [0.5, 0.5] for item in scores}, metric="rouge-l").record()}
    rules = gate_of(bar, combine)
    straight = decide(rules, read_record(lines), baseline, METRICS)
    assert decide(rules, read_record([lines[0], *shuffled]), baseline, METRICS) == straight


@given(scores=RECORDS, bar=BARS, combine=COMBINES, data=st.data())
def test_trimming_lines_never_helps(
    written: Any, scores: dict[str, list[float | None]], bar: Bar, combine: str, data: st.DataObject
) -> None:
    lines = written(scores=scores, metric="rouge-l").lines()
    removed = data.draw(st.sets(st.integers(1, len(lines) - 1), min_size=1), label="removed")
    trimmed = [line for place, line in enumerate(lines) if place not in removed]
    baseline = {BASE: written(scores={item: [0.5, 0.5] for item in scores}, metric="rouge-l").record()}
    rules = gate_of(bar, combine)
    gate = decide(rules, read_record(trimmed), baseline, METRICS)
    assert gate.blocks
    assert gate.verdict != "pass"


@given(scores=RECORDS, bar=BARS)
def test_bounds_enclose_the_estimate_and_agree_with_the_verdict(
    written: Any, scores: dict[str, list[float | None]], bar: Bar
) -> None:
    baseline = {BASE: written(scores={item: [0.5, 0.5] for item in scores}, metric="rouge-l").record()}
    record = written(scores=scores, metric="rouge-l", clusters=clusters_of(scores)).record()
    found = decide(gate_of(bar, "all-shown-good"), record, baseline, METRICS).criteria[0]
    if found.estimate is None:
        return
    low = -1e9 if found.low is None else found.low
    high = 1e9 if found.high is None else found.high
    assert low <= found.estimate <= high
    good, bad = (low, high) if found.direction == "at-least" else (-high, -low)
    line = found.bar if found.direction == "at-least" else -found.bar  # pyright: ignore[reportOptionalOperand]
    if found.low is None and found.high is None:
        assert found.verdict == "inconclusive"
    elif found.verdict == "pass":
        assert good >= line
    elif found.verdict == "inconclusive":
        assert good <= line <= bad
    else:
        assert bad <= line


@given(scores=RECORDS, value=st.floats(0, 1))
def test_at_most_is_the_mirror_of_at_least(written: Any, scores: dict[str, list[float | None]], value: float) -> None:
    """On scores 1 - s a bar of 1 - t from above is what t was from below, to the last digits of a float."""
    flipped = {item: [None if s is None else 1.0 - s for s in draws] for item, draws in scores.items()}
    rules = gate_of(at_least(value), "all-shown-good")
    mirror = gate_of(Threshold(side="at-most", value=1.0 - value), "all-shown-good")
    up = decide(rules, written(scores=scores, metric="rouge-l").record(), {}, METRICS).criteria[0]
    down = decide(mirror, written(scores=flipped, metric="rouge-l").record(), {}, METRICS).criteria[0]
    if up.low is not None and up.high is not None:
        assert (down.low, down.high) == pytest.approx((1.0 - up.high, 1.0 - up.low), abs=1e-7)
        assert up.method == down.method
