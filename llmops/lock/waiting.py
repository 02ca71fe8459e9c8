"""How long to wait before the same is asked again, and when to stop asking.

Called by `llmops.lock.fetcher`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may mend."""
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how much."""

    tries: int = 5
    """One after the other, none of which brought what the pace asks for."""
    redirects: int = 5
    longest_wait_seconds: float = 120.0
    """A server that asks for a longer pause is given up."""
    unsized_bytes: int = 8 << 30
    """Longest file whose server does not say how long it is."""


def pause(tries: int, asked: str | None, patience: Patience) -> float | None:
    """Seconds until the next try: what the server asks for, else twice as long each time; None to give up."""
    if tries >= patience.tries:
        return None
    wanted = _retry_after(asked) if asked is not None else None
    if wanted is None:
        return min(_FIRST_SECONDS * 2 ** (tries - 1), _LONGEST_SECONDS)
    return wanted if wanted <= patience.longest_wait_seconds else None


def _retry_after(text: str) -> float | None:
    """Seconds from a `Retry-After` header: a number, or a date. None where it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
