"""Text output: what a person sees in a terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from compiler.diagnostics.catalogue import EMPTY_FILE, UNKNOWN_KEY, UNKNOWN_REFERENCE
from compiler.diagnostics.excerpt import LINE_COLUMNS, excerpt, printable, split_lines, width
from compiler.diagnostics.model import Label, Severity
from compiler.diagnostics.shown import summary
from compiler.diagnostics.text import render_text
from compiler.ports import Denial
from compiler.source import Span

TRAINING = """\
kind: Training
spec:
  dataset: support-chats
"""
DATA = "kind: Dataset\nmetadata: {name: support-chat}\n"
SOURCES = {"training/sft.yaml": TRAINING, "data/chat.yaml": DATA}
UNKNOWN = UNKNOWN_REFERENCE.at(
    Span("training/sft.yaml", 3, 12, 3, 25),
    "dataset `support-chats` is not defined",
    label="named here",
    related=[Label(span=Span("data/chat.yaml", 2, 18, 2, 30), text="a near name")],
    note="references are by name",
    help="did you mean `support-chat`?",
)


def test_a_finding_has_sentence_place_excerpt_marks_related_note_and_help() -> None:
    assert render_text([UNKNOWN], SOURCES.get, colour=False) == snapshot(
        """\
error[unknown-reference]: dataset `support-chats` is not defined
  --> training/sft.yaml:3:12
3 |   dataset: support-chats
  |            ^^^^^^^^^^^^^ named here
  --> data/chat.yaml:2:18
2 | metadata: {name: support-chat}
  |                  ------------ a near name
note: references are by name
help: did you mean `support-chat`?
"""
    )


def test_a_denial_is_printed_like_a_finding_under_its_rule() -> None:
    denial = Denial(
        rule="GOV-01",
        resource="dataset/support-chat",
        message="dataset `support-chat` has no owner",
        span=Span("data/chat.yaml", 2, 18, 2, 30),
        severity=Severity.ERROR,
        help="add `owner`",
        references=("the data charter, 2",),
        broken=True,
        environments=("prod",),
    )
    warned = Denial(rule="GOV-02", resource="", message="m", span=Span("a", 1, 1, 1, 1), severity=Severity.WARNING)
    assert render_text([denial, warned], SOURCES.get, colour=False) == snapshot(
        """\
warning[GOV-02]: m
  --> a:1:1

denied[GOV-01]: dataset `support-chat` has no owner
  --> data/chat.yaml:2:18
2 | metadata: {name: support-chat}
  |                  ^^^^^^^^^^^^
note: the rule itself failed, and a rule that cannot be asked counts as a denial
help: add `owner`
rule: the data charter, 2
environment: prod
"""
    )
    assert summary([denial, warned], files=2) == "1 denial, 1 warning in 2 files"


def test_findings_are_sorted_by_place_and_parted_by_an_empty_line() -> None:
    first = UNKNOWN_KEY.at(Span("a.yaml", 2, 1, 2, 2), "b")
    second = UNKNOWN_KEY.at(Span("a.yaml", 10, 1, 10, 2), "a")
    text = render_text([second, first], SOURCES.get, colour=False)
    assert [line for line in text.splitlines() if "error" in line] == [
        "error[unknown-key]: b",
        "error[unknown-key]: a",
    ]
    assert text.count("\n\n") == 1
    assert render_text([], SOURCES.get, colour=False) == ""


def test_environments_are_named_only_where_it_is_not_all_of_them() -> None:
    from dataclasses import replace

    staged = replace(UNKNOWN, environments=("prod", "staging"))
    every = ("staging", "prod")
    assert "environments: prod, staging\n" in render_text([staged], SOURCES.get, colour=False)
    assert "environment" not in render_text([staged], SOURCES.get, colour=False, environments=every)
    assert "environments: " in render_text([staged], SOURCES.get, colour=False, environments=(*every, "local"))


def test_colours_come_only_when_asked_for_and_change_no_letter() -> None:
    import re

    plain, coloured = (render_text([UNKNOWN], SOURCES.get, colour=colour) for colour in (False, True))
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_file_that_cannot_be_shown_leaves_the_place() -> None:
    text = render_text([UNKNOWN], lambda _: None, colour=False)
    assert "  --> training/sft.yaml:3:12 named here\n" in text
    assert "|" not in text


def test_control_characters_of_names_and_messages_are_shown_and_not_obeyed() -> None:
    odd = UNKNOWN_KEY.at(Span("a\nb.yaml", 1, 1, 1, 2), "two\nlines \x1b[2J")
    assert render_text([odd], lambda _: None, colour=False) == snapshot(
        """\
