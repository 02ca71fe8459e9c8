"""What is said of gates before anything runs: each message, its place, its arithmetic, and where it stays silent."""

from __future__ import annotations

import pytest

from compiler.diagnostics.model import Diagnostic
from policies.gates.checks import GATE_CHECKS

HEAD = """\
kind: Model
metadata: {name: base}
spec: {from: {path: weights}}
---
kind: Prompt
metadata: {name: answer}
spec:
  messages: [{role: user, content: "{{ question }}"}]
  variables: {question: {maxTokens: 9}}
  output: {maxTokens: 9}
---
"""


def project(
    criterion: str,
    *,
    splits: str = "{test: {path: a.jsonl, rows: 500}}",
    read: str = "[test]",
    cluster: str = "",
    draws: int = 1,
    gate: str = "",
    metrics: str = "[{name: exact-match}, {name: rouge-l}, {name: latency-seconds}]",
) -> str:
    return f"""{HEAD}kind: Dataset
metadata: {{name: rows}}
spec:
  columns: {{question: {{}}, answer: {{}}, group: {{}}}}
  splits: {splits}
  {f"clusterColumn: {cluster}" if cluster else ""}
---
kind: Evaluation
metadata: {{name: eval}}
spec:
  subject: {{model: base, prompt: answer}}
  dataset: rows
  splits: {read}
  draws: {draws}
  metrics: {metrics}
---
kind: Gate
metadata: {{name: quality}}
spec:
  evaluation: eval
  criteria:
    - {criterion}
  {gate}"""


FIVE = "{test: {path: a.jsonl, rows: 5}}"


def found(graph) -> list[Diagnostic]:
    return [one for check in GATE_CHECKS for one in check.findings(graph, None)]


def names(graph) -> list[str]:
    return [one.name for one in found(graph)]


@pytest.mark.parametrize(
    "criterion",
    [
        "{metric: exact-match, atLeast: 0.95}",
        "{metric: latency-seconds, quantile: 0.95, atMost: 2.0}",
        "{metric: rouge-l, nonInferiorTo: {model: base}, margin: 0.02}",
        "{metric: exact-match, betterThan: {constant: majority-class}}",
        "{metric: exact-match, neverFail: [a, b]}",
        "{metric: exact-match, slice: test, atLeast: 0.5}",
    ],
)
def test_a_gate_that_means_something_is_left_alone(make_graph, criterion: str) -> None:
    assert found(make_graph(project(criterion))) == []


def test_too_few_items_are_told_with_the_arithmetic(make_graph) -> None:
    graph = make_graph(project("{metric: exact-match, atLeast: 0.95}", splits=FIVE))
    [one] = found(graph)
    assert one.name == "gate-cannot-pass"
    assert one.message == "gate `quality` cannot pass: no result shows exact-match ≥ 0.95"
    assert one.note == (
        "5 items: 0.05^(1/5) = 0.549 is the most that can be shown with every score at its best; 59 are needed for 0.95"
    )
    assert one.help == "hold out at least 59 items, or lower the bar to what so few can show"
    assert one.span == graph.nodes["gate/quality"].span("spec", "criteria", 0, "atLeast")


@pytest.mark.parametrize(("rows", "expected"), [(58, ["gate-cannot-pass"]), (59, [])])
def test_the_border_is_the_one_that_the_gate_itself_has(make_graph, rows: int, expected: list[str]) -> None:
    splits = f"{{test: {{path: a.jsonl, rows: {rows}}}}}"
    assert names(make_graph(project("{metric: exact-match, atLeast: 0.95}", splits=splits))) == expected


def test_a_quantile_needs_as_many_items_as_a_proportion(make_graph) -> None:
    criterion = "{metric: latency-seconds, quantile: 0.95, atMost: 2.0}"
    [one] = found(make_graph(project(criterion, splits="{test: {path: a.jsonl, rows: 58}}")))
    assert one.name == "gate-cannot-pass"
    assert "59 are needed for 0.95" in one.note
    assert "as a share of the items" in one.note
    assert names(make_graph(project(criterion, splits="{test: {path: a.jsonl, rows: 59}}"))) == []


def test_items_that_share_a_cluster_count_as_one(make_graph) -> None:
    splits = "{test: {path: a.jsonl, rows: 5000, clusters: 6}}"
    criterion = "{metric: exact-match, atLeast: 0.95}"
    assert names(make_graph(project(criterion, splits=splits))) == []
    [one] = found(make_graph(project(criterion, splits=splits, cluster="group")))
    assert one.name == "gate-cannot-pass"
    assert one.note.startswith("6 clusters: ")
    assert "clusters, or lower the bar" in one.help


def test_a_slice_has_the_items_of_its_split_alone(make_graph) -> None:
    splits = "{test: {path: a.jsonl, rows: 500}, few: {path: b.jsonl, rows: 5}}"
    both = {"splits": splits, "read": "[test, few]"}
    assert names(make_graph(project("{metric: exact-match, atLeast: 0.95}", **both))) == []
    assert names(make_graph(project("{metric: exact-match, slice: test, atLeast: 0.95}", **both))) == []
    [one] = found(make_graph(project("{metric: exact-match, slice: few, atLeast: 0.95}", **both)))
    assert one.message.endswith("no result shows exact-match on `few` ≥ 0.95")


def test_all_splits_of_an_evaluation_count_together(make_graph) -> None:
    splits = "{one: {path: a.jsonl, rows: 30}, two: {path: b.jsonl, rows: 30}}"
    criterion = "{metric: exact-match, atLeast: 0.95}"
    assert names(make_graph(project(criterion, splits=splits, read="[one, two]"))) == []
    assert names(make_graph(project(criterion, splits=splits, read="[one]"))) == ["gate-cannot-pass"]


