"""Writes evaluation records as `evaluate` does: a header, then a line per item, draw and metric."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from policies.gates.records import Record, planned_digest, read_record


@dataclass(frozen=True, kw_only=True)
class Written:
    """The lines of one record; scores are by item, then by draw, and None is an unscorable draw."""

    scores: Mapping[str, Sequence[float | None]]
    metric: str = "exact-match"
    clusters: Mapping[str, str] = field(default_factory=dict)
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        return [json.dumps(line) for line in (self.header_line(), *self.item_lines())]

    def record(self) -> Record:
        return read_record(self.lines())

    def header_line(self) -> dict[str, Any]:
        pairs = [(item, row_digest(item)) for item in self.scores]
        return {
            "formatVersion": 1,
            "evaluation": "support-eval",
            "plannedItems": {"count": len(pairs), "digest": planned_digest(pairs)},
            "draws": max((len(draws) for draws in self.scores.values()), default=1),
            "metrics": [{"name": self.metric, "version": "1", "parameters": {}}],
            "sampling": {"temperature": 0.0, "seed": 0},
            "subject": {"facts": {"model": "m"}, "digest": "0" * 64},
            **self.header,
        }

    def item_lines(self) -> list[dict[str, Any]]:
        return [
            {
                "item": item,
                "itemDigest": row_digest(item),
                **({"cluster": self.clusters[item]} if item in self.clusters else {}),
                "slices": list(self.slices.get(item, [])),
                "draw": draw,
                "seed": draw,
                "metric": self.metric,
                **({"status": "unscorable"} if score is None else {"status": "scored", "score": score}),
            }
            for item, draws in self.scores.items()
            for draw, score in enumerate(draws)
        ]


def row_digest(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()


@pytest.fixture(scope="session")
def written() -> type[Written]:
    return Written
