"""What is known of a model's architecture at compile time, and where it is known from.

Shared by the checks that do arithmetic with a model: capacity, parallelism, numerics, adapters, retrieval. Facts come
from what the project holds: the fields of random weights, the `config.json` of a folder, the lock, and the catalogue
of published architectures. A check that lacks facts says which, and how to get them; it never guesses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias, cast
from weakref import WeakKeyDictionary

from compiler.checks.models import MAX_CONFIGURATION_BYTES
from compiler.graph import ResourceGraph
from compiler.lineage import lineage
from compiler.lockfile import LOCK_FILE
from compiler.ports import Reader
from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.layers import Quantization
from compiler.source import Span
from llmops_spec.digests import Json
from llmops_spec.engine import WeightFormat
from llmops_spec.model import FromScratch, Model, Quantize

_SHAPES: Mapping[WeightFormat, tuple[int, int | None]] = {
    "awq": (4, 128),
    "gptq": (4, 128),
    "fp8": (8, None),
    "int8": (8, None),
    "bitsandbytes": (4, None),
    "mxfp4": (4, 32),
    "nvfp4": (4, 16),
    "gguf": (4, 32),
}
"""Format to its bits a weight, and how many weights usually share a scale."""

MOST: Final = 10**12
"""No fact of a model is larger: sizes and counts beyond it are no facts, and arithmetic with them would overflow."""
DEEPEST: Final = 50
"""Configurations nest a few levels: a model of pictures holds a model of texts, which holds its positions."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    architecture: Architecture
    origin: str
    """Where the facts stand, in words: `config.json` of a folder, the lock, the catalogue."""


@dataclass(frozen=True, kw_only=True)
class MissingFacts:
    """A model of which something is not known."""

    fact: str
    remedy: str
    """How to get it."""


def model_facts(graph: ResourceGraph, files: Reader, name: str | None) -> ModelFacts | MissingFacts | None:
    """Facts of the weights that the named model is loaded as.

    None where there is nothing to say: the model or a model that it is made from is missing, poisoned, hosted, or not
    locked. Several checks ask for the same model, so what was found is kept for as long as the graph.
    """
    kept = _KEPT.setdefault(graph, {})
    if (files, name) not in kept:
        kept[files, name] = _facts(graph, files, name)
    return kept[files, name]


_Kept: TypeAlias = dict[tuple[Reader, str | None], "ModelFacts | MissingFacts | None"]
_KEPT: Final[WeakKeyDictionary[ResourceGraph, _Kept]] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Longest:
    """The longest sequence of a model in tokens, and who says so."""

    tokens: int
    place: Span
    said: str


def longest(graph: ResourceGraph, files: Reader, name: str) -> Longest | None:
    """As the model or one that it is made from declares, else as its configuration has it; None where nobody says."""
    source = lineage(graph, name).context_source
    declared = graph.node(Model, source.metadata.name) if source is not None else None
    if source is not None and source.spec.context_length is not None and declared is not None:
        place = declared.span("spec", "contextLength")
        return Longest(tokens=source.spec.context_length, place=place, said="the model's context")
    found, node = model_facts(graph, files, name), graph.node(Model, name)
    tokens = configured_length(found)
    if tokens is None or node is None or not isinstance(found, ModelFacts):
        return None
    return Longest(tokens=tokens, place=node.key_span("spec", "from"), said=f"from {found.origin}")


def configured_length(known: ModelFacts | MissingFacts | None) -> int | None:
    """Tokens that a configuration has positions for, a rope factor included."""
    if not isinstance(known, ModelFacts) or known.architecture.max_positions is None:
        return None
    return int(known.architecture.max_positions * max(known.architecture.rope_factor, 1.0))


def _facts(graph: ResourceGraph, files: Reader, name: str | None) -> ModelFacts | MissingFacts | None:
    line = lineage(graph, name)
    if not line.whole:
        return None
    first = line.models[-1]
    known = _first_facts(graph, files, first)
    for model in reversed(line.models):
        compress = model.spec.from_.compress
        if isinstance(known, ModelFacts) and compress is not None and compress.quantize is not None:
            known = _quantized(known, compress.quantize, model.metadata.name)
    return known


