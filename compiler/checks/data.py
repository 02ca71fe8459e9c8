"""Datasets: columns and splits that are named exist, and what is held out is not trained on.

Reports `unknown-column`, `unknown-split`, `cluster-count`, `overlapping-splits`, `unsupported-data-format`.
Rows are not read here: leakage between different files is a result of the `check-data` step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple

from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import (
    CLUSTER_COUNT,
    OVERLAPPING_SPLITS,
    UNKNOWN_COLUMN,
    UNKNOWN_SPLIT,
    UNSUPPORTED_DATA_FORMAT,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import base_chain
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.dataset import Dataset, Split
from llmops_spec.evaluation import Evaluation
from llmops_spec.gate import Gate
from llmops_spec.model import Model
from llmops_spec.retriever import Retriever
from llmops_spec.training import Training

FORMATS = (".jsonl", ".csv")


def columns_exist(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, name, column, place in _named_columns(graph):
        dataset = graph.get(Dataset, name)
        if dataset is None or column in dataset.spec.columns:
            continue
        declared = graph.node(Dataset, name)
        yield UNKNOWN_COLUMN.at(
            place,
            f"`{column}` is not a column of dataset `{name}`",
            label="named here",
            related=[Label(span=declared.key_span("spec", "columns"), text="its columns")]
            if declared is not None and declared is not node
            else (),
            help=did_you_mean(column, dataset.spec.columns),
        )


def _named_columns(graph: ResourceGraph) -> Iterator[tuple[ResourceNode, str, str, Span]]:
    """Every place that names a column: its document, the dataset, the column, where."""
    for node, dataset in graph.of(Dataset):
        for column, place in _own_columns(node, dataset):
            yield node, node.name, column, place
    for node, training in graph.of(Training):
        if training.spec.text_column is not None:
            yield node, training.spec.dataset, training.spec.text_column, node.span("spec", "textColumn")
        if (pair := training.spec.preferences) is not None:
            yield node, training.spec.dataset, pair.chosen, node.span("spec", "preferences", "chosen")
            yield node, training.spec.dataset, pair.rejected, node.span("spec", "preferences", "rejected")
    for node, retriever in graph.of(Retriever):
        yield node, retriever.spec.corpus, retriever.spec.text_column, node.span("spec", "textColumn")
    for node, model in graph.of(Model):
        if model.spec.from_.scratch is not None:
            tokenizer = model.spec.from_.scratch.tokenizer
            for index, column in enumerate(tokenizer.columns):
                place = node.span("spec", "from", "scratch", "tokenizer", "columns", index)
                yield node, tokenizer.dataset, column, place


def _own_columns(node: ResourceNode, dataset: Dataset) -> Iterator[tuple[str, Span]]:
    spec = dataset.spec
    for key, column in (
        ("itemColumn", spec.item_column),
        ("clusterColumn", spec.cluster_column),
        ("targetColumn", spec.target_column),
    ):
        if column is not None:
            yield column, node.span("spec", key)
    for index, column in enumerate(spec.input_columns):
        yield column, node.span("spec", "inputColumns", index)
    for step, transform in enumerate(spec.transforms):
        for index, column in enumerate(transform.redact.columns if transform.redact else ()):
            yield column, node.span("spec", "transforms", step, "redact", "columns", index)


def splits_exist(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for name, split, place in _named_splits(graph):
        dataset, declared = graph.get(Dataset, name), graph.node(Dataset, name)
        if dataset is None or declared is None or split in dataset.spec.splits:
            continue
        yield UNKNOWN_SPLIT.at(
            place,
            f"`{split}` is not a split of dataset `{name}`",
            label="named here",
            related=[Label(span=declared.key_span("spec", "splits"), text="its splits")],
            help=did_you_mean(split, dataset.spec.splits),
        )


def _named_splits(graph: ResourceGraph) -> Iterator[tuple[str, str, Span]]:
    for node, training in graph.of(Training):
        yield training.spec.dataset, training.spec.split, node.span("spec", "split")
    for node, retriever in graph.of(Retriever):
        yield retriever.spec.corpus, retriever.spec.split, node.span("spec", "split")
    for node, evaluation in graph.of(Evaluation):
        for index, split in enumerate(evaluation.spec.splits):
            yield evaluation.spec.dataset, split, node.span("spec", "splits", index)
    for node, model in graph.of(Model):
        if model.spec.from_.scratch is not None:
            tokenizer = model.spec.from_.scratch.tokenizer
            yield tokenizer.dataset, tokenizer.split, node.span("spec", "from", "scratch", "tokenizer", "split")
    for node, gate in graph.of(Gate):
        evaluation = graph.get(Evaluation, gate.spec.evaluation)
        for index, criterion in enumerate(gate.spec.criteria):
            if evaluation is not None and criterion.baseline is not None and criterion.baseline.constant is not None:
                key = "nonInferiorTo" if criterion.non_inferior_to else "betterThan"
                place = node.span("spec", "criteria", index, key, "constant")
                yield evaluation.spec.dataset, "train", place  # where the commonest answer is counted


def clusters_are_counted(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, dataset in graph.of(Dataset):
        column = dataset.spec.cluster_column
        for name, split in dataset.spec.splits.items():
            if column is not None and split.clusters is None:
                yield CLUSTER_COUNT.at(
                    node.key_span("spec", "splits", name),
                    f"split `{name}` does not say how many clusters it has",
                    related=[Label(span=node.span("spec", "clusterColumn"), text="rows are clustered by this")],
                    note="rows of one cluster are not independent, so gates count clusters and not rows",
                    help=f"add `clusters: …`, the least number of distinct values of `{column}`",
                )
            elif column is None and split.clusters is not None:
                yield CLUSTER_COUNT.at(
                    node.key_span("spec", "splits", name, "clusters"),
                    f"split `{name}` counts clusters, and dataset `{node.name}` has no cluster column",
                    help="name the column with `clusterColumn`, or remove `clusters`",
                )
            elif split.clusters is not None and split.clusters > split.rows:
                yield CLUSTER_COUNT.at(
                    node.span("spec", "splits", name, "clusters"),
                    f"split `{name}` has {split.clusters} clusters in {split.rows} rows",
                    note=f"{split.rows} rows hold at most {split.rows} clusters",
                    help="correct one of the two numbers",
                )


def formats_are_known(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, dataset in graph.of(Dataset):
        for name, split in dataset.spec.splits.items():
            if PurePosixPath(split.file).suffix not in FORMATS:
                yield UNSUPPORTED_DATA_FORMAT.at(
                    _place(node, name, split),
                    f"`{split.file}` is neither a `.jsonl` nor a `.csv` file",
                    help="convert it: one JSON object a line, or CSV with a header line, in UTF-8",
                )


def splits_are_apart(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """Two splits of one dataset that are the same file."""
    for node, dataset in graph.of(Dataset):
        for (first, one), (second, other) in combinations(dataset.spec.splits.items(), 2):
            if _same_rows(_Rows(node.name, first, one), _Rows(node.name, second, other), graph, files):
                yield OVERLAPPING_SPLITS.at(
                    _place(node, second, other),
                    f"splits `{first}` and `{second}` of dataset `{node.name}` are the same rows",
                    related=[Label(span=_place(node, first, one), text=f"`{first}`")],
                    note=_same_note(one, other),
                    help="give each split rows of its own",
                )


def evaluations_are_held_out(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """An evaluation on rows that one of the model's trainings used."""
    for node, evaluation in graph.of(Evaluation):
        spec = evaluation.spec
        dataset = graph.get(Dataset, spec.dataset)
        for training in _trainings_of(graph, spec.subject.model):
            trained_on = graph.get(Dataset, training.spec.dataset)
            trained = trained_on.spec.splits.get(training.spec.split) if trained_on else None
            where = graph.node(Training, training.metadata.name)
            for index, name in enumerate(spec.splits):
                split = dataset.spec.splits.get(name) if dataset else None
                if split is None or trained is None or where is None:
                    continue
                same_split = (spec.dataset, name) == (training.spec.dataset, training.spec.split)
                if dataset is trained_on and not same_split:
                    continue  # one dataset's splits are compared with each other where they are declared
                measured_on = _Rows(spec.dataset, name, split)
                fitted_on = _Rows(training.spec.dataset, training.spec.split, trained)
                if same_split or _same_rows(measured_on, fitted_on, graph, files):
                    yield OVERLAPPING_SPLITS.at(
                        node.span("spec", "splits", index),
                        f"evaluation `{node.name}` measures model `{spec.subject.model}` on rows it was trained on",
                        label="evaluated here",
                        related=[Label(span=where.span("spec", "split"), text=f"training `{where.name}` uses them")],
                        note=_same_note(split, trained),
                        help="evaluate on a split that no training of this model uses",
                    )


