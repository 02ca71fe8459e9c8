"""Rows as training examples: the prompt rendered as the service renders it, and a loss on the answer alone.

Called by `finetune`. Promises: an example is exactly what the engine will see, then the answer, cut at the sequence
length; the prompt's own tokens never count in the loss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from llmops_runtime.data.rows import NumberedRow
from llmops_runtime.failures import TaskFailed
from llmops_spec.payloads.training import RenderedPrompt
from llmops_spec.prompt_language import PromptError, render_messages

IGNORED: Final = -100
"""Label of a token that does not count, as torch has it."""
_GENERATION: Final = re.compile(r"\{%-?\s*generation\b")
_TOLD: Final = 3
"""How many lines a message names."""


@dataclass(frozen=True, kw_only=True)
class Example:
    input_ids: list[int]
    labels: list[int]


def examples_of(
    rows: Sequence[NumberedRow],
    prompt: RenderedPrompt,
    target_column: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    sequence_length: int,
) -> tuple[list[Example], int]:
    """Examples in the order of the rows, and how many of them were cut.

    Raises:
        TaskFailed: a row does not fit the prompt, the template cannot render it, or a prompt leaves no room.
    """
    if not tokenizer.chat_template:
        raise TaskFailed("bad-model", "the model has no chat template", "give the model a `chatTemplate`")
    prompts = [_messages(row, prompt) for row in rows]
    answers = [{"role": "assistant", "content": _target(row, target_column)} for row in rows]
    before = _rendered(tokenizer, prompts, add_generation_prompt=True)["input_ids"]
    marked = bool(_GENERATION.search(str(tokenizer.chat_template)))
    whole = _rendered(
        tokenizer,
        [[*messages, answer] for messages, answer in zip(prompts, answers, strict=True)],
        return_assistant_tokens_mask=marked,
    )
    masks = whole["assistant_masks"] if marked else [None] * len(rows)
    made = [
        _example(prompt_tokens, tokens, mask, sequence_length)
        for prompt_tokens, tokens, mask in zip(before, whole["input_ids"], masks, strict=True)
    ]
    _refuse_without_answer(rows, made, sequence_length)
    return made, sum(len(tokens) > sequence_length for tokens in whole["input_ids"])


def _messages(row: NumberedRow, prompt: RenderedPrompt) -> list[dict[str, str]]:
    try:
        values = {name: value for name in prompt.variables if (value := row.values.get(name)) is not None}
        return render_messages(prompt, values)
    except PromptError as error:
        raise TaskFailed("bad-data", f"line {row.line} of the rows does not fit the prompt: {error}") from error


def _target(row: NumberedRow, target_column: str) -> str:
    target = row.values.get(target_column)
    if target is None or target == "":
        raise TaskFailed("bad-data", f"line {row.line} of the rows: the target column `{target_column}` is empty")
    return str(target)


def _rendered(
    tokenizer: Any, conversations: list[list[dict[str, str]]], **options: bool
) -> Mapping[str, list[list[int]]]:
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(conversations, tokenize=True, return_dict=True, padding=False, **options)
    except TemplateError as error:
        raise TaskFailed("bad-model", f"the model's chat template cannot render the prompt: {error}") from error


def _example(prompt: list[int], tokens: list[int], mask: list[int] | None, sequence_length: int) -> Example:
    """Count in the loss what comes after the prompt and, where the template marks it, belongs to the answer."""
    start = _common_length(prompt, tokens)
    labels = [
        token if position >= start and (mask is None or mask[position]) else IGNORED
        for position, token in enumerate(tokens)
    ]
    return Example(input_ids=tokens[:sequence_length], labels=labels[:sequence_length])


def _common_length(prompt: list[int], tokens: list[int]) -> int:
    for position, (one, other) in enumerate(zip(prompt, tokens, strict=False)):
        if one != other:
            return position
    return min(len(prompt), len(tokens))


def _refuse_without_answer(rows: Sequence[NumberedRow], examples: Sequence[Example], sequence_length: int) -> None:
    silent = [
        row.line for row, one in zip(rows, examples, strict=True) if all(label == IGNORED for label in one.labels)
    ]
    if not silent:
        return
    lines = ", ".join(str(line) for line in silent[:_TOLD]) + (", …" if len(silent) > _TOLD else "")
    raise TaskFailed(
        "bad-data",
        f"the prompts of {len(silent)} rows (line {lines}) leave no room for an answer in {sequence_length} tokens",
        "raise `sequenceLength`, or shorten the prompt",
    )
