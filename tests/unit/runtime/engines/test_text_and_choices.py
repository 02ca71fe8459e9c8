"""Incremental text, stop strings and the tree of choices: no model needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_runtime.engines.choices import ChoiceTree
from llmops_runtime.engines.text import TextAssembler


def decode(tokens) -> str:
    """Tokens are bytes: any character beyond ASCII takes several."""
    return bytes(tokens).decode(errors="replace")


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=3), max_size=3), st.booleans())
def test_pieces_are_the_text_up_to_a_stop_string(text, stops, at_once) -> None:
    assembler = TextAssembler(decode, stops, at_once=at_once)
    pieces = []
    for token in text.encode():
        pieces.append(assembler.add(token))
        if assembler.stopped:
            break
    pieces.append(assembler.finish())
    found = [(text.find(stop), stop) for stop in stops if stop in text]
    got = "".join(pieces)
    if not found:
        assert got == text
    else:  # of overlapping stop strings, the one that is complete first counts
        complete = min(place + len(stop) for place, stop in found)
        assert got == text[: min(place for place, stop in found if place + len(stop) <= complete)]
    assert "\N{REPLACEMENT CHARACTER}" not in got or "\N{REPLACEMENT CHARACTER}" in text


def test_no_piece_splits_a_character() -> None:
    assembler = TextAssembler(decode)
    pieces = [assembler.add(token) for token in "a🙂b".encode()]
    assert pieces == ["a", "", "", "", "🙂", "b"]


def test_the_beginning_of_a_stop_string_is_held_back() -> None:
    assembler = TextAssembler(decode, ["STOP"])
    assert [assembler.add(token) for token in b"xSTy"] == ["x", "", "", "STy"]
    assert [assembler.add(token) for token in b"STO"] == ["", "", ""]
    assert assembler.finish() == "STO"


def walk(tree: ChoiceTree, prefer) -> list[int]:
    taken = []
    while not tree.done:
        token = prefer(tree.allowed())
        if token == 0:
            return taken
        tree.advance(token)
        taken.append(token)
    return taken


TEXTS = [[1, 2], [1, 2, 3], [1, 4], [5]]


def test_every_way_through_the_tree_is_one_of_the_texts() -> None:
    assert walk(ChoiceTree(TEXTS, frozenset({0})), max) == [5]
    assert walk(ChoiceTree(TEXTS, frozenset({0})), min) == [1, 2]
    assert ChoiceTree(TEXTS, frozenset({0})).longest == 3


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=6), st.randoms())
def test_any_way_through_any_tree(texts, random) -> None:
    assert walk(ChoiceTree(texts, frozenset({0})), random.choice) in texts


@pytest.mark.parametrize("wanted", TEXTS)
def test_every_text_can_be_reached(wanted) -> None:
    tree = ChoiceTree(TEXTS, frozenset({0}))
    for token in wanted:
        assert token in tree.allowed()
        tree.advance(token)
    assert tree.done or 0 in tree.allowed()
