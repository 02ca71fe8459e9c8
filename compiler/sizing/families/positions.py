"""The longest context that a configuration declares. Called by `read_architecture`."""

from __future__ import annotations

from compiler.sizing.families.facts import Facts

_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_sequence_length",
    "max_seq_length",
    "max_target_positions",
)
_INCLUDED = ("su", "longrope", "llama3", "mrope", "default", "proportional")
"""Kinds of rope scaling whose factor `max_position_embeddings` already holds (vLLM 0.6 to 0.2x read it so)."""


def read_positions(facts: Facts) -> tuple[int | None, float]:
    """(the declared length, the factor that is not in it). YaRN starts from the original length, where it is given.

    Families write YaRN differently: where `max_position_embeddings` is already the product, the factor is 1.
    """
    found = [facts.length(key) for key in _KEYS if facts.given(key)] or [facts.length("max_position_embeddings")]
    declared = [length for length in found if length > 0]
    if not declared:
        return None, 1.0
    positions = min(declared)
    return positions, _factor(facts, positions)


def _factor(facts: Facts, positions: int) -> float:
    scaling = facts.under("rope_scaling") or facts.under("rope_parameters")
    if scaling is None:
        return 1.0
    rope = Facts(scaling, "", facts.missing)
    kind = rope.text("rope_type") or rope.text("type") or "default"
    factor = rope.share("factor", 1.0)
    if kind in _INCLUDED or factor <= 1 or facts.model_type.startswith("gemma3"):
        return 1.0
    original = rope.number("original_max_position_embeddings")
    if kind == "yarn" and original:
        return max(1.0, original * factor / positions)
    return factor