@pytest.mark.parametrize(
    ("criterion", "note", "fix"),
    [
        ("{metric: exact-match, atLeast: 70}", "lies between 0 and 1", "`0.7`"),
        ("{metric: rouge-l, quantile: 0.5, atLeast: 75}", "lies between 0 and 1", "`0.75`"),
        ("{metric: rouge-l, quantile: 0.5, atLeast: 1.75}", "lies between 0 and 1", "within the metric's range"),
        ("{metric: latency-seconds, atMost: -1}", "between 0 and any higher number", "within the metric's range"),
        (
            "{metric: latency-seconds, quantile: 0.5, atMost: -1}",
            "between 0 and any higher",
            "within the metric's range",
        ),
        ("{metric: exact-match, atLeast: 1.0}", "no number of them would do", "away from the end"),
        ("{metric: rouge-l, neverFail: [a]}", "is not two-valued", "`exact-match`, `label-accuracy`"),
    ],
)
def test_a_bar_that_nothing_reaches(make_graph, criterion: str, note: str, fix: str) -> None:
    [one] = found(make_graph(project(criterion)))
    assert one.name == "gate-cannot-pass"
    assert note in one.note
    assert fix in one.help


def test_one_cluster_shows_nothing(make_graph) -> None:
    splits = "{test: {path: a.jsonl, rows: 500, clusters: 1}}"
    [one] = found(make_graph(project("{metric: exact-match, atLeast: 0.1}", splits=splits, cluster="group")))
    assert one.note == "one cluster cannot say how much clusters differ"


@pytest.mark.parametrize(
    "criterion",
    [
        "{metric: exact-match, atLeast: 0}",
        "{metric: exact-match, atLeast: -1}",
        "{metric: exact-match, atMost: 1}",
        "{metric: rouge-l, quantile: 0.5, atLeast: 0}",
        "{metric: rouge-l, nonInferiorTo: {model: base}, margin: 1}",
        "{metric: latency-seconds, atLeast: 0}",
    ],
)
def test_a_bar_that_nothing_misses(make_graph, criterion: str) -> None:
    graph = make_graph(project(criterion))
    [one] = found(graph)
    assert one.name == "gate-cannot-fail"
    assert "holds for every result" in one.note
    assert one.span.line == graph.nodes["gate/quality"].span("spec", "criteria", 0, "metric").line


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("", []),
        ("combine: block-if-any-shown-worse", ["gate-cannot-fail"]),
        ("onInconclusive: warn", ["gate-cannot-fail"]),
    ],
)
def test_where_weak_data_ship_too_few_items_make_a_gate_that_stops_nothing(
    make_graph, gate: str, expected: list[str]
) -> None:
    """Where what is not shown blocks, the same bar stops a release, and can be passed."""
    criterion = "{metric: exact-match, atLeast: 0.05}"
    graph = make_graph(project(criterion, splits="{test: {path: a.jsonl, rows: 20}}", gate=gate))
    assert names(graph) == expected
    enough = make_graph(project(criterion, splits="{test: {path: a.jsonl, rows: 100}}", gate=gate))
    assert names(enough) == []


def test_a_metric_that_is_not_measured(make_graph) -> None:
    graph = make_graph(project("{metric: exact-mach, atLeast: 0.7}"))
    [one] = found(graph)
    assert one.name == "unknown-metric"
    assert one.message == "evaluation `eval` does not measure `exact-mach`"
    assert one.help == "did you mean `exact-match`?"
    assert one.span == graph.nodes["gate/quality"].span("spec", "criteria", 0, "metric")


def test_a_metric_that_exists_but_is_not_measured_can_be_added(make_graph) -> None:
    text = project("{metric: latency-seconds, quantile: 0.5, atMost: 2}", metrics="[{name: exact-match}]")
    [one] = found(make_graph(text))
    assert one.help == "add `{name: latency-seconds}` to the evaluation's metrics"


def test_a_slice_that_does_not_exist_is_the_only_finding(make_graph) -> None:
    graph = make_graph(project("{metric: exact-match, slice: tset, atLeast: 0.99999}"))
    [one] = found(graph)
    assert (one.name, one.help) == ("unknown-slice", "did you mean `test`?")
    assert one.span == graph.nodes["gate/quality"].span("spec", "criteria", 0, "slice")


@pytest.mark.parametrize(
    "text",
    [
        project("{metric: exact-match, atLeast: 0.99999}", read="[missing]"),
        project("{metric: exact-match, atLeast: 0.99999}", read="[test, missing]"),
        project("{metric: exact-match, atLeast: 0.99999}", cluster="group"),
    ],
    ids=["a split that is not there", "one of two splits", "clusters that are not declared"],
)
def test_what_is_reported_elsewhere_is_not_reported_again(make_graph, text: str) -> None:
    assert found(make_graph(text)) == []


def test_a_missing_or_poisoned_evaluation_silences_its_gates(make_graph) -> None:
    broken = project("{metric: exact-mach, atLeast: 7}").replace("draws: 1", "draws: many")
    assert found(make_graph(broken, sound=False)) == []
    missing = project("{metric: exact-mach, atLeast: 7}").replace("evaluation: eval", "evaluation: evil")
    assert found(make_graph(missing, sound=False)) == []


def test_every_criterion_is_looked_at(make_graph) -> None:
    two = "{metric: exact-match, atLeast: 0}\n    - {metric: exact-match, atLeast: 70}"
    assert sorted(names(make_graph(project(two)))) == ["gate-cannot-fail", "gate-cannot-pass"]
