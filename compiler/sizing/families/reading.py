"""Which reader a model type has, and configurations that nest the language model under a key.

Called by `read_architecture`. Encoders of pictures and sound beside the language model go to `vision`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compiler.sizing.families.blocks import read_mamba, read_nemotron_h, read_nemotron_nas
from compiler.sizing.families.decoder import read_decoder
from compiler.sizing.families.encoders import ENCODERS, read_encoder
from compiler.sizing.families.facts import Facts
from compiler.sizing.families.gemma import read_gemma3n, read_gemma4
from compiler.sizing.families.mllama import read_mllama
from compiler.sizing.families.structure import Structure
from compiler.sizing.families.translators import BART_FAMILY, T5_FAMILY, read_bart, read_t5
from compiler.sizing.families.vision import read_vision
from compiler.sizing.json_values import Json

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
    "mllama_text_model": read_mllama,
    **dict.fromkeys(sorted(ENCODERS), read_encoder),
    **dict.fromkeys(sorted(T5_FAMILY), read_t5),
    **dict.fromkeys(sorted(BART_FAMILY), read_bart),
}
"""Readers of the model types that are no decoders of the usual shape."""

UNREAD = frozenset(
    (
        "albert",
        "arctic",
        "axk2",
        "big_bird",
        "biogpt",
        "blt",
        "canine",
        "cpmant",
        "ctrl",
        "deepseek_v4",
        "doge",
        "fsmt",
        "funnel",
        "fuyu",
        "got_ocr2",
        "gpt_neox_japanese",
        "grok-1",
        "hrm_text",
        "hy_v4",
        "inkling_text",
        "jais2",
        "jetmoe",
        "jina_embeddings_v3",
        "longcat_flash",
        "longformer",
        "megatron-bert",
        "nanochat",
        "openai-gpt",
        "openelm",
        "recurrent_gemma",
        "reformer",
        "rembert",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "rwkv",
        "rwkv7",
        "xglm",
        "xlm",
        "xlm-roberta-xl",
        "xlnet",
        "xlstm",
        "xmod",
        "zamba",
        "zamba2",
        "zaya",
    )
)
"""Model types of shapes that no reader knows: naming the family as missing is better than a plain decoder's figures."""

TEXT_KEYS = ("text_config", "llm_config", "language_config", "text_model_config", "thinker_config")
"""Keys under which configurations of several modalities keep the language model."""


def read_structure(facts: Facts, outer: Facts) -> Structure:
    """The structure of the whole model: `facts` of the language model, `outer` of the configuration around it."""
    if facts.model_type in UNREAD:
        facts.lack("model_type")
        return Structure()
    structure = READERS.get(facts.model_type, read_decoder)(facts)
    if _listens(outer):
        structure.multimodal = True
        found, unknown = read_vision(outer, structure.hidden_size)
        structure.vision.extend(found)
        if unknown is not None:
            structure.assumed.append(f"weights of the encoder `{unknown}` are left out")
    if outer.under("audio_config") is not None:
        structure.assumed.append("weights of the encoder of sound are left out")
    return structure


def _listens(outer: Facts) -> bool:
    """Whether the configuration has an encoder of pictures."""
    return outer.under("vision_config") is not None or outer.under("visual") is not None


def language_facts(config: Mapping[str, Json], missing: list[str]) -> Facts:
    """The level of the configuration that describes the language model."""
    level: Mapping[str, Json] = config
    model_type = _type(config)
    while (inner := _inner(level)) is not None:
        level = inner
        model_type = _type(inner) or TEXT_TYPES.get(model_type, model_type)
    if level is not config and "tie_word_embeddings" not in level and "tie_word_embeddings" in config:
        level = {**level, "tie_word_embeddings": config["tie_word_embeddings"]}
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
    "smolvlm": "llama",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "gemma4": "gemma4_text",
    "glm4v": "glm4v_text",
    "glm4v_moe": "glm4v_moe_text",
    "kimi_vl": "deepseek_v3",
    "kimi_k25": "deepseek_v3",
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
