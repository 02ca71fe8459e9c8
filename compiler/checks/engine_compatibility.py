"""What an engine at its pinned version can load and parse.

Reports `unsupported-architecture`, `unsuitable-parser`, `missing-parser`, `context-too-long`, `startup-budget`,
`unknown-engine-version`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from compiler.checks.engine_facts import engine_version, named_version
from compiler.checks.model_facts import ModelFacts, configured_length, longest, model_facts
from compiler.checks.question import FileCheck, GraphCheck
from compiler.checks.service_gpus import gpus_of
from compiler.diagnostics.catalogue import (
    CONTEXT_TOO_LONG,
    MISSING_PARSER,
    STARTUP_BUDGET,
    UNKNOWN_ENGINE_VERSION,
    UNSUITABLE_PARSER,
    UNSUPPORTED_ARCHITECTURE,
)
from compiler.diagnostics.model import Diagnostic, Label
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph, ResourceNode
from compiler.lineage import lineage
from compiler.ports import Reader
from compiler.sizing.architecture import Architecture
from compiler.sizing.gpus import find_gpu
from compiler.source import Span
from llmops_spec.model import Model
from llmops_spec.service import Service

GIB = 2**30


def versions_are_known(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        engine = engine_version(service.spec.engine)
        if engine is not None and not engine.known:
            yield UNKNOWN_ENGINE_VERSION.at(
                named_version(node, service.spec.engine),
                f"{engine.engine} {engine.version} is not in the catalogue; what is known of {engine.facts_from} is not"
                " taken for it",
                note="defaults, memory accounting and metric names change between versions",
                help=f"pin a version that is known, such as {engine.facts_from}, or measure the start-up with"
                " `llmops size calibrate`",
            )


def architectures_are_supported(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    from compiler.sizing.engines import architecture_support

    for node, service in graph.of(Service):
        engine = engine_version(service.spec.engine)
        if engine is None:
            continue
        facts = model_facts(graph, files, service.spec.model)
        if not isinstance(facts, ModelFacts) or facts.architecture.class_name is None:
            continue
        support, since = architecture_support(engine, facts.architecture.class_name)
        if support == "unsupported":
            yield UNSUPPORTED_ARCHITECTURE.at(
                named_version(node, service.spec.engine),
                f"{engine.engine} {engine.version} does not know the architecture `{facts.architecture.class_name}` of"
                f" model `{service.spec.model}`",
                related=[Label(span=node.span("spec", "model"), text=f"from {facts.origin}")],
                note=f"it is supported since {since}" if since else "",
                help=f"pin {since} or newer" if since else "use another engine",
            )


OF_THINK_TAGS = frozenset({"deepseek_r1", "deepseek-r1", "qwen3"})
"""Parsers of reasoning between `<think>` and `</think>`: model cards name one or the other."""


def parsers_fit_the_model(graph: ResourceGraph) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        engine = service.spec.engine.vllm or service.spec.engine.sglang
        if engine is None:
            continue
        if engine.tool_call_parser is not None:
            yield from _parser(graph, node, service, "tool", engine.tool_call_parser)
        if engine.reasoning_parser is not None:
            yield from _parser(graph, node, service, "reasoning", engine.reasoning_parser)
        if service.spec.api.tools and engine.tool_call_parser is None:
            yield MISSING_PARSER.at(
                node.span("spec", "api", "tools"),
                f"service `{node.name}` takes tools, and its engine is told no parser for the calls",
                related=[Label(span=node.key_span("spec", "engine", service.spec.engine.name), text="the engine")],
                note="the calls that the model writes would be passed on as text",
                help="add `toolCallParser: …` to the engine, by the model's family",
            )


def _parser(
    graph: ResourceGraph, node: ResourceNode, service: Service, kind: Literal["tool", "reasoning"], name: str
) -> Iterator[Diagnostic]:
    from compiler.sizing.engines import parsers

    key = "toolCallParser" if kind == "tool" else "reasoningParser"
    version = engine_version(service.spec.engine)
    known = parsers(version, kind) if version is not None and version.known else ()
    if version is None or not known:
        return
    place = node.span("spec", "engine", service.spec.engine.name, key)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        said = f"{version.engine} {version.version} has no {kind} parser `{name}`"
        yield UNSUITABLE_PARSER.at(place, said, help=did_you_mean(name, [one.name for one in known]))
        return
    family = _family_names(graph, service.spec.model)
    if not family or any(one.startswith(found.families) for one in family):
        return
    if any("distill" in one for one in family):
        return  # it may write as its teacher does, or as the model that it was
    suitable = sorted({one.name for one in known if any(word.startswith(one.families) for word in family)})
    if suitable and not (name in OF_THINK_TAGS and OF_THINK_TAGS & set(suitable)):
        yield UNSUITABLE_PARSER.at(
            place,
            f"{kind} parser `{name}` does not read what model `{service.spec.model}` writes",
            related=[Label(span=node.span("spec", "model"), text=f"of the family `{min(family, key=len)}`")],
            note="each family marks its calls and its reasoning in its own way; another parser finds nothing",
            help=f"use {' or '.join(f'`{one}`' for one in suitable)}",
        )


def _family_names(graph: ResourceGraph, name: str) -> set[str]:
    """Names by which parsers know a model: its repository, and its catalogue name."""
    line = lineage(graph, name)
    remote = line.models[-1].spec.from_.hugging_face if line.whole else None
    if remote is None:
        return set()
    from compiler.sizing.models import find_model

    found = find_model(remote.repository)
    names = {remote.repository.rpartition("/")[2].casefold()}
    return names | ({found.record.name.casefold()} if found is not None else set())


def contexts_are_the_models(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    for node, service in graph.of(Service):
        asked = service.spec.engine.max_length
        if asked is None:
            continue
        limit = longest(graph, files, service.spec.model)
        if limit is None or asked <= limit.tokens:
            continue
        yield CONTEXT_TOO_LONG.at(
            _length_place(node, service),
            f"the engine is told to serve {asked} tokens, and model `{service.spec.model}` reads {limit.tokens}",
            related=[Label(span=limit.place, text=limit.said)],
            note=f"{asked} > {limit.tokens}: beyond what it was trained on a model answers nonsense;"
            " engines refuse to start",
            help=f"set it to at most {limit.tokens}",
        )


def _length_place(node: ResourceNode, service: Service) -> Span:
    keys = {"vllm": "maxModelLen", "container": "maxModelLen", "sglang": "contextLength", "triton": "maxSequenceLength"}
    name = service.spec.engine.name
    return node.span("spec", "engine", name, keys[name])


def declared_lengths_are_configured(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """A context that is declared for weights is one that their configuration has positions for."""
    for node, model in graph.of(Model):
        declared = model.spec.context_length
        if declared is None or model.spec.from_.scratch is not None:
            continue
        facts = model_facts(graph, files, node.name)
        limit = configured_length(facts)
        if limit is None or declared <= limit or not isinstance(facts, ModelFacts):
            continue
        yield CONTEXT_TOO_LONG.at(
            node.span("spec", "contextLength"),
            f"model `{node.name}` is said to read {declared} tokens, and its configuration has {limit} positions",
            related=[Label(span=node.key_span("spec", "from"), text=f"from {facts.origin}")],
            note=f"{declared} > {limit}: an engine refuses to serve more than the configuration has",
            help=f"set `contextLength: {limit}` at most, or extend the configuration's rope scaling first",
        )


def weights_load_in_time(graph: ResourceGraph, files: Reader) -> Iterator[Diagnostic]:
    """Bytes of the weights by the rate at which they are read, against the time that a pod has."""
    pools = graph.environment.spec.gpu_pools
    for node, service in graph.of(Service):
        limit, gpu = service.spec.startup_seconds, service.spec.gpu
        facts = model_facts(graph, files, service.spec.model)
        if limit is None or gpu is None or not isinstance(facts, ModelFacts):
            continue
        size, cards = _least_bytes(facts.architecture), gpus_of(service)
        for index, pool in enumerate(pools):
            if find_gpu(pool.gpu) not in cards or pool.read_gib_per_second is None:
                continue
            share = size / service.spec.nodes
            needed = share / GIB / pool.read_gib_per_second
            if needed <= limit:
                continue
            place = graph.environment_node.span("spec", "gpuPools", index, "readGibPerSecond")
            yield STARTUP_BUDGET.at(
                node.span("spec", "startupSeconds"),
                f"loading the weights takes at least {needed:.0f} s in pool `{pool.name}`, and a pod has {limit} s",
                related=[Label(span=place, text="the rate")],
                note=f"{share / GIB:.1f} GiB / {pool.read_gib_per_second:g} GiB/s = {needed:.0f} s;"
                " a pod that is late is restarted, and begins again",
                help=f"set `startupSeconds` to at least {int(needed * 1.5) + 60}: compiling and graph capture come"
                " after loading",
            )


def _least_bytes(architecture: Architecture) -> float:
    """Of the weights: as counted, else as if everything were in the format of its linear layers."""
    if architecture.weight_bytes is not None:
        return architecture.weight_bytes
    plain = 32 if architecture.dtype == "float32" else 16
    quantized = architecture.quantization
    bits = plain if quantized is None else quantized.bits or 4
    return architecture.parameters * min(bits, plain) / 8


CHECKS = (
    GraphCheck(name="engine-version", ask=versions_are_known),
    FileCheck(name="architecture", ask=architectures_are_supported),
    GraphCheck(name="parsers", ask=parsers_fit_the_model),
    FileCheck(name="engine-context", ask=contexts_are_the_models),
    FileCheck(name="model-context", ask=declared_lengths_are_configured),
    FileCheck(name="startup-budget", ask=weights_load_in_time),
)
