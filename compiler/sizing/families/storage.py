"""How a checkpoint stores its weights: the dtype and the `quantization_config`. Called by `read_architecture`."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.sizing.families.facts import Facts
from compiler.sizing.layers import Quantization


def read_dtype(facts: Facts) -> str | None:
    """`bfloat16`, `float16` or `float32`, as the configuration declares it."""
    for key in ("torch_dtype", "dtype"):
        text = facts.text(key)
        if text:
            return text.removeprefix("torch.")
    return None


def read_quantization(facts: Facts) -> Quantization | None:
    """The `quantization_config` (or the older `compression_config`); None for plain checkpoints."""
    for key in ("quantization_config", "compression_config"):
        found = facts.under(key)
        if found is not None:
            return _quantization(Facts(found, "", facts.missing))
    return None


def _quantization(facts: Facts) -> Quantization:
    method = (facts.text("quant_method") or facts.text("quant_algo") or "").casefold()
    if not method and (facts.flag("load_in_4bit") or facts.flag("load_in_8bit")):
        method = "bitsandbytes"
    weights = _weights(facts)
    return Quantization(
        method=method,
        bits=_bits(facts, weights),
        group=_group(facts, weights),
        block=_block(facts, weights),
        symmetric=_symmetric(facts, weights),
        double=facts.flag("bnb_4bit_use_double_quant"),
        format=facts.text("format") or facts.text("quant_algo") or facts.text("fmt"),
        ordered=facts.flag("desc_act"),
        head=facts.flag("lm_head"),
        kept=_kept(facts),
    )


def _weights(facts: Facts) -> Facts:
    """The weights' part of the first group of compressed-tensors; empty for other methods."""
    groups = facts.under("config_groups")
    for group in (groups or {}).values():
        inner = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(inner, Mapping):
            return Facts(inner, "", facts.missing)
    return Facts({}, "")


def _bits(facts: Facts, weights: Facts) -> float | None:
    if facts.flag("load_in_8bit"):
        return 8
    if facts.flag("load_in_4bit"):
        return 4
    found = weights.share("num_bits") or facts.share("bits") or facts.share("w_bit") or facts.share("wbits")
    return found or None


def _group(facts: Facts, weights: Facts) -> int | None:
    found = weights.number("group_size") or facts.number("group_size") or facts.number("q_group_size")
    return found if found > 0 else None


def _block(facts: Facts, weights: Facts) -> tuple[int, int] | None:
    shape = facts.numbers("weight_block_size") or weights.numbers("block_structure")
    return (shape[0], shape[1]) if len(shape) == 2 and all(side > 0 for side in shape) else None


def _symmetric(facts: Facts, weights: Facts) -> bool:
    if weights.given("symmetric"):
        return weights.flag("symmetric", default=True)
    if facts.given("zero_point"):
        return not facts.flag("zero_point", default=True)
    return facts.flag("sym", default=True)


def _kept(facts: Facts) -> tuple[str, ...]:
    found: list[str] = []
    for key in ("ignore", "modules_to_not_convert", "llm_int8_skip_modules", "exclude_modules", "ignored_layers"):
        found.extend(facts.words(key))
    return tuple(dict.fromkeys(found))
