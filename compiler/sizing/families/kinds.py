"""Which layers of a hybrid model attend and which keep a state. Called by the decoder readers.

Families say it in many ways: a list of kinds, a period with an offset, indices, a string of letters.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.sizing.families.facts import Facts

_ATTENDS = frozenset(
    ("attention", "full_attention", "sliding_attention", "hybrid", "deepseek_sparse_attention", "chunked_attention")
)
_LETTERS: Mapping[str, str] = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def kind_list(facts: Facts) -> tuple[str, ...]:
    """The kinds of all layers where the configuration lists them; empty otherwise."""
    for key in ("layer_types", "layers_block_type", "hybrid_layer_types"):
        found = facts.words(key)
        if found:
            return found
    letters = facts.text("hybrid_override_pattern")
    return tuple(_LETTERS.get(letter, letter) for letter in letters) if letters else ()


def attends(facts: Facts, index: int) -> bool:
    """Whether layer `index` (from 0) has attention over keys and values."""
    kinds = kind_list(facts)
    if index < len(kinds):
        return kinds[index] in _ATTENDS
    linear = facts.under("linear_attn_config")
    if linear is not None:
        return index + 1 in Facts(linear, "", facts.missing).numbers("full_attn_layers")  # counted from 1
    for key in ("attn_layer_indices", "full_attn_idxs"):
        if facts.given(key) and facts.value(key) is not None:
            return index in facts.numbers(key)
    flags = facts.numbers("attn_type_list")
    if index < len(flags):
        return flags[index] == 1
    return _periodic(facts, index)


def _periodic(facts: Facts, index: int) -> bool:
    period = facts.number("attn_layer_period")
    if period:
        return index % period == facts.number("attn_layer_offset")
    interval = facts.number("full_attention_interval") or _INTERVALS.get(facts.model_type, 0)
    return (index + 1) % interval == 0 if interval else facts.model_type not in _NONE_BY_DEFAULT


_INTERVALS: Mapping[str, int] = {
    "qwen3_next": 4,
    "qwen3_5_text": 4,
    "qwen3_5_moe_text": 4,
    "olmo_hybrid": 4,
    "kimi_linear": 4,
}
_NONE_BY_DEFAULT = frozenset(("bamba", "granitemoehybrid"))
