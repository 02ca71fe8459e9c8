"""Evaluations: a gate measures what the service serves, and metrics have what they compare with.

Reports `evaluation-target-mismatch`, `metric-without-target`, `metric-without-labels`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import EVALUATION_TARGET_MISMATCH, METRIC_WITHOUT_LABELS, METRIC_WITHOUT_TARGET
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from llmops_spec.dataset import Dataset
from llmops_spec.evaluation import Evaluation
from llmops_spec.gate import Gate
from llmops_spec.prompt import Prompt
from llmops_spec.service import Service

COMPARED = ("model", "prompt", "guardrails", "engine", "requests")
WITHOUT_REFERENCE = frozenset({"latency-seconds"})


def gates_measure_what_is_served(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        gates = (graph.get(Gate, name) for name in service.spec.gates)
        for name in sorted({gate.spec.evaluation for gate in gates if gate is not None}):
            evaluation, measured = graph.get(Evaluation, name), graph.node(Evaluation, name)
            if evaluation is not None and measured is not None:
                for key in COMPARED:
                    if not (graph.dangles(node, "spec", key) or graph.dangles(measured, "spec", "subject", key)):
                        yield from _difference(key, node, service, measured, evaluation)


def _difference(
    key: str, node: ResourceNode, service: Service, measured: ResourceNode, evaluation: Evaluation
) -> Iterator[Diagnostic]:
    served, subject = getattr(service.spec, key), getattr(evaluation.spec.subject, key)
    if served == subject:
        return
    what = f": `{served}` here, `{subject}` there" if isinstance(served, str) else ""
    yield EVALUATION_TARGET_MISMATCH.at(
        node.span("spec", key) if node.has("spec", key) else node.key_span("spec", "gates"),
        f"service `{node.name}` serves another {key} than its gate measures{what}",
        label="served",
        related=[Label(span=measured.span("spec", "subject", key), text=f"measured by `{measured.name}`")],
        note="a gate says something only of what it measured",
        help=f"write the same `{key}` in the service and in evaluation `{measured.name}`",
    )


def metrics_have_a_reference(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, evaluation in graph.of(Evaluation):
        dataset, rows = graph.get(Dataset, evaluation.spec.dataset), graph.node(Dataset, evaluation.spec.dataset)
        if dataset is None or rows is None or dataset.spec.target_column is not None:
            continue
        comparing = [one.name not in WITHOUT_REFERENCE for one in evaluation.spec.metrics]
        for index, compares in enumerate(comparing):
            # Where no metric compares, the record still names a reference for each item, so the first one is reported.
            if compares or (index == 0 and not any(comparing)):
                yield METRIC_WITHOUT_TARGET.at(
                    node.span("spec", "metrics", index, "name"),
                    f"evaluation `{node.name}` needs a reference for each item, and dataset `{rows.name}` has none",
                    label="compared with a reference" if compares else "",
                    related=[Label(span=rows.key_span("spec", "columns"), text="its columns")],
                    help=f"add `targetColumn: …` to dataset `{rows.name}`",
                )


def label_metrics_have_labels(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, evaluation in graph.of(Evaluation):
        name = evaluation.spec.subject.prompt
        prompt, written = graph.get(Prompt, name), graph.node(Prompt, name)
        if prompt is None or written is None or prompt.spec.output.labels:
            continue
        for index, metric in enumerate(evaluation.spec.metrics):
            if metric.name == "label-accuracy":
                yield METRIC_WITHOUT_LABELS.at(
                    node.span("spec", "metrics", index, "name"),
                    f"`label-accuracy` needs labels, and prompt `{name}` answers in free text",
                    related=[Label(span=written.key_span("spec", "output"), text="the answer's form")],
                    note="an answer that is no label is unscorable",
                    help=f"add `labels` to the `output` of prompt `{name}`, or measure `exact-match`",
                )


CHECKS = (
    GraphCheck(name="evaluation-target", ask=gates_measure_what_is_served),
    GraphCheck(name="metric-reference", ask=metrics_have_a_reference),
    GraphCheck(name="metric-labels", ask=label_metrics_have_labels),
)
