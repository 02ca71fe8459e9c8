"""Decide whether a baseline's record may be compared with the candidate's.

Called by `verdicts`. What must agree: item ids and row digests, metric with version and parameters, judge,
sampling, draws. What was measured (model, prompt, guardrails, engine) is the treatment and may differ.
"""

from __future__ import annotations

from policies.gates.records import Record

_HEADER_KEY = {
    "plannedItems": "the items or their rows",
    "judge": "the judge or its rubric",
    "sampling": "the sampling parameters",
    "draws": "the number of draws",
}


def differences(candidate: Record, baseline: Record, metric: str) -> list[str]:
    """Return what forbids the comparison, in words; nothing where it is allowed."""
    ours = candidate.header.model_dump(mode="json", by_alias=True)
    theirs = baseline.header.model_dump(mode="json", by_alias=True)
    found = [words for key, words in _HEADER_KEY.items() if ours.get(key) != theirs.get(key)]
    if _metric(candidate, metric) != _metric(baseline, metric):
        found.append(f"the version or parameters of `{metric}`")
    shared = [(candidate.items[item], baseline.items[item]) for item in candidate.items if item in baseline.items]
    if any(mine.digest != other.digest for mine, other in shared) and _HEADER_KEY["plannedItems"] not in found:
        found.append(_HEADER_KEY["plannedItems"])  # a baseline that lacks lines cannot prove its stated digest
    return found


def _metric(record: Record, name: str) -> object:
    return next((metric for metric in record.header.metrics if metric.name == name), None)
