"""What a million tokens cost on rented GPUs. Called by `llmops size`.

Without a duty cycle there is no price: a service that waits costs as much as one that works, and only its owner knows
how much it waits.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """US dollars for a million output tokens, between the rate's ends."""

    low_usd: float
    high_usd: float


def cost_per_million(*, usd_per_hour: float, gpus: int, tokens_low: float, tokens_high: float, duty: float) -> Cost:
    """`price / h x GPUs x 1e6 / (3600 x tokens / s x duty)`, at both ends of an interval of tokens per second.

    `usd_per_hour` is of one GPU; `duty` is the share of the time, in (0, 1], that the service works at that rate.
    """
    assert 0 < duty <= 1, duty
    assert 0 < tokens_low <= tokens_high, (tokens_low, tokens_high)
    hourly = usd_per_hour * gpus * 1e6 / (3600 * duty)
    return Cost(low_usd=hourly / tokens_high, high_usd=hourly / tokens_low)
