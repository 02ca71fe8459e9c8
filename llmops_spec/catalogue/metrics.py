"""The metrics: kind, range and direction of each."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    name: str
    version: str
    """Raised when scores stop being comparable."""
    kind: Literal["binary", "bounded", "unbounded"]
    low: float
    high: float | None
    """Upper end of the range; None where there is none."""
    higher_is_better: bool
    summary: str


METRICS: Final = MappingProxyType(
    {
        facts.name: facts
        for facts in (
            MetricFacts(
                name="exact-match",
                version="1",
                kind="binary",
                low=0.0,
                high=1.0,
                higher_is_better=True,
                summary="1 where the answer equals the reference after trimming white space, else 0",
            ),
            MetricFacts(
                name="label-accuracy",
                version="1",
                kind="binary",
                low=0.0,
                high=1.0,
                higher_is_better=True,
                summary="1 where the answer is the reference label; unscorable where it is no label at all",
            ),
            MetricFacts(
                name="rouge-l",
                version="1",
                kind="bounded",
                low=0.0,
                high=1.0,
                higher_is_better=True,
                summary="F1 of the longest common subsequence of words, by rouge-score with stemming off",
            ),
            MetricFacts(
                name="latency-seconds",
                version="1",
                kind="unbounded",
                low=0.0,
                high=None,
                higher_is_better=False,
                summary="seconds from sending a request to its last byte",
            ),
        )
    }
)
