"""Which reader a model type has, and configurations that nest the language model under a key.

Called by `read_architecture`. Encoders of pictures and sound beside the language model go to `vision`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compiler.sizing.families.blocks import read_mamba, read_nemotron_h, read_nemotron_nas
from compiler.sizing.families.decoder import read_decoder
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.gemma import read_gemma3n, read_gemma4
from compiler.sizing.families.structure import Structure
from llmops_spec.digests import Json

Reader = Callable[[Facts], Structure]

READERS: Mapping[str, Reader] = {
    "mamba": read_mamba,
    "mamba2": read_mamba,
    "falcon_mamba": read_mamba,
    "nemotron_h": read_nemotron_h,
    "nemotron-nas": read_nemotron_nas,
    "deci": read_nemotron_nas,
    "gemma3n_text": read_gemma3n,
    "gemma4_text": read_gemma4,
    "gemma4_unified_text": read_gemma4,
}
"""Readers of the model types that are no decoders of the usual shape."""

TEXT_KEYS = ("text_config", "llm_config", "language_config", "text_model_config", "thinker_config")
"""Keys under which configurations of several modalities keep the language model."""


def read_structure(facts: Facts, outer: Facts) -> Structure:
    """The structure of the whole model: `facts` of the language model, `outer` of the configuration around it."""
    structure = READERS.get(facts.model_type, read_decoder)(facts)
    if outer.config is not facts.config or facts.under("vision_config") is not None:
        structure.multimodal = True
    return structure


def language_facts(config: Mapping[str, Json], missing: list[str]) -> Facts:
    """The level of the configuration that describes the language model."""
    level: Mapping[str, Json] = config
    model_type = _type(config)
    while (inner := _inner(level)) is not None:
        level = inner
        model_type = _type(inner) or TEXT_TYPES.get(model_type, model_type)
    return Facts(level, model_type, missing)


TEXT_TYPES: Mapping[str, str] = {
    "mllama": "mllama_text_model",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "llama4": "llama4_text",
    "llava": "llama",
    "llava_next": "llama",
    "paligemma": "gemma",
    "pixtral": "mistral",
    "mistral3": "mistral",
    "idefics2": "mistral",
    "idefics3": "llama",
}
"""What an inner configuration without its own `model_type` is (the default of the outer class)."""


def _inner(config: Mapping[str, Json]) -> Mapping[str, Json] | None:
    for key in TEXT_KEYS:
        found = config.get(key)
        if isinstance(found, Mapping):
            return found
    return None


def _type(config: Mapping[str, Json]) -> str:
    found = config.get("model_type")
    return found if isinstance(found, str) else ""
