"""One level of a `config.json`, read by name: aliases, a family's documented defaults, and what was missing.

Called by the family readers alone. An absent key takes the default of the family's configuration class, for that is
what the checkpoint means by leaving it out; a key without either is noted in `missing` and read as 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import isnan
from typing import cast

from compiler.sizing.json_values import Json

ALIASES: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed", "d_model", "dim", "model_dim", "embed_dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers", "num_decoder_layers", "decoder_layers", "layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads"),
    "num_key_value_heads": (
        "num_kv_heads",
        "n_head_kv",
        "n_kv_heads",
        "multi_query_group_num",
        "num_query_groups",
        "kv_n_heads",
    ),
    "head_dim": ("attention_head_dim", "kv_channels", "head_size"),
    "intermediate_size": (
        "ffn_hidden_size",
        "ff_intermediate_size",
        "n_inner",
        "d_ff",
        "ffn_dim",
        "decoder_ffn_dim",
        "hidden_dim",
    ),
    "vocab_size": ("padded_vocab_size", "n_vocab", "vocabulary_size"),
    "max_position_embeddings": ("n_positions", "max_seq_len", "seq_length", "max_sequence_length", "n_ctx"),
    "num_experts": ("n_routed_experts", "num_local_experts", "moe_num_experts", "num_moe_experts"),
    "num_experts_per_tok": (
        "num_experts_per_token",
        "moe_topk",
        "moe_top_k",
        "moe_k",
        "top_k_experts",
        "num_selected_experts",
    ),
    "moe_intermediate_size": ("expert_ffn_hidden_size", "moe_ffn_hidden_size"),
    "n_shared_experts": ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
}
"""Other names of the same fact, in the order in which they are tried. Keys of well-known families and their
configuration classes (transformers 5.17, `attribute_map`, and configurations published with their own code)."""


MOST = 10**9
"""The largest size of anything that a configuration counts: features, words, positions, parameters of a group."""

MOST_LAYERS = 4096
"""Readers walk over the layers; a configuration must not make them walk forever."""

_MOST_OF: Mapping[str, int] = {
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "num_experts", "num_experts_per_tok"), 10**5),
    "altup_num_inputs": 64,
}
"""Tighter bounds of what engines and readers go through one by one."""

SHARES = (1e-4, 1e4)
"""Between these lie all factors, ratios and widths in bits, other than 0."""


class Facts:
    """A mapping of configuration keys with the defaults of one model type behind it."""

    def __init__(self, config: Mapping[str, Json], model_type: str, missing: list[str] | None = None) -> None:
        """`missing` is shared between the levels of one configuration."""
        self.config = _flat(config)
        self.model_type = model_type
        self.missing: list[str] = [] if missing is None else missing
        self._defaults = defaults_of(model_type)

    def value(self, key: str) -> Json:
        """The value of a key or of its first alias that is present, the family's default, or None."""
        for name in (key, *ALIASES.get(key, ())):
            if name in self.config:
                found = self.config[name]
                if found is not None or name == key:
                    return found
        for name in (key, *ALIASES.get(key, ())):
            if name in self._defaults:
                return self._defaults[name]
        return None

    def given(self, key: str) -> bool:
        """Whether the configuration itself has the key, with whatever value."""
        return key in self.config

    def number(self, key: str, default: int = 0) -> int:
        """A whole number from 0 on, or the default where the key is absent, null or something else.

        More than anything has is no fact, and noted as missing.
        """
        found = _number(self.value(key))
        if found is None or found < 0:
            return default
        if found > _MOST_OF.get(key, MOST):
            self.lack(key)
            return default
        return int(found)

    def length(self, key: str) -> int:
        """Tokens of a context; 0 where the key is absent or says `no limit` by a number beyond all lengths."""
        found = _number(self.value(key))
        return int(found) if found is not None and 0 < found <= MOST else 0

    def needed(self, key: str) -> int:
        """A whole number above 0; absent, it is noted as missing and read as 0."""
        found = self.number(key)
        if found <= 0:
            self.lack(key)
            return 0
        return found

    def layers(self, key: str = "num_hidden_layers", default: int = 0) -> int:
        """A number of layers; more than any model has is no fact, and noted as missing."""
        found = self.number(key) or default or self.needed(key)
        if found > MOST_LAYERS:
            self.lack(key)
            return 0
        return found

    def share(self, key: str, default: float = 0.0) -> float:
        """A number from 0 on that need not be whole; beyond `SHARES` it is no fact, and noted as missing."""
        found = _number(self.value(key))
        if found is None or found < 0:
            return default
        if found and not SHARES[0] <= found <= SHARES[1]:
            self.lack(key)
            return default
        return float(found)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A truth value."""
        found = self.value(key)
        return found if isinstance(found, bool) else default

    def text(self, key: str) -> str | None:
        """A string."""
        found = self.value(key)
        return found if isinstance(found, str) else None

    def words(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty where the key is absent."""
        return tuple(item for item in self._list(key) if isinstance(item, str))

    def numbers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers from 0 on; empty where the key is absent. One beyond `MOST` is noted as missing."""
        found = (int(item) if isinstance(item, bool) else _number(item) for item in self._list(key))
        whole = tuple(int(max(0, min(item, MOST + 1))) for item in found if item is not None)
        if any(item > MOST for item in whole):
            self.lack(key)
            return ()
        return whole

    def under(self, key: str) -> Mapping[str, Json] | None:
        """A nested mapping."""
        found = self.value(key)
        return found if isinstance(found, Mapping) else None

    def lack(self, key: str) -> None:
        """Note a fact that was needed and not given, once."""
        if key not in self.missing:
            self.missing.append(key)

    def _list(self, key: str) -> Sequence[Json]:
        found = self.value(key)
        return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def _number(value: Json) -> int | float | None:
    """A number; configurations hold truth values and NaN where numbers belong. Infinities are beyond every bound."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if isinstance(value, float) and isnan(value) else value


def _flat(config: Mapping[str, Json]) -> Mapping[str, Json]:
    """MPT and DBRX keep attention and MLP under keys of their own."""
    inner = [found for key in ("attn_config", "ffn_config") if isinstance(found := config.get(key), Mapping)]
    return {key: value for level in (*inner, config) for key, value in level.items()} if inner else config


def defaults_of(model_type: str) -> Mapping[str, Json]:
    """What the configuration class of a model type means by absent keys; empty for unknown types."""
    return _defaults().get(model_type, {})


@cache
def _defaults() -> Mapping[str, Mapping[str, Json]]:
    text = files("compiler.sizing.families").joinpath("defaults.json").read_text("utf-8")
    return cast(Mapping[str, Mapping[str, Json]], json.loads(text))
