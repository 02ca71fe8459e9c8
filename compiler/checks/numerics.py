"""Number formats: the GPU computes in them, and the checkpoint is in the one that the engine is told.

Reports `dtype-not-on-gpu`, `quantization-not-on-gpu`, `quantization-mismatch`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.model_facts import ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.checks.service_gpus import type_place
from compiler.checks.service_requests import requests_of
from compiler.diagnostics.catalogue import DTYPE_NOT_ON_GPU, QUANTIZATION_MISMATCH, QUANTIZATION_NOT_ON_GPU
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.sizing.legality import dtype_supported, format_supported
from compiler.source import Span
from llmops_spec.engine import Precision, WeightFormat
from llmops_spec.service import Service

IN_FLIGHT = ("fp8", "bitsandbytes", "int8")
"""Formats into which an engine can turn 16-bit weights while it loads them."""


def _settings(service: Service) -> tuple[Precision, WeightFormat | None] | None:
    engine = service.spec.engine.vllm or service.spec.engine.sglang or service.spec.engine.triton
    return (engine.dtype, engine.quantization) if engine is not None else None


def numbers_exist_on_the_gpu(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    told: set[str] = set()
    for node, service, facts, request in requests_of(graph, files):
        assert service.spec.gpu is not None  # there is a card
        origin = Label(span=node.span("spec", "model"), text=f"from {facts.origin}")
        for broken in dtype_supported(request):
            if node.id in told:
                continue  # one word on the engine mends it for every card
            told.add(node.id)
            key = ("spec", "engine", service.spec.engine.name, "dtype")
            yield DTYPE_NOT_ON_GPU.at(
                node.span(*key) if node.has(*key) else type_place(node, service.spec.gpu, request.gpu),
                f"model `{service.spec.model}` would be loaded in a number format that {request.gpu.name} does not"
                " compute in",
                related=[origin],
                note=broken.text,
                help="set `dtype: float16` on the engine, or use a newer GPU",
            )
        for broken in format_supported(request):
            if broken.fatal:
                yield QUANTIZATION_NOT_ON_GPU.at(
                    type_place(node, service.spec.gpu, request.gpu),
                    f"{request.gpu.name} has no kernels for the weights of model `{service.spec.model}`",
                    related=[Label(span=_format_place(node, service), text="the format")],
                    note=broken.text,
                    help="use a newer GPU, or weights in another format",
                )


def formats_are_the_checkpoints(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        settings = _settings(service)
        facts = model_facts(graph, files, service.spec.model)
        if settings is None or settings[1] is None or not isinstance(facts, ModelFacts):
            continue
        asked, own = settings[1], facts.architecture.quantization
        origin = Label(span=node.span("spec", "model"), text=f"from {facts.origin}")
        if own is None and asked not in IN_FLIGHT:
            yield QUANTIZATION_MISMATCH.at(
                _format_place(node, service),
                f"the engine is told `{asked}`, and the weights of model `{service.spec.model}` are not quantized",
                related=[origin],
                note=f"`{asked}` is made beforehand, by looking at activations or by packing; an engine only reads it",
                help="remove `quantization`, name a checkpoint in that format, or quantize with `from: {compress: …}`",
            )
        elif own is not None and not _agree(asked, own.method):
            yield QUANTIZATION_MISMATCH.at(
                _format_place(node, service),
                f"the engine is told `{asked}`, and the weights of model `{service.spec.model}` are in `{own.method}`",
                related=[origin],
                note="engines refuse to start when the two differ",
                help="remove `quantization`: the checkpoint says it",
            )


def _agree(asked: str, method: str) -> bool:
    """Checkpoints name families of formats: `compressed-tensors` and `modelopt` hold several."""
    return asked in method.replace("_", "-") or method in ("compressed-tensors", "modelopt", "quark", "fbgemm_fp8")


def _format_place(node: ResourceNode, service: Service) -> Span:
    key = ("spec", "engine", service.spec.engine.name, "quantization")
    return node.span(*key) if node.has(*key) else node.span("spec", "model")


CHECKS = (
    FileCheck(name="numbers-on-gpu", ask=numbers_exist_on_the_gpu),
    FileCheck(name="quantization-checkpoint", ask=formats_are_the_checkpoints),
)
