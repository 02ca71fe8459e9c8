"""Trainings: settings, columns and base fit the method.

Reports `training-method`, `training-columns`, `base-is-adapter`, `sequence-too-long`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.question import GraphCheck
from compiler.diagnostics.catalogue import BASE_IS_ADAPTER, SEQUENCE_TOO_LONG, TRAINING_COLUMNS, TRAINING_METHOD
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import lineage
from llmops_spec.dataset import Dataset
from llmops_spec.model import Model
from llmops_spec.training import Training

_NEEDS = {
    "pretrain": ("textColumn",),
    "full": ("prompt",),
    "lora": ("prompt", "lora"),
    "qlora": ("prompt", "lora"),
    "dpo": ("prompt", "preferences"),
}
_HAS_NO = {
    "pretrain": ("prompt", "lora", "preferences"),
    "full": ("textColumn", "lora", "preferences"),
    "lora": ("textColumn", "preferences"),
    "qlora": ("textColumn", "preferences"),
    "dpo": ("textColumn",),
}
_WHY = {
    "textColumn": "the column with running text, which only `pretrain` reads",
    "prompt": "what renders each row's input; `pretrain` reads running text instead",
    "lora": "the adapter's shape",
    "preferences": "the columns with the better and the worse answer, which only `dpo` compares",
}


def settings_fit_the_method(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, training in graph.of(Training):
        method = training.spec.method
        given = {
            "textColumn": training.spec.text_column,
            "prompt": training.spec.prompt,
            "lora": training.spec.lora,
            "preferences": training.spec.preferences,
        }
        for key in _NEEDS[method]:
            if given[key] is None:
                yield TRAINING_METHOD.at(
                    node.span("spec", "method"),
                    f"method `{method}` needs `{key}`",
                    note=f"`{key}` is {_WHY[key]}",
                    help=f"add `{key}`, or choose another method",
                )
        for key in _HAS_NO[method]:
            if given[key] is not None:
                yield TRAINING_METHOD.at(
                    node.key_span("spec", key),
                    f"method `{method}` does not read `{key}`",
                    related=[Label(span=node.span("spec", "method"), text="the method")],
                    note=f"`{key}` is {_WHY[key]}",
                    help=f"remove `{key}`, or choose the method that reads it",
                )


def columns_fit_the_method(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, training in graph.of(Training):
        spec = training.spec
        dataset, rows = graph.get(Dataset, spec.dataset), graph.node(Dataset, spec.dataset)
        if dataset is None or rows is None:
            continue
        if spec.method == "pretrain":
            column = dataset.spec.columns.get(spec.text_column or "")
            if column is not None and column.type != "string":
                yield TRAINING_COLUMNS.at(
                    node.span("spec", "textColumn"),
                    f"column `{spec.text_column}` of dataset `{rows.name}` holds no text: its type is {column.type}",
                    related=[Label(span=rows.span("spec", "columns", spec.text_column or "", "type"), text="its type")],
                    help="name a column of type string",
                )
        elif spec.method == "dpo":
            yield from _preferences(node, training, dataset, rows)
        elif dataset.spec.target_column is None:
            yield TRAINING_COLUMNS.at(
                node.span("spec", "dataset"),
                f"dataset `{rows.name}` does not say which column a model should answer with",
                label=f"method `{spec.method}` learns its `targetColumn`",
                related=[Label(span=rows.key_span("spec", "columns"), text="its columns")],
                help=f"add `targetColumn: …` to dataset `{rows.name}`",
            )


def _preferences(node: ResourceNode, training: Training, dataset: Dataset, rows: ResourceNode) -> Iterator[Diagnostic]:
    pair = training.spec.preferences
    if pair is None:
        return
    for key, name in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        column = dataset.spec.columns.get(name)
        if column is not None and column.type != "string":
            yield TRAINING_COLUMNS.at(
                node.span("spec", "preferences", key),
                f"column `{name}` of dataset `{rows.name}` holds no text: its type is {column.type}",
                related=[Label(span=rows.span("spec", "columns", name, "type"), text="its type")],
                help="name a column of type string",
            )
    if pair.chosen == pair.rejected:
        yield TRAINING_COLUMNS.at(
            node.span("spec", "preferences", "rejected"),
            f"training `{node.name}` compares column `{pair.chosen}` with itself",
            note="answers that are equal teach nothing: every loss is log 2",
            help="name the column with the worse answers",
        )


def bases_are_whole_models(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, training in graph.of(Training):
        base, declared = graph.get(Model, training.spec.base), graph.node(Model, training.spec.base)
        if base is None or declared is None or base.spec.adapter_of is None:
            continue
        yield BASE_IS_ADAPTER.at(
            node.span("spec", "base"),
            f"training `{node.name}` starts from model `{declared.name}`, which is an adapter",
            related=[Label(span=declared.span("spec", "adapterOf"), text="the model it belongs to")],
            note="an adapter holds differences to its base, and no model to train on",
            help=f"start from `{base.spec.adapter_of}`",
        )


def sequences_fit_the_context(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, training in graph.of(Training):
        source = lineage(graph, training.spec.base).context_source
        length = training.spec.hyper_parameters.sequence_length
        if source is None or source.spec.context_length is None or length <= source.spec.context_length:
            continue
        yield SEQUENCE_TOO_LONG.at(
            node.span("spec", "hyperParameters", "sequenceLength"),
            f"training sequences of {length} tokens do not fit into the {source.spec.context_length} tokens of"
            f" model `{source.metadata.name}`",
            related=_declared_context(graph, source),
            note=f"{length} > {source.spec.context_length}",
            help=f"set `sequenceLength` to at most {source.spec.context_length}",
        )


def _declared_context(graph: ResourceGraph, model: Model) -> list[Label]:
    node: ResourceNode | None = graph.node(Model, model.metadata.name)
    return [Label(span=node.span("spec", "contextLength"), text="the model's context")] if node else []


CHECKS = (
    GraphCheck(name="training-method", ask=settings_fit_the_method),
    GraphCheck(name="training-columns", ask=columns_fit_the_method),
    GraphCheck(name="training-base", ask=bases_are_whole_models),
    GraphCheck(name="training-context", ask=sequences_fit_the_context),
)