error[unknown-key]: two\\x0alines \\x1b[2J
  --> a\\x0ab.yaml:1:1
"""
    )


def test_lines_that_may_hold_a_secret_are_shown_for_no_finding() -> None:
    hidden = replace(UNKNOWN, confidential=UNKNOWN.span)
    other = UNKNOWN_KEY.at(Span(UNKNOWN.span.file, UNKNOWN.span.line, 1, UNKNOWN.span.line, 3), "unknown key")
    for some in ([hidden], [other, hidden]):
        text = render_text(some, SOURCES.get, colour=False)
        assert f"{UNKNOWN.span.line} |" not in text
    assert f"{UNKNOWN.span.line} |" in render_text([other], SOURCES.get, colour=False)


def test_the_closing_line_counts_by_weight() -> None:
    warning = EMPTY_FILE.at(Span("a.yaml", 1, 1, 1, 1), "empty")
    assert summary([UNKNOWN, warning, UNKNOWN], files=14) == "2 errors, 1 warning in 14 files"
    assert summary([warning], files=1) == "1 warning in 1 file"
    assert summary([], files=14) == "no findings in 14 files"


def _marked(line: str, column: int, end: int) -> tuple[str, str]:
    found = excerpt([line], Span("a", 1, column, 1, end))
    assert found is not None
    return found


def test_marks_stand_below_what_they_mark_after_tabs_and_wide_characters() -> None:
    assert _marked("\tb: 日本語 x", 5, 8) == ("    b: 日本語 x", "       ^^^^^^")
    assert _marked("e\u0301 = x", 6, 7) == ("e\u0301 = x", "    ^")


def test_control_and_bidi_characters_are_written_out() -> None:
    assert _marked("a\x1b[31mb \u202ec", 10, 11) == ("a\\x1b[31mb \\u202ec", "                 ^")
    assert printable("می\u200cخواهم") == "می\u200cخواهم"


def test_a_very_long_line_is_shown_around_the_place() -> None:
    text, marks = _marked("z" * 300 + "HERE" + "q" * 1_000_000, 301, 305)
    assert text.startswith("…z")
    assert text.endswith("q…")
    assert len(text) <= LINE_COLUMNS + 2
    assert text[len(marks) - 4 : len(marks)] == "HERE"


def test_a_place_of_several_lines_is_marked_to_the_end_of_the_first() -> None:
    found = excerpt(["key: |", "  text"], Span("a", 1, 6, 2, 7))
    assert found == ("key: |", "     ^")


def test_lines_end_as_the_reader_counts_them() -> None:
    assert split_lines("\ufeffa\r\nb\rc\nd\x0be\u2028f") == ["a", "b", "c", "d\x0be\u2028f"]


@given(
    line=st.text(st.characters(exclude_characters="\r\n"), max_size=300),
    column=st.integers(-1, 400),
    length=st.integers(0, 400),
)
def test_any_line_and_place_are_shown_safely(line: str, column: int, length: int) -> None:
    text, marks = _marked(line, column, column + length)
    assert width(text) <= 2 * LINE_COLUMNS
    assert set(marks) <= {" ", "^"}
    assert marks.endswith("^")
    assert not any(unicodedata.category(one) in {"Cc", "Cs"} for one in text)
