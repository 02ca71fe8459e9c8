"""Sizes of model and training for the rows at hand.

Called by `resources`. The shape of the model and the learning rates are those of the quickstart, which were tried;
lengths come from the rows, and steps grow a little with their number. All of it is written into the YAML, to edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmops.starting.columns import Task
from llmops.starting.kept import Kept, byte_length, longest

SEQUENCE_LENGTH = 64
"""Tokens of a pretraining sequence."""
_BYTES_A_TOKEN = 3
"""Of text under a vocabulary so small; only to choose the batch."""
_HEADROOM = 4
"""Times the longest input of the rows: questions of real callers are longer than examples. Only the rail; what has too
many tokens for the prompt is refused by the gateway, with the number."""
_MARKS = 64
"""Tokens that the chat template puts around three messages; the compiler counts them exactly."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    input_tokens: int
    output_tokens: int
    input_characters: int
    context_length: int
    vocabulary_size: int
    pretrain_steps: int
    tune_steps: int
    tune_batch: int


def recipe(kept: Kept, task: Task, *, instruction: str, train_rows: int, corpus: Sequence[str]) -> Recipe:
    """Choose sizes. A byte-level token is a byte at least, so bytes bound what any text can need."""
    input_tokens = max(_up(longest(kept.rows, kept.input, byte_length), 8), 64)
    longest_target = longest(kept.rows, kept.target, byte_length)
    output_tokens = longest_target + 1 if task == "label" else _up(longest_target + 1, 8)
    corpus_bytes = sum(byte_length(text) for text in corpus)
    needed = byte_length(instruction) + _MARKS + input_tokens + output_tokens
    mean_bytes = sum(byte_length(str(row[kept.input])) for row in kept.rows) / len(kept.rows)
    mean_bytes += sum(byte_length(str(row[kept.target])) for row in kept.rows) / len(kept.rows)
    return Recipe(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_characters=max(_up(_HEADROOM * longest(kept.rows, kept.input, len), 100), 200),
        context_length=max(_up(needed, 32), 128),
        vocabulary_size=_between(320, 256 + corpus_bytes // 50, 2000),
        pretrain_steps=_between(150, 150 + corpus_bytes // 1900, 400),
        tune_steps=_between(150, 150 + train_rows // 46, 400),
        tune_batch=_batch(mean_bytes / _BYTES_A_TOKEN),
    )


def _batch(tokens: float) -> int:
    if tokens <= 128:  # the quickstart's rows have 60
        return 32
    return 16 if tokens <= 256 else 8


def _between(least: int, value: int, most: int) -> int:
    return min(max(_up(value, 10), least), most)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
