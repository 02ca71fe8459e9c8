"""Model configurations of the cast, as their publishers write them; the numbers alone matter.

Used by `project`, whose model folders hold them beside empty weights.
"""

from __future__ import annotations

import json

EIGHT_BILLION = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
EMBEDDER = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "torch_dtype": "float32",
}
RERANKER = {**EMBEDDER, "architectures": ["BertForSequenceClassification"]}


def model_folder(path: str, configuration: dict[str, object]) -> dict[str, bytes]:
    """A folder whose weights are empty: nothing at compile time reads them."""
    files = {"config.json": configuration, "tokenizer.json": {}, "tokenizer_config.json": {}}
    return {
        f"{path}/model.safetensors": b"",
        **{f"{path}/{name}": json.dumps(value).encode() for name, value in files.items()},
    }