def _first_facts(graph: ResourceGraph, files: Reader, model: Model) -> ModelFacts | MissingFacts | None:
    source = model.spec.from_
    if source.scratch is not None:
        return _drawn(source.scratch, model)
    if source.path is not None:
        return _of_folder(source.path.rstrip("/"), files, model.metadata.name)
    locked = graph.lock.model(model)
    if locked is not None and locked.config:
        name, config = model.metadata.name, cast("Mapping[str, Json]", _bounded(locked.config))
        architecture = read_architecture(config, name=name, weight_bytes=locked.weight_bytes)
        return ModelFacts(architecture=architecture, origin=f"`{LOCK_FILE}`")
    published = _published(source.hugging_face.repository) if source.hugging_face is not None else None
    if published is not None or locked is None:
        return published  # what is not locked is reported as that
    remedy = "it was locked without a `config.json`: name a source that has one beside the weights"
    return MissingFacts(fact="its architecture", remedy=remedy)


def _drawn(scratch: FromScratch, model: Model) -> ModelFacts:
    llama = scratch.llama
    config: dict[str, Json] = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": llama.hidden_size,
        "num_hidden_layers": llama.layers,
        "num_attention_heads": llama.heads,
        "num_key_value_heads": llama.key_value_heads,
        "intermediate_size": llama.feed_forward_size,
        "vocab_size": scratch.tokenizer.vocabulary_size,
        "max_position_embeddings": model.spec.context_length,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    architecture = read_architecture(config, name=model.metadata.name)
    return ModelFacts(architecture=architecture, origin=f"declared by model `{model.metadata.name}`")


def _of_folder(folder: str, files: Reader, name: str) -> ModelFacts | MissingFacts | None:
    path = f"{folder}/config.json"
    fact = files.fact(path)
    if fact is None:
        return None  # `missing-weights` says so
    if fact.bytes > MAX_CONFIGURATION_BYTES:
        return MissingFacts(fact="its architecture", remedy=f"`{path}` is no model configuration: it is too large")
    architecture = _read(_bytes(files, path), _bytes(files, f"{folder}/model.safetensors.index.json"))
    if architecture is None:
        return MissingFacts(fact="its architecture", remedy=f"`{path}` is not a JSON object: write the folder anew")
    return ModelFacts(architecture=replace(architecture, name=name), origin=f"`{path}`")


def _bytes(files: Reader, path: str) -> bytes:
    """What a file holds; nothing where it is not there."""
    try:
        return files.read(path)
    except OSError:
        return b""


@lru_cache(maxsize=256)
def _read(config: bytes, index: bytes) -> Architecture | None:
    """The architecture in the bytes of a `config.json`, the same for every model and environment that names it."""
    found = json_object(config)
    if found is None:
        return None
    return read_architecture(found, name="", weight_bytes=_total_size(json_object(index)))


def json_object(data: bytes) -> Mapping[str, Json] | None:
    """The object in a JSON file that somebody else wrote, with numbers within bounds; None where it holds none."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Json]", _bounded(cast("Json", value))) if isinstance(value, dict) else None


def _bounded(value: Json, depth: int = 0) -> Json:
    """The value with null for numbers above `MOST` and for what is nested too deeply: neither is a fact of a model."""
    if depth > DEEPEST or (isinstance(value, (int, float)) and not -MOST <= value <= MOST):
        return None
    if isinstance(value, Mapping):
        return {key: _bounded(one, depth + 1) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_bounded(one, depth + 1) for one in value]
    return value


def _total_size(index: Mapping[str, Json] | None) -> int | None:
    metadata = index.get("metadata") if index is not None else None
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    return size if isinstance(size, int) and size > 0 else None


def _published(repository: str) -> ModelFacts | None:
    from compiler.sizing.models import find_model  # reads the whole catalogue

    found = find_model(repository)
    if found is None:
        return None
    return ModelFacts(architecture=found.architecture, origin=f"`{repository}` in the catalogue")


def _quantized(known: ModelFacts, quantize: Quantize, name: str) -> ModelFacts:
    bits, group = _SHAPES[quantize.format]
    quantization = Quantization(
        method=quantize.format, bits=bits, group=quantize.group_size or group, double=quantize.format == "bitsandbytes"
    )
    architecture = replace(known.architecture, quantization=quantization, weight_bytes=None, name=name)
    return ModelFacts(architecture=architecture, origin=f"{known.origin}, quantized by model `{name}`")