def _trainings_of(graph: ResourceGraph, model_name: str) -> Iterator[Training]:
    for model in base_chain(graph, model_name):
        training = graph.get(Training, model.spec.from_.training)
        if training is not None:
            yield training


def _place(node: ResourceNode, name: str, split: Split) -> Span:
    """Where it is written which rows a split has."""
    return node.span("spec", "splits", name, "path" if split.path is not None else "source")


class _Rows(NamedTuple):
    """A split with the names of its dataset and of itself."""

    dataset: str
    name: str
    split: Split

    def digest(self, graph: ResourceGraph, files: Reader) -> str | None:
        """Of its file: as it is in the project, or as the lock has it."""
        if self.split.path is not None:
            fact = files.fact(self.split.path)
            return fact.digest if fact is not None else None
        entry = graph.lock.split(self.dataset, self.name, self.split)
        return entry.sha256 if entry is not None else None


def _same_rows(one: _Rows, other: _Rows, graph: ResourceGraph, files: Reader) -> bool:
    if _same_place(one.split, other.split):
        return True
    left = one.digest(graph, files)
    return left is not None and left == other.digest(graph, files)


def _same_place(one: Split, other: Split) -> bool:
    if one.path is not None and other.path is not None:
        return PurePosixPath(one.path) == PurePosixPath(other.path)
    return one.path == other.path and one.source == other.source


def _same_note(one: Split, other: Split) -> str:
    if _same_place(one, other):
        return f"both are `{one.file}`"
    return f"`{one.file}` and `{other.file}` have the same digest"


CHECKS = (
    GraphCheck(name="columns", ask=columns_exist),
    GraphCheck(name="splits", ask=splits_exist),
    GraphCheck(name="clusters", ask=clusters_are_counted),
    GraphCheck(name="data-formats", ask=formats_are_known),
    FileCheck(name="split-overlap", ask=splits_are_apart),
    FileCheck(name="held-out", ask=evaluations_are_held_out),
)
