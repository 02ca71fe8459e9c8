"""Adapters and draft models that an engine is asked to serve beside a model.

Reports `adapter-not-served`, `adapter-rank`, `adapter-features`, `draft-vocabulary`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.checks.model_facts import ModelFacts, model_facts
from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import ADAPTER_FEATURES, ADAPTER_NOT_SERVED, ADAPTER_RANK, DRAFT_VOCABULARY
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.source import Span
from llmops_spec.engine import Engine
from llmops_spec.model import Model
from llmops_spec.service import Service
from llmops_spec.training import Training

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Slots of vLLM have one of these ranks."""


def adapters_sit_on_the_service_model(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        base = service.spec.model
        if service.spec.adapters and service.spec.engine.name not in ("vllm", "sglang"):
            yield ADAPTER_NOT_SERVED.at(
                node.key_span("spec", "adapters"),
                f"engine `{service.spec.engine.name}` serves no adapters beside a model",
                related=[Label(span=node.key_span("spec", "engine"), text="the engine")],
                help="use engine `vllm` or `sglang`, or serve the adapter as the service's `model`",
            )
            continue
        for place, model, declared in _adapters(graph, node, service):
            if model.spec.adapter_of is None:
                said = f"model `{declared.name}` is no adapter"
                yield ADAPTER_NOT_SERVED.at(place, said, help="name a model with `adapterOf`, or remove it")
            elif model.spec.adapter_of != base and not graph.dangles(declared, "spec", "adapterOf"):
                yield ADAPTER_NOT_SERVED.at(
                    place,
                    f"adapter `{declared.name}` sits on `{model.spec.adapter_of}`, and the service serves `{base}`",
                    related=[Label(span=declared.span("spec", "adapterOf"), text="its base")],
                    note="an adapter holds differences to the weights that it was trained on",
                    help=f"serve `{model.spec.adapter_of}`, or remove the adapter",
                )


def _adapters(graph: ResourceGraph, node: ResourceNode, service: Service) -> Iterator[tuple[Span, Model, ResourceNode]]:
    for index, name in enumerate(service.spec.adapters):
        model, declared = graph.get(Model, name), graph.node(Model, name)
        if model is not None and declared is not None:
            yield node.span("spec", "adapters", index), model, declared


def _all_adapters(
    graph: ResourceGraph, node: ResourceNode, service: Service
) -> Iterator[tuple[Span, Model, ResourceNode]]:
    """The adapters that are named, and the model itself where it is one."""
    model, declared = graph.get(Model, service.spec.model), graph.node(Model, service.spec.model)
    if model is not None and declared is not None and model.spec.adapter_of is not None:
        yield node.span("spec", "model"), model, declared
    yield from _adapters(graph, node, service)


def ranks_fit_the_slots(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        engine = service.spec.engine
        slots = _slot_rank(engine)
        key = ("spec", "engine", engine.name, "maxLoraRank")
        if engine.vllm is not None and engine.vllm.max_lora_rank not in VLLM_RANKS:
            nearest = next((one for one in VLLM_RANKS if one > engine.vllm.max_lora_rank), VLLM_RANKS[-1])
            said = f"vLLM has no adapter slots of rank {engine.vllm.max_lora_rank}"
            listed = ", ".join(map(str, VLLM_RANKS))
            yield ADAPTER_RANK.at(node.span(*key), said, note=f"slots have rank {listed}", help=f"use {nearest}")
            continue
        for place, model, _ in _all_adapters(graph, node, service):
            source = model.spec.from_.training
            training, made = graph.get(Training, source), graph.node(Training, source)
            lora = training.spec.lora if training is not None else None
            if slots is None or lora is None or made is None or lora.rank <= slots:
                continue
            yield ADAPTER_RANK.at(
                node.span(*key) if node.has(*key) else place,
                f"adapter `{model.metadata.name}` has rank {lora.rank}, and the engine's slots have rank {slots}",
                related=[Label(span=made.span("spec", "lora", "rank"), text="the adapter's rank")],
                note=f"{lora.rank} > {slots}: the engine refuses the adapter when it is first asked for",
                help=f"set `maxLoraRank: {next((one for one in VLLM_RANKS if one >= lora.rank), lora.rank)}`",
            )


def _slot_rank(engine: Engine) -> int | None:
    if engine.vllm is not None:
        return engine.vllm.max_lora_rank
    return engine.sglang.max_lora_rank if engine.sglang is not None else None


def adapters_change_only_what_slots_hold(graph: ResourceGraph) -> Iterator[Diagnostic]:
    """Modules that an adapter stores in full replace weights of the base, which all adapters share."""
    for node, service in graph.of(Service):
        if service.spec.engine.vllm is None and service.spec.engine.sglang is None:
            continue
        for place, model, _ in _all_adapters(graph, node, service):
            source = model.spec.from_.training
            training, made = graph.get(Training, source), graph.node(Training, source)
            if training is None or made is None or training.spec.lora is None or not training.spec.lora.saved_modules:
                continue
            listed = ", ".join(f"`{one}`" for one in training.spec.lora.saved_modules)
            yield ADAPTER_FEATURES.at(
                place,
                f"adapter `{model.metadata.name}` stores {listed} in full, and engine `{service.spec.engine.name}`"
                " loads low-rank differences only",
                related=[Label(span=made.key_span("spec", "lora", "savedModules"), text="stored in full")],
                note="the engine refuses the adapter, or serves it without these modules",
                help="train without `savedModules`, or merge the adapter into its base and serve that",
            )


def drafts_write_the_same_vocabulary(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        vllm = service.spec.engine.vllm
        if vllm is None or vllm.draft_model is None:
            continue
        draft, target = model_facts(graph, files, vllm.draft_model), model_facts(graph, files, service.spec.model)
        if not isinstance(draft, ModelFacts) or not isinstance(target, ModelFacts):
            continue
        small, large = draft.architecture.vocabulary_size, target.architecture.vocabulary_size
        if small == large or 0 in (small, large):
            continue
        yield DRAFT_VOCABULARY.at(
            node.span("spec", "engine", "vllm", "draftModel"),
            f"draft model `{vllm.draft_model}` writes {small} tokens, and `{service.spec.model}` reads {large}",
            related=[Label(span=node.span("spec", "model"), text=f"vocabulary of {large}, from {target.origin}")],
            note=f"{small} ≠ {large}: a proposed token means another word to the model that accepts it",
            help="use a draft of the same family, with the same tokenizer",
        )


CHECKS = (
    GraphCheck(name="service-adapters", ask=adapters_sit_on_the_service_model),
    GraphCheck(name="adapter-rank", ask=ranks_fit_the_slots),
    GraphCheck(name="adapter-features", ask=adapters_change_only_what_slots_hold),
    FileCheck(name="draft-vocabulary", ask=drafts_write_the_same_vocabulary),
)
