"""Number formats: the GPU computes in them, and the checkpoint is in the one that the engine is told.

Reports `dtype-not-on-gpu`, `quantization-not-on-gpu`, `quantization-mismatch`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.model_facts import ModelFacts, model_facts
from compiler.checks.question import FileCheck
from compiler.checks.service_gpus import gpus_of
from compiler.diagnostics.catalogue import DTYPE_NOT_ON_GPU, QUANTIZATION_MISMATCH, QUANTIZATION_NOT_ON_GPU
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.engine import Precision, WeightFormat
from llmops_spec.service import Service

LEAST_CAPABILITY: dict[str, tuple[int, int]] = {
    "awq": (7, 5),
    "gptq": (6, 0),
    "fp8": (7, 5),
    "int8": (7, 5),
    "bitsandbytes": (7, 0),
    "mxfp4": (8, 0),
    "nvfp4": (7, 5),
}
"""Weight format to the CUDA compute capability that vLLM's kernels for it begin with, weight-only kernels included."""
IN_FLIGHT = ("fp8", "bitsandbytes", "int8")
"""Formats into which an engine can turn 16-bit weights while it loads them."""


def _settings(service: Service) -> tuple[Precision, WeightFormat | None] | None:
    engine = service.spec.engine.vllm or service.spec.engine.sglang or service.spec.engine.triton
    return (engine.dtype, engine.quantization) if engine is not None else None


def types_exist_on_the_gpu(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        settings = _settings(service)
        if settings is None:
            continue
        facts = model_facts(graph, files, service.spec.model)
        asked = settings[0]
        declared = facts.architecture.dtype if isinstance(facts, ModelFacts) else None
        if (asked if asked != "auto" else declared) != "bfloat16":
            continue
        for gpu in gpus_of(service):
            if gpu.has_bf16:
                continue
            key = ("spec", "engine", service.spec.engine.name, "dtype")
            origin = f"from {facts.origin}" if isinstance(facts, ModelFacts) and asked == "auto" else "asked for"
            yield DTYPE_NOT_ON_GPU.at(
                node.span(*key) if node.has(*key) else node.span("spec", "gpu", "type"),
                f"{gpu.name} does not compute in bfloat16, which model `{service.spec.model}` would be loaded in",
                related=[Label(span=node.span("spec", "model"), text=f"bfloat16, {origin}")],
                note=f"bfloat16 needs compute capability 8.0, and {gpu.name} has {_capability(gpu.compute_capability)}",
                help="set `dtype: float16` on the engine, or use a newer GPU",
            )


def formats_run_on_the_gpu(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        settings = _settings(service)
        if settings is None:
            continue
        facts = model_facts(graph, files, service.spec.model)
        own = facts.architecture.quantization if isinstance(facts, ModelFacts) else None
        wanted = settings[1] or (own.method if own is not None else None)
        least = LEAST_CAPABILITY.get(wanted or "")
        for gpu in gpus_of(service):
            if least is None or gpu.compute_capability is None or gpu.compute_capability >= least:
                continue
            yield QUANTIZATION_NOT_ON_GPU.at(
                node.span("spec", "gpu", "type"),
                f"{gpu.name} has no kernels for weights in format `{wanted}`",
                related=[Label(span=_format_place(node, service), text=f"format {wanted}")],
                note=f"they need compute capability {_capability(least)}, and {gpu.name} has"
                f" {_capability(gpu.compute_capability)}",
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


def _capability(number: tuple[int, int] | None) -> str:
    return f"{number[0]}.{number[1]}" if number is not None else "none"


CHECKS = (
    FileCheck(name="dtype", ask=types_exist_on_the_gpu),
    FileCheck(name="quantization-gpu", ask=formats_run_on_the_gpu),
    FileCheck(name="quantization-checkpoint", ask=formats_are_the_checkpoints),
)
