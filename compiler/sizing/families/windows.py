"""Which attention layers see a window only. Called by the decoder readers."""

from __future__ import annotations

from compiler.sizing.families.facts import Facts
from compiler.sizing.families.rules import Rules

_SLIDING = ("sliding_attention", "sliding", "local", "local_attention")


def window_of(facts: Facts, rules: Rules, index: int) -> int | None:
    """Tokens that layer `index` sees; None for all. A `layer_types` in the configuration outranks the family's rule."""
    types = facts.words("layer_types")
    if index < len(types):
        if types[index] == "chunked_attention":
            return facts.number("attention_chunk_size") or None
        if types[index] not in _SLIDING:
            return None
        return facts.number("sliding_window") or None
    if rules.windows == "chunks":
        return _chunk(facts, index)
    window = facts.number("sliding_window")
    if not window:
        return None
    return window if _slides(facts, rules, index) else None


def _chunk(facts: Facts, index: int) -> int | None:
    """Llama 4: layers with rotary positions see a chunk; `no_rope_layers` has 1 for these, 0 for those without."""
    rotary = facts.numbers("no_rope_layers")
    interval = facts.number("no_rope_layer_interval") or 4
    local = rotary[index] == 1 if index < len(rotary) else (index + 1) % interval != 0
    return (facts.number("attention_chunk_size") or None) if local else None


def _slides(facts: Facts, rules: Rules, index: int) -> bool:
    match rules.windows:
        case "all":
            return True
        case "alternate":
            return index % 2 == 0
        case "every":
            period = facts.number("sliding_window_pattern") or facts.number("_sliding_window_pattern") or rules.period
            return (index + 1) % period != 0
        case "qwen":
            return facts.flag("use_sliding_window") and index >= facts.number("max_window_layers")
        case "none" | "types" | "chunks":
            return False
