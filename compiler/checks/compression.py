"""Models that are made smaller: from weights that are there, once, and with what the way needs.

Reports `compression`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.model_facts import ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.diagnostics.catalogue import COMPRESSION
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from llmops_spec.model import FromCompress, Model

CALIBRATED = ("awq", "gptq")
"""Formats whose scales are chosen by looking at activations."""
SPARSE = 0.5
"""Two of four: what tensor cores multiply at twice the rate, from Ampere on, and vLLM and TensorRT-LLM load."""


def compression_is_possible(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, model in graph.of(Model):
        compress = model.spec.from_.compress
        if compress is None:
            continue
        base, declared = graph.get(Model, compress.model), graph.node(Model, compress.model)
        if base is None or declared is None:
            continue
        if base.spec.from_.hosted is not None or base.spec.adapter_of is not None:
            why = "is hosted: its weights are not here" if base.spec.from_.hosted is not None else "is an adapter"
            yield COMPRESSION.at(
                node.span("spec", "from", "compress", "model"),
                f"model `{declared.name}` cannot be compressed: it {why}",
                related=[Label(span=declared.key_span("spec", "from"), text="where it comes from")],
                help="name a model with weights of its own",
            )
            continue
        facts = model_facts(graph, files, compress.model)
        if isinstance(facts, ModelFacts):
            yield from _twice(node, compress, facts)
        yield from _calibration(node, compress)
        yield from _zeros(node, compress)
        yield from _student(graph, files, node, compress)


def _twice(node: ResourceNode, compress: FromCompress, facts: ModelFacts) -> Iterator[Diagnostic]:
    before = facts.architecture.quantization
    if compress.quantize is not None and before is not None:
        yield COMPRESSION.at(
            node.span("spec", "from", "compress", "quantize", "format"),
            f"model `{compress.model}` is quantized already ({before.method}), and would be again",
            related=[Label(span=node.span("spec", "from", "compress", "model"), text=f"from {facts.origin}")],
            note="quantization starts from 16-bit weights; what was rounded away is not there any more",
            help="name the model before its quantization",
        )


def _calibration(node: ResourceNode, compress: FromCompress) -> Iterator[Diagnostic]:
    quantize = compress.quantize
    if quantize is not None and quantize.format in CALIBRATED and quantize.calibration is None:
        yield COMPRESSION.at(
            node.span("spec", "from", "compress", "quantize", "format"),
            f"format `{quantize.format}` chooses its scales by looking at activations, and no rows are named",
            help="add `calibration: <dataset>`, with rows like those that the model will see",
        )


def _zeros(node: ResourceNode, compress: FromCompress) -> Iterator[Diagnostic]:
    prune = compress.prune
    if prune is not None and prune.sparsity != SPARSE:
        yield COMPRESSION.at(
            node.span("spec", "from", "compress", "prune", "sparsity"),
            f"no engine makes use of weights of which {prune.sparsity:.0%} are zero",
            note="tensor cores skip two of each four weights; at any other share zeros are stored and multiplied like"
            " the rest, and the model is worse for nothing",
            help=f"set `sparsity: {SPARSE}`",
        )


def _student(graph: ResourceGraph, files: Reader, node: ResourceNode, compress: FromCompress) -> Iterator[Diagnostic]:
    if compress.distil is None:
        return
    teacher = model_facts(graph, files, compress.model)
    student = model_facts(graph, files, compress.distil.student)
    if not isinstance(teacher, ModelFacts) or not isinstance(student, ModelFacts):
        return
    large, small = teacher.architecture, student.architecture
    place = node.span("spec", "from", "compress", "distil", "student")
    if small.vocabulary_size != large.vocabulary_size:
        yield COMPRESSION.at(
            place,
            f"student `{compress.distil.student}` writes {small.vocabulary_size} tokens, and `{compress.model}`"
            f" {large.vocabulary_size}",
            note="the student learns the teacher's probabilities, token by token",
            help="use a student with the same tokenizer",
        )
    elif small.parameters >= large.parameters:
        yield COMPRESSION.at(
            place,
            f"student `{compress.distil.student}` is no smaller than `{compress.model}`",
            note=f"{small.parameters / 1e9:.2f} ≥ {large.parameters / 1e9:.2f} billion parameters",
            help="use a smaller student",
        )


CHECKS = (FileCheck(name="compression", ask=compression_is_possible),)
