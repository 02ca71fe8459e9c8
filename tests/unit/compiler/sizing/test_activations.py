"""The activation formula beside what PyTorch really keeps: saved tensors of small models, counted on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from compiler.sizing.activations import all_layers_bytes, checkpoint_bytes, largest_layer_bytes, score_bytes
from compiler.sizing.architecture import read_architecture
from compiler.sizing.training import EAGER

LLAMA: Mapping[str, Any] = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
WIDE = {**LLAMA, "intermediate_size": 2048, "num_key_value_heads": 8}
QWEN = {**LLAMA, "model_type": "qwen2"}


def test_the_formula_is_the_papers() -> None:
    """n (8h + 4Hd + 4Kd + 8I) bytes a layer, as `gpu-sizing` gives it for 16-bit elements."""
    model = read_architecture(LLAMA, name="tiny")

    assert all_layers_bytes(model) == 4 * (8 * 256 + 4 * 256 + 4 * 128 + 8 * 704)
    assert largest_layer_bytes(model) == all_layers_bytes(model) / 4
    assert checkpoint_bytes(model) == 4 * 2 * 256
    assert score_bytes(model, 100) == 5 * 8 * 100


def test_experts_count_where_they_work() -> None:
    """Mixtral keeps two experts' MLPs for each token, not eight, with copies of the tokens going in and out."""
    config = {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    dense, sparse = read_architecture(LLAMA, name="d"), read_architecture(config, name="s")

    assert all_layers_bytes(sparse) - all_layers_bytes(dense) == 4 * (8 * 704 + 2 * 4 * 256)


@pytest.mark.slow
@pytest.mark.parametrize("config", [LLAMA, WIDE, QWEN], ids=["llama", "wide", "qwen2"])
def test_pytorch_keeps_what_the_formula_says(config: Mapping[str, Any]) -> None:
    """In eager mode PyTorch keeps a little more than the formula; what is alive for a moment makes up 1.35."""
    tokens = 384
    kept = _saved_bytes(config, tokens)
    formula = tokens * all_layers_bytes(read_architecture(config, name="tiny"), element_bytes=4)

    assert 0.95 <= kept / formula <= EAGER


def _saved_bytes(config: Mapping[str, Any], tokens: int) -> int:
    """Bytes that autograd keeps of the decoder's layers, weights left out, each storage once."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    given = {key: value for key, value in config.items() if key != "model_type"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **given))
    decoder = model.model.train()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage  # kept alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        decoder(torch.zeros((1, tokens), dtype=torch.long), use_cache=False)
    return sum(storage.nbytes() for storage in storages.values())
