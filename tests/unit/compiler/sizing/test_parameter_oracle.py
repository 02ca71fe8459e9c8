"""Parameters counted from configurations against the model classes themselves, built without memory, part by part."""

import re
from collections import Counter
from math import prod

import pytest

from compiler.sizing.architecture import Architecture, read_architecture
from compiler.sizing.layers import Part
from compiler.sizing.parameters import parameters_by_part

DECODERS = [
    "arcee",
    "bamba",
    "bloom",
    "codegen",
    "cohere",
    "cohere2",
    "cwm",
    "deepseek_v3",
    "deepseek_v32",
    "exaone4",
    "ernie4_5",
    "exaone_moe",
    "falcon",
    "falcon_h1",
    "falcon_mamba",
    "flex_olmo",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gemma3n_text",
    "gemma4_text",
    "glm",
    "glm4",
    "glm4_moe",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "gpt2",
    "gpt_bigcode",
    "gpt_neo",
    "gpt_neox",
    "gpt_oss",
    "gptj",
    "granite",
    "granitemoe",
    "granitemoehybrid",
    "granitemoeshared",
    "helium",
    "hy_v3",
    "jamba",
    "kimi_linear",
    "lfm2",
    "llama",
    "llama4_text",
    "mamba",
    "mamba2",
    "minicpm3",
    "minimax",
    "minimax_m2",
    "ministral3",
    "mistral",
    "mixtral",
    "mpt",
    "nemotron_h",
    "olmo",
    "olmo2",
    "olmo3",
    "olmo_hybrid",
    "olmoe",
    "opt",
    "persimmon",
    "phi",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_5_moe_text",
    "qwen3_5_text",
    "qwen3_moe",
    "qwen3_next",
    "seed_oss",
    "smollm3",
    "solar_open",
    "stablelm",
    "starcoder2",
    "youtu",
]
ENCODERS = [
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "modernbert",
    "nomic_bert",
    "deberta-v2",
    "mpnet",
    "electra",
    "eurobert",
]
TRANSLATORS = ["t5", "bart", "whisper"]
SEEING = [
    "llava",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "gemma3",
    "paligemma",
    "mllama",
    "llama4",
    "qwen3_5",
    "qwen3_5_moe",
    "glm4v",
    "glm4v_moe",
]

LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block|decoder\.layers)\.(\d+)\.")


def built(model_type: str, factory: str) -> tuple[dict[str, object], dict[str, int]]:
    """(the configuration's keys, parameters by name) of the class with its defaults, on the meta device."""
    import torch
    import transformers
    from transformers import AutoConfig

    transformers.logging.set_verbosity_error()
    config = AutoConfig.for_model(model_type)
    with torch.device("meta"):
        model = getattr(transformers, factory).from_config(config)
    model.tie_weights()
    keys = config.to_dict()
    keys["architectures"] = [type(model).__name__]
    return keys, {name: prod(value.shape) for name, value in model.named_parameters()}


def of_layers(architecture: Architecture) -> list[int]:
    sums = [sum(matrix.parameters for matrix in layer.matrices) for layer in architecture.layers]
    return [sums[index] for index in architecture.pattern]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", DECODERS)
def test_decoders_part_by_part(model_type: str) -> None:
    keys, theirs = built(model_type, "AutoModelForCausalLM")
    ours = read_architecture(keys, name=model_type)
    assert ours.missing == ()
    assert ours.assumed == ()
    layers: Counter[int] = Counter()
    for name, count in theirs.items():
        found = LAYER.search(name)
        if found:
            layers[int(found[1])] += count
    assert of_layers(ours) == [layers[index] for index in range(len(layers))]
    experts = sum(count for name, count in theirs.items() if ".experts." in name)
    assert parameters_by_part(ours).get(Part.EXPERTS, 0) == experts
    assert ours.parameters == sum(theirs.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", [*ENCODERS, *TRANSLATORS])
def test_encoders_and_translators(model_type: str) -> None:
    keys, theirs = built(model_type, "AutoModel")
    ours = read_architecture(keys, name=model_type)
    assert ours.missing == ()
    assert ours.parameters == sum(theirs.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", SEEING)
def test_models_that_see(model_type: str) -> None:
    keys, theirs = built(model_type, "AutoModelForImageTextToText")
    ours = read_architecture(keys, name=model_type)
    language = ("language_model", "lm_head")
    assert sum(matrix.parameters for matrix in ours.vision) == sum(
        count for name, count in theirs.items() if not any(word in name for word in language)
    )
    assert ours.multimodal
    assert ours.parameters == sum(theirs.values())
