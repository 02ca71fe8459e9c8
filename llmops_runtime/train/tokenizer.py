"""A byte-level BPE tokenizer, trained on a dataset's texts.

Called by `starting_point`. Promises: every text can be encoded and comes back unchanged, and the same texts in the
same order make the same tokenizer. The markers that a chat template writes, `<|user|>` and the like, are single tokens
that a text in a message cannot be split into by accident of training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from transformers import PreTrainedTokenizerFast

from llmops_runtime.failures import TaskFailed

PADDING: Final = "<|pad|>"
END: Final = "<|end|>"
"""Ends every training text and, where the chat template says so, every answer."""
_CONVERSATIONS: Final = (("system", "user", "assistant"), ("user", "assistant"), ("user",))
_MARKER: Final = re.compile(r"<\|[\w-]{1,40}\|>")


def train_tokenizer(
    texts: Iterable[str], *, vocabulary_size: int, context_length: int, chat_template: str | None
) -> PreTrainedTokenizerFast:
    """Train on `texts`. The vocabulary is smaller than asked where the texts hold too few repeated pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    markers = markers_of(chat_template) if chat_template else []
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[PADDING, END, *markers],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        eos_token=END,
        additional_special_tokens=markers,
        padding_side="left",
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )


def markers_of(chat_template: str) -> list[str]:
    """The `<|…|>` markers that a chat template writes, in the order in which they first come.

    They are looked for in what it renders, since a template may put them together from a role's name.

    Raises:
        TaskFailed: the template cannot be rendered.
    """
    from jinja2 import TemplateError
    from tokenizers import Tokenizer, models

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), pad_token=PADDING, eos_token=END)
    bare.chat_template = chat_template
    written = [chat_template]
    failures: list[TemplateError] = []
    for roles in _CONVERSATIONS:
        messages = [{"role": role, "content": "text"} for role in roles]
        try:
            written.append(str(bare.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)))
        except TemplateError as error:  # some templates take no system message
            failures.append(error)
    if len(failures) == len(_CONVERSATIONS):
        raise TaskFailed("bad-model", f"the chat template cannot be rendered: {failures[0]}")
    found = dict.fromkeys(marker for text in written for marker in _MARKER.findall(text))
    return [one for one in found if one not in {PADDING, END}]
