"""Adapters and draft models that an engine is asked to serve beside a model.

Reports `adapter-not-served`, `adapter-rank`, `adapter-features`, `draft-vocabulary`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compiler.checks.model_facts import ModelFacts, json_object, model_facts
from compiler.checks.models import MAX_CONFIGURATION_BYTES
from compiler.checks.question import FileCheck, GraphCheck
from compiler.diagnostics.catalogue import ADAPTER_FEATURES, ADAPTER_NOT_SERVED, ADAPTER_RANK, DRAFT_VOCABULARY
from compiler.diagnostics.model import Diagnostic, Label
from compiler.graph import ResourceGraph, ResourceNode
from compiler.ports import Reader
from compiler.sizing.engines import version_number
from compiler.source import Span
from llmops_spec.digests import Json
from llmops_spec.engine import Engine
from llmops_spec.model import Model
from llmops_spec.service import Service
from llmops_spec.training import Training

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Slots of vLLM have one of these ranks."""


def adapters_sit_on_the_service_model(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        base = _served_base(graph, service)
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
            elif base not in (None, model.spec.adapter_of) and not graph.dangles(declared, "spec", "adapterOf"):
                yield ADAPTER_NOT_SERVED.at(
                    place,
                    f"adapter `{declared.name}` sits on `{model.spec.adapter_of}`, and the service serves `{base}`",
                    related=[Label(span=declared.span("spec", "adapterOf"), text="its base")],
                    note="an adapter holds differences to the weights that it was trained on",
                    help=f"serve `{model.spec.adapter_of}`, or remove the adapter",
                )


def _served_base(graph: ResourceGraph, service: Service) -> str | None:
    """Whose weights are loaded whole; None where that is not known."""
    model = graph.get(Model, service.spec.model)
    return (model.spec.adapter_of or service.spec.model) if model is not None else None


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


def ranks_fit_the_slots(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        engine = service.spec.engine
        slots = _slot_rank(engine)
        key = ("spec", "engine", engine.name, "maxLoraRank")
        if engine.vllm is not None and not _has_slots(engine.vllm.max_lora_rank, engine.vllm.version):
            nearest = next((one for one in VLLM_RANKS if one > engine.vllm.max_lora_rank), VLLM_RANKS[-1])
            said = f"vLLM has no adapter slots of rank {engine.vllm.max_lora_rank}"
            listed = ", ".join(map(str, VLLM_RANKS))
            yield ADAPTER_RANK.at(node.span(*key), said, note=f"slots have rank {listed}", help=f"use {nearest}")
            continue
        for place, model, declared in _all_adapters(graph, node, service):
            shape = _shape(graph, files, model, declared)
            if slots is None or shape is None or shape.rank <= slots:
                continue
            fitting = next((one for one in VLLM_RANKS if one >= shape.rank), None)
            yield ADAPTER_RANK.at(
                node.span(*key) if node.has(*key) else place,
                f"adapter `{model.metadata.name}` has rank {shape.rank}, and the engine's slots have rank {slots}",
                related=[Label(span=shape.rank_place, text="the adapter's rank")],
                note=f"{shape.rank} > {slots}: the engine refuses the adapter when it is first asked for",
                help=f"set `maxLoraRank: {fitting}`" if fitting else f"train with a rank of at most {VLLM_RANKS[-1]}",
            )


def _has_slots(rank: int, version: str) -> bool:
    """vLLM has had slots of rank 1 since 0.11."""
    return rank in VLLM_RANKS or (rank == 1 and version_number(version) >= (0, 11))


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What an adapter holds, by the training that makes it or by its own configuration."""

    rank: int
    """The highest of its modules."""
    rank_place: Span
    saved: tuple[str, ...]
    """Modules in full."""
    saved_place: Span
    magnitudes: bool = False
    """DoRA: a magnitude beside each difference."""


def _shape(graph: ResourceGraph, files: Reader, model: Model, declared: ResourceNode) -> _Shape | None:
    """None where nothing is known of it: its source is missing, not locked, or without a configuration."""
    training, made = graph.get(Training, model.spec.from_.training), graph.node(Training, model.spec.from_.training)
    if training is not None and made is not None:
        lora = training.spec.lora
        places = (made.span("spec", "lora", "rank"), made.key_span("spec", "lora", "savedModules"))
        if lora is None:
            return None
        return _Shape(rank=lora.rank, rank_place=places[0], saved=tuple(lora.saved_modules), saved_place=places[1])
    config = _adapter_configuration(graph, files, model)
    rank = config.get("r") if config is not None else None
    if config is None or not isinstance(rank, int):
        return None
    others, saved, place = config.get("rank_pattern"), config.get("modules_to_save"), declared.key_span("spec", "from")
    ranks = [one for one in others.values() if isinstance(one, int)] if isinstance(others, Mapping) else []
    names = [one for one in saved if isinstance(one, str)] if isinstance(saved, list) else []
    return _Shape(
        rank=max(rank, *ranks) if ranks else rank,
        rank_place=place,
        saved=tuple(names),
        saved_place=place,
        magnitudes=config.get("use_dora") is True,
    )


def _adapter_configuration(graph: ResourceGraph, files: Reader, model: Model) -> Mapping[str, Json] | None:
    path, locked = model.spec.from_.path, graph.lock.model(model)
    if locked is not None:
        return locked.config
    if path is None:
        return None
    fact = files.fact(f"{path.rstrip('/')}/adapter_config.json")
    if fact is None or fact.bytes > MAX_CONFIGURATION_BYTES:
        return None
    return json_object(files.read(fact.path))


def _slot_rank(engine: Engine) -> int | None:
    if engine.vllm is not None:
        return engine.vllm.max_lora_rank
    return engine.sglang.max_lora_rank if engine.sglang is not None else None


def adapters_change_only_what_slots_hold(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """Modules that an adapter stores in full replace weights of the base, which all adapters share."""
    for node, service in graph.of(Service):
        if service.spec.engine.vllm is None and service.spec.engine.sglang is None:
            continue
        for place, model, declared in _all_adapters(graph, node, service):
            shape = _shape(graph, files, model, declared)
            if shape is None or not (shape.saved or shape.magnitudes):
                continue
            stored = f"stores {', '.join(f'`{one}`' for one in shape.saved)} in full"
            what = stored if shape.saved else "scales its differences (DoRA)"
            yield ADAPTER_FEATURES.at(
                place,
                f"adapter `{model.metadata.name}` {what}, and engine `{service.spec.engine.name}` loads"
                " low-rank differences only",
                related=[Label(span=shape.saved_place, text="the adapter")],
                note="the engine refuses the adapter, or serves it without these parts",
                help="train without them, or merge the adapter into its base and serve that",
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
    FileCheck(name="adapter-rank", ask=ranks_fit_the_slots),
    FileCheck(name="adapter-features", ask=adapters_change_only_what_slots_hold),
    FileCheck(name="draft-vocabulary", ask=drafts_write_the_same_vocabulary),
)
