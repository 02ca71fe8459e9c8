"""What is known of a model's architecture at compile time, and where it is known from.

Shared by the checks that do arithmetic with a model: capacity, parallelism, numerics, adapters, retrieval. Facts come
from what the project holds: the fields of random weights, the `config.json` of a folder, the lock, and the catalogue
of published architectures. A check that lacks facts says which, and how to get them; it never guesses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from compiler.checks.models import MAX_CONFIGURATION_BYTES
from compiler.graph import ResourceGraph
from compiler.lineage import lineage
from compiler.lockfile import LOCK_FILE
from compiler.ports import Reader
from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.layers import Quantization
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

    None where there is nothing to say: the model or a model that it is made from is missing, poisoned, or hosted.
    """
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
        name = model.metadata.name
        architecture = read_architecture(locked.config, name=name, weight_bytes=locked.weight_bytes)
        return ModelFacts(architecture=architecture, origin=f"`{LOCK_FILE}`")
    return _published(source.hugging_face.repository) if source.hugging_face is not None else None


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
    config = _json(files, path)
    if config is None:
        return MissingFacts(fact="its architecture", remedy=f"`{path}` is not a JSON object: write the folder anew")
    index = _json(files, f"{folder}/model.safetensors.index.json")
    architecture = read_architecture(config, name=name, weight_bytes=_total_size(index))
    return ModelFacts(architecture=architecture, origin=f"`{path}`")


def _json(files: Reader, path: str) -> Mapping[str, Json] | None:
    try:
        value: object = json.loads(files.read(path))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("Mapping[str, Json]", value) if isinstance(value, dict) else None


def _total_size(index: Mapping[str, Json] | None) -> int | None:
    metadata = index.get("metadata") if index is not None else None
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    return size if isinstance(size, int) and size > 0 else None


def _published(repository: str) -> ModelFacts | MissingFacts:
    from compiler.sizing.models import find_model  # reads the whole catalogue

    found = find_model(repository)
    if found is None:
        return MissingFacts(fact="its architecture", remedy="run `llmops lock`, which reads its `config.json`")
    return ModelFacts(architecture=found.architecture, origin=f"`{repository}` in the catalogue")


def _quantized(known: ModelFacts, quantize: Quantize, name: str) -> ModelFacts:
    bits, group = _SHAPES[quantize.format]
    quantization = Quantization(
        method=quantize.format, bits=bits, group=quantize.group_size or group, double=quantize.format == "bitsandbytes"
    )
    architecture = replace(known.architecture, quantization=quantization, weight_bytes=None, name=name)
    return ModelFacts(architecture=architecture, origin=f"{known.origin}, quantized by model `{name}`")
