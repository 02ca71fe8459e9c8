"""Near misses."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics.suggestions import MAX_SUGGESTIONS, did_you_mean, nearest

NAMES = st.text("abcXY-_", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("wrong", "known", "meant"),
    [
        ("modle", ["model", "prompt"], "model"),  # two neighbours swapped
        ("datset", ["dataset", "split"], "dataset"),  # a letter left out
        ("max_tokens", ["maxTokens", "minTokens"], "maxTokens"),  # another way to join words
        ("LearningRate", ["learningRate"], "learningRate"),  # capitals
        ("tokens-max", ["maxTokens"], "maxTokens"),  # words in another order
        ("heads", ["keyValueHeads"], "keyValueHeads"),  # the end of a longer name
        ("support-chats", ["support-chat", "support"], "support-chat"),
    ],
)
def test_what_was_meant_comes_first(wrong: str, known: list[str], meant: str) -> None:
    assert nearest(wrong, known)[0] == meant


@pytest.mark.parametrize("wrong", ["q", "zzzzzzzz", "", "-"])
def test_what_is_far_away_is_not_suggested(wrong: str) -> None:
    assert nearest(wrong, ["question", "answer"]) == []


def test_the_sentence_names_the_nearest_or_else_the_choice() -> None:
    assert did_you_mean("modle", ["model", "prompt"]) == "did you mean `model`?"
    assert did_you_mean("bas", ["base", "bass"]) == "did you mean `base` or `bass`?"
    assert did_you_mean("zzzz", ["b", "a"]) == "known are `a`, `b`"
    assert did_you_mean("zzzz", []) == ""


@given(wrong=NAMES, known=st.lists(NAMES, max_size=8))
def test_suggestions_are_few_known_and_in_one_order(wrong: str, known: list[str]) -> None:
    found = nearest(wrong, known)
    assert len(found) <= MAX_SUGGESTIONS
    assert set(found) <= set(known)
    assert found == nearest(wrong, reversed(known))
    if wrong in known and wrong.strip("-_"):
        assert (
            wrong.replace("_", "-").casefold() in {one.replace("_", "-").casefold() for one in found} or len(found) == 3
        )


def test_long_names_and_many_of_them_take_no_time() -> None:
    started = time.perf_counter()
    nearest("x" * 100_000, [f"{'y' * 200}{number}" for number in range(500)])
    assert time.perf_counter() - started < 5  # minutes, were the whole names compared
