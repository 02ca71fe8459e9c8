"""Chooses the next token of each row from its logits.

Promises: at temperature 0 the highest logit; otherwise a draw that depends on the row's own logits and seed, never
on its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class Sampler:
    """The choice of one request's tokens, one after the other."""

    temperature: float
    top_p: float
    seed: int
    _generator: Any = None

    def choose(self, logits_V: Any, allowed: Sequence[int] | None) -> int:  # noqa: N803  # V: vocabulary
        """The next token. `allowed` narrows the choice."""
        import torch

        if allowed is not None:
            places = torch.tensor(allowed, device=logits_V.device)
            return allowed[self._place(logits_V[places])]
        return self._place(logits_V)

    def _place(self, logits_V: Any) -> int:  # noqa: N803
        if self.temperature == 0.0:
            return int(logits_V.argmax())
        return self._draw(logits_V)

    def _draw(self, logits_V: Any) -> int:  # noqa: N803
        import torch

        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed % 2**63)
        # On the CPU and in double precision, so that one seed means one draw on every device.
        chances_V = torch.softmax(logits_V.double().cpu() / self.temperature, dim=-1)  # noqa: N806
        if self.top_p < 1.0:
            chances_V = _nucleus(chances_V, self.top_p)  # noqa: N806
        return int(torch.multinomial(chances_V, 1, generator=self._generator))


def _nucleus(chances_V: Any, top_p: float) -> Any:  # noqa: N803
    """Keep the likeliest tokens that together reach `top_p`; at least one."""
    ordered_V, places_V = chances_V.sort(descending=True)  # noqa: N806
    ordered_V[(ordered_V.cumsum(-1) - ordered_V) >= top_p] = 0.0
    return ordered_V.new_zeros(ordered_V.shape).scatter(0, places_V, ordered_V)
