"""A batch of requests that are decoded together, which rows join and leave between any two tokens.

Called by `llmops_runtime.engines.worker`, in its thread. Promises: a row's positions, its attention and so its logits
are its own: neighbours and padding change them by rounding alone.

Shapes: B rows, T tokens in the cache, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmops_runtime.engines.choices import ChoiceTree
from llmops_runtime.engines.sampling import Sampler
from llmops_runtime.engines.text import TextAssembler
from llmops_runtime.serving.replies import FinishReason


@dataclass(kw_only=True)
class Row:
    """One request while it is decoded."""

    prompt: Sequence[int]
    max_tokens: int
    sampler: Sampler
    assembler: TextAssembler
    choices: ChoiceTree | None
    end_tokens: frozenset[int]
    tokens: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    """Set when nothing more is to be decoded."""

    def take(self, logits_V: Any) -> str:  # noqa: N803
        """Choose the next token, and give the text that has become certain."""
        token = self.sampler.choose(logits_V, self.choices.allowed() if self.choices else None)
        if token in self.end_tokens:
            self.finish_reason = "stop"
            return self.assembler.finish()
        self.tokens.append(token)
        text = self.assembler.add(token)
        if self.choices:
            self.choices.advance(token)
        if self.assembler.stopped or (self.choices and self.choices.done):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self.max_tokens:
            self.finish_reason = "length"
        return text + self.assembler.finish() if self.finish_reason else text


class Batch:
    """Rows with their cached keys and values, padded on the left to one length."""

    def __init__(self, model: Any, pad_token: int) -> None:
        self._model = model
        self._pad_token = pad_token
        self.rows: list[Row] = []
        self._cache: Any = None
        self._mask_BT: Any = None  # 1 where a cached token belongs to its row, 0 where it is padding

    def admit(self, newcomers: Sequence[Row], deliver: Callable[[Row, str], None]) -> None:
        """Read the newcomers' prompts, choose their first tokens, and decode them with the others from then on."""
        import torch
        from transformers import DynamicCache

        longest = max(len(row.prompt) for row in newcomers)
        padding = [longest - len(row.prompt) for row in newcomers]
        ids_BT = torch.tensor(  # noqa: N806
            [[self._pad_token] * pad + list(row.prompt) for pad, row in zip(padding, newcomers, strict=True)]
        )
        mask_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding])  # noqa: N806
        fresh = Batch(self._model, self._pad_token)
        fresh.rows, fresh._cache, fresh._mask_BT = list(newcomers), DynamicCache(), mask_BT.to(self._model.device)
        positions_BT = (fresh._mask_BT.cumsum(-1) - 1).clamp(min=0)  # noqa: N806
        fresh._choose(fresh._forward(ids_BT.to(self._model.device), positions_BT), deliver)
        if fresh.rows:
            self._join(fresh)

    def step(self, deliver: Callable[[Row, str], None]) -> None:
        """One token for every row. Rows that are finished leave."""
        import torch

        ids_B1 = torch.tensor([[row.tokens[-1]] for row in self.rows], device=self._model.device)  # noqa: N806
        positions_B1 = self._mask_BT.sum(-1, keepdim=True)  # noqa: N806
        self._mask_BT = torch.cat([self._mask_BT, torch.ones_like(ids_B1)], dim=-1)
        self._choose(self._forward(ids_B1, positions_B1), deliver)

    def drop(self, unwanted: Callable[[Row], bool]) -> None:
        """Let rows go that nobody waits for any more."""
        self._keep([place for place, row in enumerate(self.rows) if not unwanted(row)])

    def _forward(self, ids_BT: Any, positions_BT: Any) -> Any:  # noqa: N803
        """Logits after the last token of each row."""
        output = self._model(
            input_ids=ids_BT,
            attention_mask=self._mask_BT,
            position_ids=positions_BT,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    def _choose(self, logits_BV: Any, deliver: Callable[[Row, str], None]) -> None:  # noqa: N803
        for row, logits_V in zip(self.rows, logits_BV, strict=True):  # noqa: N806
            deliver(row, row.take(logits_V))
        self._keep([place for place, row in enumerate(self.rows) if row.finish_reason is None])

    def _keep(self, places: list[int]) -> None:
        """Keep these rows, and no more columns than the longest of them needs."""
        import torch

        if len(places) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in places]
        if not self.rows:
            self._cache = self._mask_BT = None
            return
        index_B = torch.tensor(places, device=self._model.device)  # noqa: N806
        mask_BT = self._mask_BT[index_B]  # noqa: N806
        first = int(mask_BT.argmax(-1).min())
        self._mask_BT = mask_BT[:, first:]
        for layer in self._cache.layers:
            layer.keys = layer.keys[index_B, :, first:]
            layer.values = layer.values[index_B, :, first:]

    def _join(self, other: Batch) -> None:
        """Take over the rows of another batch, padding the shorter one on the left."""
        import torch

        if not self.rows:
            self.rows, self._cache, self._mask_BT = other.rows, other._cache, other._mask_BT
            return
        longest = max(self._mask_BT.shape[-1], other._mask_BT.shape[-1])
        self.rows += other.rows
        self._mask_BT = torch.cat([_padded(self._mask_BT, longest, -1), _padded(other._mask_BT, longest, -1)])
        for mine, theirs in zip(self._cache.layers, other._cache.layers, strict=True):
            mine.keys = torch.cat([_padded(one.keys, longest, -2) for one in (mine, theirs)])
            mine.values = torch.cat([_padded(one.values, longest, -2) for one in (mine, theirs)])


def _padded(tensor: Any, length: int, dimension: int) -> Any:
    """The tensor with zeros before its beginning along a dimension, counted from the end."""
    from torch.nn.functional import pad

    missing = length - tensor.shape[dimension]
    return pad(tensor, [0, 0] * (-dimension - 1) + [missing, 0]) if missing else tensor
