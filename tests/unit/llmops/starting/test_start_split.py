"""Groups stay whole, no input is on both sides, every label can be learned, and is measured where that is possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.starting.kept import Kept, KeptColumn
from llmops.starting.split import split


def kept(rows: list[tuple[str, str, str]]) -> Kept:
    """Rows of group, text and label."""
    return Kept(
        rows=[{"group": group, "text": text, "label": label} for group, text, label in rows],
        columns={name: KeptColumn() for name in ("group", "text", "label")},
        input="text",
        target="label",
        item=None,
        cluster="group",
        names={},
        left_out={},
        conflicting=0,
        notes=[],
    )


some_rows = st.lists(
    st.tuples(st.sampled_from("ABCDEFGHIJ"), st.sampled_from([*"mnopqrstuv", "M ", "n\n"]), st.sampled_from("wxyz")),
    min_size=1,
    max_size=60,
)


@given(rows=some_rows, task=st.sampled_from(["label", "answer"]), share=st.floats(0.25, 0.5))
def test_sides_are_apart(rows, task, share):
    made = split(kept(rows), task, share)
    for column in ("group", "text"):
        sides = [{str(row[column]).strip().casefold() for row in side} for side in (made.train, made.heldout)]
        assert sides[0].isdisjoint(sides[1])
    assert len(made.train) + len(made.heldout) + made.seen_inputs == len(rows)
    assert made.train


@given(rows=some_rows, share=st.floats(0.25, 0.5))
def test_every_label_can_be_learned(rows, share):
    made = split(kept(rows), "label", share)
    assert {row["label"] for row in made.train} == {label for _, _, label in rows}


@pytest.mark.parametrize("number", range(20))
def test_a_label_whose_groups_were_drawn_for_others_comes_back(number):
    groups = {"1": "ax", "2": "bx", "3": "a", "4": "b"}  # in some of these, both groups of x are drawn
    rows = [(f"{number}-{name}", f"{name}{label}", label) for name, labels in groups.items() for label in labels]
    assert {row["label"] for row in split(kept(rows), "label", 0.25).train} == set("abx")


def test_a_label_is_measured_where_a_group_can_be_spared():
    plain = [(f"g{n}", f"text {n}", "common") for n in range(20)]
    mixed = [("m", "one", "rare"), ("m", "two", "only here"), ("n", "three", "rare"), ("n", "four", "common")]
    made = split(kept(plain + mixed), "label", 0.25)
    assert {row["group"] for row in made.heldout if row["label"] == "rare"} == {"n"}
    assert "only here" not in {row["label"] for row in made.heldout}


def test_held_out_rows_whose_input_was_trained_on_are_counted_out():
    rows = [(f"g{n}", text, "ab"[n % 2]) for n in range(20) for text in ("Thanks!", f"text {n}")]
    made = split(kept(rows), "label", 0.25)
    assert "Thanks!" not in {row["text"] for row in made.heldout}
    assert made.seen_inputs == len(made.heldout) > 0


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5])
def test_the_share_is_of_groups(share):
    made = split(kept([(f"g{n}", f"text {n}", "ab"[n % 2]) for n in range(80)]), "label", share)
    assert len(made.heldout) == round(80 * share)
