"""Figures about a dataset for the report: sizes, overlaps, and what a bag of words makes of it.

Called by `check-data` when the contract holds. Promises: the same rows give the same profile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from llmops_runtime.data.contract import TRAIN, Splits, duplicates, leakage, personal_data, shared_clusters
from llmops_runtime.data.rows import NumberedRow, Row
from llmops_spec.payloads.data import BagOfWords, CheckDataPayload, DataProfile, SplitProfile

MOST_CLASSES: Final = 500
_MOST_RIDGE_CELLS: Final = 40_000_000
"""Words of all rows times classes up to which ridge regression takes a few seconds; above it, naive Bayes."""
_MOST_WORDS: Final = 50_000
_WORD: Final = re.compile(r"\b\w\w+\b")


def profile(payload: CheckDataPayload, splits: Splits) -> DataProfile:
    reason = why_no_bag_of_words(payload, splits)
    return DataProfile(
        splits={name: _split_profile(name, payload, splits) for name in splits},
        bag_of_words=None if reason else bag_of_words(payload, splits),
        bag_of_words_reason=reason,
        personal_data=list(personal_data(payload, splits)),
    )


def _split_profile(name: str, payload: CheckDataPayload, splits: Splits) -> SplitProfile:
    rows, cluster, target = splits[name], payload.cluster_column, payload.target_column
    repeats = duplicates(rows, payload.item_column)
    leaked = leakage(name, splits, payload.input_columns)
    return SplitProfile(
        rows=len(rows),
        clusters=len({row.values.get(cluster) for row in rows}) if cluster else None,
        distinct_targets=len(set(_targets(rows, target))) if target else None,
        duplicate_rows=repeats.count if repeats else 0,
        leaked_rows=leaked.count if leaked else 0,
        shared_clusters=shared_clusters(splits, cluster)[name] if cluster else 0,
        longest_input_characters=max((len(_input_text(row.values, payload.input_columns)) for row in rows), default=0),
        longest_target_characters=max((len(text) for text in _targets(rows, target)), default=0) if target else 0,
    )


def why_no_bag_of_words(payload: CheckDataPayload, splits: Splits) -> str:
    """Why there is no such figure, in a sentence; empty where there is one."""
    if TRAIN not in splits:
        return f"no split is called `{TRAIN}`"
    if len(splits) == 1:
        return f"there is no split beside `{TRAIN}`"
    if not payload.input_columns or payload.target_column is None:
        return "the dataset declares no `inputColumns`, or no `targetColumn`"
    classes = len(set(_targets(splits[TRAIN], payload.target_column)))
    if not 2 <= classes <= MOST_CLASSES:
        return f"the training rows have {classes} different targets; a classifier is tried for 2 to {MOST_CLASSES}"
    if not any(_WORD.search(_input_text(row.values, payload.input_columns)) for row in splits[TRAIN]):
        return "the inputs hold no words"
    return ""


def bag_of_words(payload: CheckDataPayload, splits: Splits) -> BagOfWords:
    """Train a linear classifier over word counts on the train split, and try it on the others."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.naive_bayes import ComplementNB

    columns, target = payload.input_columns, payload.target_column
    wanted = _targets(splits[TRAIN], target)
    words = TfidfVectorizer(sublinear_tf=True, max_features=_MOST_WORDS)
    features = words.fit_transform(_input_text(row.values, columns) for row in splits[TRAIN])
    classes = Counter(wanted)
    small = features.nnz * len(classes) <= _MOST_RIDGE_CELLS
    model = RidgeClassifier(solver="sparse_cg") if small else ComplementNB()
    model.fit(features, wanted)
    commonest = min(classes, key=lambda text: (-classes[text], text))
    others = {name: rows for name, rows in splits.items() if name != TRAIN}
    return BagOfWords(
        accuracy={
            name: _share(
                list(model.predict(words.transform(_input_text(row.values, columns) for row in rows))), rows, target
            )
            for name, rows in others.items()
        },
        majority={name: _share([commonest] * len(rows), rows, target) for name, rows in others.items()},
        classes=len(classes),
    )


def _share(answers: Iterable[object], rows: Sequence[NumberedRow], target: str | None) -> float:
    """Share of rows whose target is the answer."""
    right = sum(str(answer) == wanted for answer, wanted in zip(answers, _targets(rows, target), strict=True))
    return round(right / len(rows), 6)


def _targets(rows: Sequence[NumberedRow], target: str | None) -> list[str]:
    return [str(row.values.get(target or "", "")) for row in rows]


def _input_text(row: Row, columns: Sequence[str]) -> str:
    return "\n".join(str(row.get(column, "")) for column in columns)
