"""Train on running text: every token is predicted from the ones before it.

Called by `run_train` for `method: pretrain`. Texts are joined, each with an end token after it, in an order drawn from
the seed anew for every pass over them, and cut into full sequences: nothing is padded, nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from llmops_runtime.failures import TaskFailed
from llmops_runtime.train.curve import Curve
from llmops_runtime.train.schedule import learning_rate_share, optimizer_for
from llmops_spec.training import HyperParameters


def pretrain(
    model: PreTrainedModel, texts: Sequence[Sequence[int]], settings: HyperParameters, *, seed: int, curve: Curve
) -> None:
    """Train `model` in place.

    Raises:
        TaskFailed: the loss is no longer finite.
    """
    optimizer, schedule = optimizer_for(model, settings)
    batches = batches_of(texts, settings, seed)
    model.train()
    for step in range(settings.steps):
        tokens = next(batches).to(model.device)
        loss = model(input_ids=tokens, labels=tokens).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient_norm)
        optimizer.step()
        schedule.step()
        curve.add(step + 1, loss.item(), settings.learning_rate * learning_rate_share(step, settings))


def token_lists(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Each text's tokens, with the end token after them.

    Raises:
        TaskFailed: there is nothing to train on.
    """
    end = tokenizer.eos_token_id
    if not texts:
        raise TaskFailed("bad-data", "the text column is empty in every row: there is nothing to train on")
    if end is None:
        raise TaskFailed("bad-model", "the model's tokenizer has no end token, which separates training texts")
    encoded: Any = tokenizer(list(texts), add_special_tokens=False)
    return [[*tokens, end] for tokens in encoded["input_ids"]]


def batches_of(texts: Sequence[Sequence[int]], settings: HyperParameters, seed: int) -> Iterator[torch.Tensor]:
    """Batches of full sequences, without end."""
    wanted = settings.batch_size * settings.sequence_length
    generator = torch.Generator().manual_seed(seed)
    waiting: list[int] = []
    while True:
        for index in torch.randperm(len(texts), generator=generator).tolist():
            waiting.extend(texts[index])
            while len(waiting) >= wanted:
                yield torch.tensor(waiting[:wanted]).view(settings.batch_size, settings.sequence_length)
                del waiting[:wanted]
