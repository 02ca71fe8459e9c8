"""The YAML reader: values, places, refusals, and hostile files (the T numbers are those of the threat list)."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from compiler.source import LocatedMapping, LocatedSequence, LocatedValue, Span
from compiler.yaml_reader import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PROBLEMS,
    YamlFile,
    YamlProblem,
    read_yaml,
)
from compiler.yaml_reader.text import UNSEEN


def read(source: str | bytes) -> YamlFile:
    return read_yaml("spec.yaml", source.encode() if isinstance(source, str) else source)


def only_value(source: str | bytes) -> LocatedValue:
    file = read(source)
    assert file.problems == ()
    (document,) = file.documents
    assert document.sound
    return document.value


def only_mapping(source: str | bytes) -> LocatedMapping:
    value = only_value(source)
    assert isinstance(value, LocatedMapping)
    return value


def only_problem(source: str | bytes) -> YamlProblem:
    (problem,) = read(source).problems
    return problem


def rules(source: str | bytes) -> list[str]:
    return [problem.rule for problem in read(source).problems]


def place(span: Span) -> tuple[int, int, int, int]:
    return span[1:]


def sliced(source: str, span: Span) -> str:
    """The text that a span covers; lines end as the reader says they do."""
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", source)
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    first, last = lines[span.line - 1][span.column - 1 :], lines[span.end_line - 1][: span.end_column - 1]
    return "".join([first, *lines[span.line : span.end_line - 1], last])


class TestScalars:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None), ("nULL", "nULL"),
            ("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE"),
            ("yes", "yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("N", "N"),
            ("0", 0), ("-0", 0), ("+12", 12), ("-7", -7), ("012", 12), ("010", 10), ("0o17", 15), ("0x1F", 31),
            ("0b11", "0b11"), ("-0x1F", "-0x1F"), ("0o8", "0o8"), ("0x", "0x"), ("1_000", "1_000"), ("1,000", "1,000"),
            ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"),
            ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("-.5e-3", -0.0005), ("1e3", 1000.0), ("1E+3", 1000.0),
            ("1e", "1e"), (".", "."), ("-", "-"), ("+", "+"), ("...x", "...x"), ("=", "="), ("<<x", "<<x"),
            ("9007199254740991", 2**53 - 1), ("-9007199254740991", 1 - 2**53), ("٣", "٣"), ("1٣", "1٣"),
        ],
    )  # fmt: skip
    def test_plain_scalars_follow_the_core_schema(self, text: str, value: object) -> None:
        source = f"[{text}]" if text and text != "-" and "," not in text else f"k: {text}" if text != "-" else "k: '-'"
        read_value = only_value(source)
        found = read_value[0] if isinstance(read_value, LocatedSequence) else read_value["k"]  # type: ignore[index]
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize("source", ['"12"', "'true'", "'null'", '"~"', "|\n  12", ">-\n  1.5", '""'])
    def test_what_is_quoted_or_a_block_is_text(self, source: str) -> None:
        assert isinstance(only_mapping(f"k: {source}\n")["k"], str)

    def test_block_scalars_keep_their_lines(self) -> None:
        assert only_mapping("a: |\n  one\n\n  two\n\nb: >-\n  one\n  two\n") == {"a": "one\n\ntwo\n", "b": "one two"}

    @pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.INF", "+.Inf", "1e999", "-1e999"])  # T16, T17
    def test_numbers_that_are_not_finite_are_refused(self, text: str) -> None:
        problem = only_problem(f"min: {text}\n")
        assert problem.rule == "non-finite-number"
        assert text in problem.message
        assert place(problem.span) == (1, 6, 1, 6 + len(text))

    @pytest.mark.parametrize(
        "digits", ["9007199254740992", "-9007199254740992", "9" * 5000, "0x" + "f" * 5000, "0x20000000000000"]
    )
    def test_integers_that_json_cannot_hold_are_refused(self, digits: str) -> None:  # T22
        problem = only_problem(f"seed: {digits}\n")
        assert problem.rule == "non-finite-number"
        assert len(problem.message) < 200

    def test_leading_zeros_do_not_make_a_number_large(self) -> None:
        assert only_mapping(f"seed: {'0' * 5000}7\n") == {"seed": 7}

    def test_a_number_as_long_as_a_file_is_refused_or_read_at_once(self) -> None:
        began = time.monotonic()
        read("a: " + "1" * 300_000 + "." + "1" * 300_000)
        read("a: 0." + "1" * 900_000)
        assert time.monotonic() - began < 5


class TestPlaces:
    SOURCE = """\
# comment
kind: Gate
metadata: {name: support, "own\\u0065r": 'team é😀漢'}
spec:
  criteria:
  - metric: exact-match
    atLeast: 0.7
  - [1, {a: }]
  text: |
    hello

  漢字: end
"""

    def test_every_key_and_value_has_its_place(self) -> None:
        root = only_mapping(self.SOURCE)
        assert root == {
            "kind": "Gate",
            "metadata": {"name": "support", "owner": "team é😀漢"},
            "spec": {
                "criteria": [{"metric": "exact-match", "atLeast": 0.7}, [1, {"a": None}]],
                "text": "hello\n",
                "漢字": "end",
            },
        }
        assert place(root.key_spans["kind"]) == (2, 1, 2, 5)
        assert place(root.value_spans["kind"]) == (2, 7, 2, 11)
        metadata = root["metadata"]
        assert isinstance(metadata, LocatedMapping)
        assert place(metadata.span) == (3, 11, 3, 52)
        assert metadata.span == root.value_spans["metadata"]
        assert place(metadata.key_spans["owner"]) == (3, 27, 3, 39)
        assert place(metadata.value_spans["owner"]) == (3, 41, 3, 51)
        spec = root["spec"]
        assert isinstance(spec, LocatedMapping)
        assert place(spec.key_spans["漢字"]) == (12, 3, 12, 5)
        assert place(spec.value_spans["漢字"]) == (12, 7, 12, 10)
        criteria = spec["criteria"]
        assert isinstance(criteria, LocatedSequence)
        assert [place(span) for span in criteria.item_spans] == [(6, 5, 7, 17), (8, 5, 8, 15)]
        assert place(criteria.span) == (6, 3, 8, 15)
        assert place(root.span) == (2, 1, 12, 10)

    def test_empty_values_have_a_place_after_the_colon(self) -> None:
        root = only_mapping("a:\nb: \n")
        assert place(root.value_spans["a"]) == (1, 3, 1, 3)
        assert place(root.value_spans["b"]) == (2, 3, 2, 3)

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_end_as_in_an_editor(self, end: str) -> None:
        root = only_mapping(end.join(["a: 1", "b:", "  - 2", "c: 3"]))
        assert root.key_spans["c"] == Span("spec.yaml", 4, 1, 4, 2)

    def test_a_byte_order_mark_is_no_column(self) -> None:
        root = only_mapping(b"\xef\xbb\xbfa: 1\n")
        assert place(root.key_spans["a"]) == (1, 1, 1, 2)

    def test_a_tab_is_one_column(self) -> None:
        assert place(only_mapping("a:\t1\n").value_spans["a"]) == (1, 4, 1, 5)

    def test_the_file_is_named_in_every_span(self) -> None:
        file = read_yaml("gates/a.yaml", b"a: 1\na: 2\n")
        assert str(file.problems[0].span) == "gates/a.yaml:2:1"
        assert file.documents[0].span.file == "gates/a.yaml"


class TestDocuments:
    @pytest.mark.parametrize(
        "source", ["", "\n\n", "# only a comment\n", "---\n", "---\n---\n", "\ufeff", "---\n...\n"]
    )
    def test_nothing_written_is_no_document_and_no_problem(self, source: str) -> None:
        assert read(source) == YamlFile(documents=(), problems=())

    def test_each_part_is_a_document(self) -> None:
        file = read("a: 1\n---\n- 2\n---\nthree\n---\n~\n---\n{}\n")
        assert [document.value for document in file.documents] == [{"a": 1}, [2], "three", None, {}]
        assert [document.span.line for document in file.documents] == [1, 2, 4, 6, 8]
        assert file.problems == ()

    def test_a_syntax_error_hides_no_other_document(self) -> None:
        file = read("a: 1\n---\nkind: Gate\nb: [1,\n---\nc: 3\n---\nd: x: y\n---\ne: 5\n")
        assert [document.value for document in file.documents] == [{"a": 1}, {"c": 3}, {"e": 5}]
        assert all(document.sound for document in file.documents)
        assert [document.value for document in file.unfinished] == [{"kind": "Gate", "b": [1]}, {"d": "x"}]
        assert not any(document.sound for document in file.unfinished)
        assert [(problem.rule, problem.span.line) for problem in file.problems] == [
            ("yaml-syntax", 4),
            ("yaml-syntax", 8),
        ]
        assert [place(document.span)[0] for document in file.documents] == [1, 5, 9]
        last = file.documents[-1].value
        assert isinstance(last, LocatedMapping)
        assert place(last.key_spans["e"]) == (10, 1, 10, 2)

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_after_an_error_are_counted_as_in_an_editor(self, end: str) -> None:
        file = read(end.join(["a: @", "---", "b: 1", "b: 2"]))
        assert [problem.span.line for problem in file.problems] == [1, 4]

    def test_only_the_document_with_a_problem_is_unsound(self) -> None:
        file = read("a: 1\n---\nb: 1\nb: 2\n---\nc: \u202e1\n---\nd: 1\n")
        assert [document.sound for document in file.documents] == [True, False, False, True]

    def test_unfinished_collections_know_where_they_started(self) -> None:
        (document,) = read("kind: Gate\nspec:\n  a: {b: [1, 'x\n").unfinished
        assert document.value == {"kind": "Gate", "spec": {"a": {"b": [1]}}}
        assert isinstance(document.value, LocatedMapping)
        assert place(document.value.value_spans["spec"])[:2] == (3, 3)


class TestRefusals:
    def test_duplicate_keys_show_both_places_and_the_first_value_holds(self) -> None:  # T7
        file = read("min: 0.9\nmax: 1\nmin: 0.0\n")
        (problem,) = file.problems
        assert problem.rule == "duplicate-key"
        assert "`min`" in problem.message
        assert place(problem.span) == (3, 1, 3, 4)
        assert [(label, place(span)) for label, span in problem.related] == [("first written here", (1, 1, 1, 4))]
        assert file.documents[0].value == {"min": 0.9, "max": 1}

    def test_a_second_list_does_not_replace_the_first(self) -> None:  # T8
        file = read("spec:\n  gates: [quality]\n  gates: []\n")
        assert [problem.rule for problem in file.problems] == ["duplicate-key"]
        assert file.documents[0].value == {"spec": {"gates": ["quality"]}}

    def test_an_escaped_key_is_the_same_key(self) -> None:  # T9
        assert rules('min: 0.9\n"m\\u0069n": 0\n') == ["duplicate-key"]

    def test_problems_inside_a_dropped_value_are_still_reported(self) -> None:
        assert rules("a: 1\na: {b: .nan, c: 1, c: 2}\n") == ["duplicate-key", "non-finite-number", "duplicate-key"]

    def test_merge_keys_are_refused(self) -> None:  # T10
        file = read("spec:\n  <<: {min: 0.0}\n  min: 0.9\n")
        assert [problem.rule for problem in file.problems] == ["yaml-merge-key"]
        assert file.documents[0].value == {"spec": {"min": 0.9}}
        assert only_mapping("'<<': 1\n") == {"<<": 1}

    @pytest.mark.parametrize(
        "tag", ["!!python/object/apply:os.system", "!function", "!include", "!ENV", "!!str", "!", "!<tag:x,2000:y>"]
    )  # T11, T12
    @pytest.mark.parametrize("value", ["x.y", "[a]", "{a: 1}", "'q'", ""])
    def test_tags_are_refused(self, tag: str, value: str) -> None:
        problem = only_problem(f"a: {tag} {value}\n")
        assert problem.rule == "yaml-tag"
        assert place(problem.span)[:2] == (1, 4)

    def test_undeclared_and_broken_tags_are_refused_as_tags(self) -> None:
        assert rules("a: !x!y z\n") == ["yaml-tag"]
        assert rules("a: !<\n") == ["yaml-tag"]

    def test_anchors_and_aliases_are_refused(self) -> None:
        file = read("a: &one 1\nb: *one\nc: &two [x]\n")
        assert [(problem.rule, problem.span.line) for problem in file.problems] == [
            ("yaml-anchor", n) for n in (1, 2, 3)
        ]
        assert "`&one`" in file.problems[0].message
        assert "`*one`" in file.problems[1].message

    def test_an_anchor_that_holds_itself_is_refused(self) -> None:  # T6
        assert rules("a: &s [*s]\n") == ["yaml-anchor", "yaml-anchor"]

    def test_an_alias_as_a_key_is_one_finding(self) -> None:
        assert rules("*a : 1\n") == ["yaml-anchor"]

    def test_a_glob_that_looks_like_an_alias_gets_the_advice_to_quote(self) -> None:
        problem = only_problem("include: *.yaml\n")
        assert problem.rule == "yaml-anchor"
        assert "quotes" in (problem.help or "")

    @pytest.mark.parametrize("line", ["%YAML 1.1", "%YAML 1.2", "%YAML 9.9", "%TAG ! tag:x,2000:", "%FOO bar"])
    def test_directives_are_refused(self, line: str) -> None:
        file = read(f"{line}\n---\na: 1\n")
        assert [problem.rule for problem in file.problems] == ["yaml-directive"]
        assert [document.value for document in file.documents] == [{"a": 1}]

    def test_many_directives_are_refused_before_libyaml_compares_them(self) -> None:
        (problem,) = read("".join(f"%TAG !a{n}! b\n" for n in range(200))).problems
        assert problem.rule == "yaml-directive"
        assert "more than" in problem.message

    @pytest.mark.parametrize("key", ["1", "1.5", "true", "null", "~", ".inf", "0x1f", "012"])
    def test_keys_that_are_not_text_are_refused(self, key: str) -> None:
        problem = only_problem(f"{key}: 1\n")
        assert problem.rule == "non-string-key"
        assert f"`{key}`" in problem.message
        assert only_mapping(f"'{key}': 1\n") == {key: 1}

    @pytest.mark.parametrize("source", ["?\n: 1\n", "? [a]\n: 1\n", "? {a: 1}\n: 1\n", "a: {[x]: 1}"])
    def test_missing_and_composed_keys_are_refused(self, source: str) -> None:
        assert rules(source) == ["non-string-key"]

    def test_a_template_without_quotes_is_one_finding_with_advice(self) -> None:
        problem = only_problem("content: {{ question }}\n")
        assert problem.rule == "non-string-key"
        assert "quotes" in (problem.help or "")

    def test_yes_is_a_text_key(self) -> None:
        assert only_mapping("yes: 1\non: 2\n") == {"yes": 1, "on": 2}

    def test_a_switch_written_in_yaml_1_1_is_text_for_the_type_to_refuse(self) -> None:  # T14, T15
        assert only_mapping("enabled: no\nat: 1:30\nmode: 010\n") == {"enabled": "no", "at": "1:30", "mode": 10}


class TestUnseenCharacters:
    @pytest.mark.parametrize(
        "character", ["\u202e", "\u2066", "\u200b", "\u2028", "\x85", "\x07", "\ufeff", "\U000e0041", "\xad"]
    )
    @pytest.mark.parametrize("source", ["a: 1 # x{}\n", "a: x{}\n", "a: |\n  x{}\n", 'a: "x{}"\n'])
    def test_they_are_refused_wherever_they_stand(self, character: str, source: str) -> None:  # T19, T21
        written = source.format(character)
        problem = only_problem(written)
        assert problem.rule == "bidi-control"
        assert f"U+{ord(character):04X}" in problem.message
        assert sliced(written, problem.span) == character
        assert not read(written).documents[0].sound

    def test_a_run_is_one_finding(self) -> None:
        assert "and 2 more" in only_problem("a: x\U000e0041\U000e0042\U000e0043\n").message

    def test_places_behind_one_stay_right(self) -> None:
        file = read("a\u200b: 1\nb: \u2028 x\nc: 3\n")
        (document,) = file.documents
        assert isinstance(document.value, LocatedMapping)
        assert place(document.value.value_spans["c"]) == (3, 4, 3, 5)

    def test_places_behind_one_on_its_line_stay_right_too(self) -> None:
        (document,) = read("a: [x\u200b\u200b, y]\n").documents
        assert isinstance(document.value, LocatedMapping)
        items = document.value["a"]
        assert isinstance(items, LocatedSequence)
        assert place(items.item_spans[1]) == (1, 10, 1, 11)

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_before_one_are_counted_as_in_an_editor(self, end: str) -> None:
        assert place(only_problem(end.join(["a: 1", "", "b: x\u202e"])).span) == (3, 5, 3, 6)

    def test_an_escape_in_a_value_is_visible_and_allowed_but_not_nul(self) -> None:
        assert only_mapping('a: "\\u202e"\n') == {"a": "\u202e"}
        assert rules('a: "x\\0"\n') == ["bidi-control"]

    @pytest.mark.parametrize("key", ['"a\\u200b"', '"a\\u200d"', '"a\\0"', "a\u200cb"])
    def test_no_key_hides_one_not_even_by_escape(self, key: str) -> None:
        assert rules(f"{key}: 1\n") == ["bidi-control"]

    def test_text_of_the_world_is_untouched(self) -> None:
        text = "نمی\u200cخواهم 👩\u200d💻 ❤\ufe0f हिन्दी 漢字 שלום é"
        assert only_mapping(f"a: {text}\nключ: 1\n鍵key: 2\nclé: 3\n") == {"a": text, "ключ": 1, "鍵key": 2, "clé": 3}

    def test_a_key_of_look_alike_letters_is_refused(self) -> None:  # T20
        problem = only_problem("m\u0456n: 0.9\n")
        assert problem.rule == "mixed-script-key"
        assert "U+0456" in problem.message


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])  # T18
    def test_other_unicode_encodings_are_refused(self, encoding: str) -> None:
        problem = only_problem("kind: Gate\n".encode(encoding))
        assert problem.rule == "not-utf8"
        assert ("UTF-16" in problem.message) == (encoding in {"utf-16", "utf-32"}), "named where a mark says so"
        assert "UTF-8" in f"{problem.message} {problem.help}"

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_bytes_that_are_no_utf8_show_where(self, mark: bytes) -> None:
        problem = only_problem(mark + "a: é\nb: ".encode() + b"\xff\n")
        assert problem.rule == "not-utf8"
        assert place(problem.span)[:2] == (2, 4)

    def test_a_binary_file_is_no_text(self) -> None:
        assert rules(b"\x7fELF\x02\x01\x01\x00\x00\x00") == ["not-utf8"]
        assert rules(b"\x89PNG\r\n\x1a\n\x00") == ["not-utf8"]


class TestSyntax:
    @pytest.mark.parametrize(
        ("source", "at", "words"),
        [
            ("a: 1\n\tb: 2\n", (2, 1), "tab"),
            ("a:\n\t- 1\n", (2, 1), "tab"),
            ("a: @x\n", (1, 4), "`@`"),
            ("a: `x`\n", (1, 4), "cannot start"),
            ("a: b: c\n", (1, 5), "`:`"),
            ("a: 1\n b: 2\n", (2, 3), "`:`"),
            ("a:\n  b: 1\n c: 2\n", (3, 2), "a key was expected"),
            ("a: 'x' y\n", (1, 8), "a key was expected"),
            ("a: 1\nb\nc: 2\n", (2, 1), "`:` is missing"),
            ("- a\nb: 1\n", (2, 1), "list item"),
            ("a: - b\n", (1, 4), "list item"),
            ("a: [1, 2\n", (1, 4), "`[` that stands here is never closed"),
            ("a: {b: 1\n\n---\nc: 1\n", (1, 4), "`{` that stands here is never closed"),
            ("a: {b: 1]\n", (1, 9), "`}` was expected"),
            ("a: [1}\n", (1, 6), "`]` was expected"),
            ("a: [,]\n", (1, 5), "value was expected"),
            ("a: 'x\nb: 1\n", (1, 4), "never closed"),
            ('a: 1\nb: "x\n', (2, 4), "never closed"),
            ("a: 'x\n---\nb: 1\n", (1, 4), "never closed"),
            ('a: "C:\\q"\n', (1, 7), "double quotes"),
            ("a: |q\n  x\n", (1, 5), "`|`"),
            ("{a: 1} b\n", (1, 8), "has ended"),
        ],
    )
    def test_the_place_and_the_words_are_the_users(self, source: str, at: tuple[int, int], words: str) -> None:
        problem = only_problem(source)
        assert problem.rule == "yaml-syntax"
        assert (problem.span.line, problem.span.column) == at
        assert words in problem.message

    def test_what_was_opened_is_shown(self) -> None:
        ((label, span),) = only_problem("x: 1\na: {b: 1]\n").related
        assert label == "the mapping is opened here"
        assert place(span)[:2] == (2, 4)

    def test_an_error_that_has_no_words_of_ours_is_passed_on(self) -> None:
        problem = only_problem('a: "\\ud800"\n')
        assert problem.rule == "yaml-syntax"
        assert "not valid YAML" in problem.message


class TestLimits:
    def test_bytes(self) -> None:
        assert read(b"#" * MAX_BYTES).problems == ()
        assert rules(b"#" * (MAX_BYTES + 1)) == ["yaml-too-large"]
        assert rules(b"a: " + b"x" * (6 << 20)) == ["yaml-too-large"]  # T22

    @pytest.mark.parametrize("opening", ["[", "- ", "? ", "{a: ", "[{a: "])
    def test_depth(self, opening: str) -> None:
        levels_per_opening = 2 if opening == "[{a: " else 1
        closing = {"[": "]", "{a: ": "}", "[{a: ": "}]"}.get(opening, "")
        if opening != "? ":  # each is a composed key, which is refused anyway
            allowed = MAX_DEPTH // levels_per_opening
            assert read(opening * allowed + "x" + closing * allowed).problems == ()
        assert "yaml-too-deep" in rules(opening * (MAX_DEPTH + 1))

    def test_a_document_that_is_too_deep_hides_no_other(self) -> None:
        file = read("a: 1\n---\n" + "[" * 70 + "\n---\nb: 2\n")
        assert [document.value for document in file.documents] == [{"a": 1}, {"b": 2}]
        assert [problem.rule for problem in file.problems] == ["yaml-too-deep"]

    def test_nodes(self) -> None:
        assert read(b"[" + b"1," * (MAX_NODES - 1) + b"]").problems == ()
        assert rules(b"[" + b"1," * MAX_NODES + b"]") == ["yaml-too-many-nodes"]
        assert rules(b"a:\n---\n" * (MAX_NODES // 2 + 1)) == ["yaml-too-many-nodes"]

    def test_problems(self) -> None:
        assert len(rules("- .nan\n" * 5000)) == MAX_PROBLEMS
        assert len(rules("--- [\n" * 5000)) == MAX_PROBLEMS
        file = read("# \u202e\n" * 5000 + "a: .nan\n")
        assert file.problems[-1].rule == "non-finite-number"
        assert len(file.problems) <= MAX_PROBLEMS


def _doubling_merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, levels)]
    return "\n".join(lines)


HOSTILE: dict[str, bytes] = {
    "T1 alias bomb": b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 122)),
    "T2 doubling merges": _doubling_merges(28).encode(),
    "T3 merge list": b"a: &a {"
    + b", ".join(b"k%d: 1" % i for i in range(2000))
    + b"}\nb: {<<: ["
    + b"*a, " * 2000
    + b"]}",
    "T4 brackets": b"[" * 200_000,
    "T4 braces": b"{" * 200_000,
    "T5 blocks": b"".join(b" " * i + b"a:\n" for i in range(1400)),
    "T5 dashes": b"- " * 3000,
    "explicit keys": b"? " * (MAX_BYTES // 2),
    "directives": b"".join(b"%%TAG !a%d! b\n" % i for i in range(60_000)),
    "anchors": b"".join(b"- &a%d x\n" % i for i in range(80_000)),
    "documents": b"--- [\n" * (MAX_BYTES // 6),
    "errors": b"--- @\n" * (MAX_BYTES // 6),
    "controls": "a: x\u202e\n".encode() * (MAX_BYTES // 8),
    "escapes": b'"' + b"\\x41" * (MAX_BYTES // 4 - 1) + b'"',
    "long number": b"a: 1." + b"1" * (MAX_BYTES - 10),
    "long integer": b"a: " + b"1" * (MAX_BYTES - 10),
    "nearly a number": b"a: " + b"1" * (MAX_BYTES - 10) + b"x",
    "one key again and again": b"a: 1\n" * (MAX_BYTES // 5),
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "T3 merge list"])
def test_a_hostile_file_is_answered_at_once(name: str) -> None:
    began = time.process_time()
    file = read(HOSTILE[name])
    assert time.process_time() - began < 5
    assert file.problems or name in {"escapes", "long number", "nearly a number"}


def test_a_wide_merge_is_refused_without_being_merged() -> None:  # T3
    assert "yaml-merge-key" in rules(HOSTILE["T3 merge list"])


def test_hostile_files_end_no_process_and_take_no_memory() -> None:  # T4: libyaml's loader dies of a signal here
    program = (
        "import re, sys\n"
        "from compiler.yaml_reader import read_yaml\n"
        "found = [read_yaml('x', data) for data in (b'[' * 1_000_000, b'- ' * 500_000, b'[{' * 500_000)]\n"
        # The peak of this program alone: `ru_maxrss` begins with that of the process it was forked from.
        "linux = sys.platform == 'linux'\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) if linux else 0\n"
        "print([file.problems[0].rule for file in found], peak < 256 << 10)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"{['yaml-too-deep'] * 3} True")


# -- properties

_yaml_pieces = st.sampled_from(
    [
        *"[]{}:,-?!&*#|>'\"%@` \n\t\r\\~",
        "---\n",
        "...\n",
        "a: ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!!x ",
        "\u202e",
        "é",
        "\0",
        "%YAML 1.2\n",
    ]
)
_yaml_like = st.lists(st.one_of(_yaml_pieces, st.text(max_size=4)), max_size=40).map("".join)


def check_file(file: YamlFile) -> None:
    for problem in file.problems:
        assert problem.message
        for span in (problem.span, *(span for _, span in problem.related)):
            check_span(span)
    for document in (*file.documents, *file.unfinished):
        check_value(document.value)
        assert document.sound <= (not file.problems or document in file.documents)
    if not file.documents and not file.unfinished:
        return
    assert all(one.span <= other.span for one, other in zip(file.documents, file.documents[1:], strict=False))


def check_span(span: Span) -> None:
    assert span.line >= 1
    assert span.column >= 1
    assert (span.line, span.column) <= (span.end_line, span.end_column)


def check_value(value: LocatedValue) -> None:
    match value:
        case LocatedMapping():
            check_span(value.span)
            assert list(value) == list(value.key_spans) == list(value.value_spans)
            for key, one in value.items():
                assert type(key) is str
                check_span(value.key_spans[key])
                check_value(one)
        case LocatedSequence():
            check_span(value.span)
            assert len(value) == len(value.item_spans)
            for one in value:
                check_value(one)
        case str():
            value.encode()
        case float():
            assert math.isfinite(value)
        case _:
            assert value is None or type(value) in {bool, int}


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_no_bytes_escape_as_an_exception(data: bytes) -> None:
    check_file(read(data))


@given(_yaml_like)
@settings(deadline=None, max_examples=500)
@example("? - a\n  - b\n: - c\n")
@example("a: !<\n")
@example("--- |\n%\n")
def test_no_text_escapes_as_an_exception(text: str) -> None:
    file = read(text.encode("utf-8", errors="replace"))
    check_file(file)
    if not file.problems:
        json.dumps([document.value for document in file.documents])


_visible = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n\t"), max_size=12).filter(
    lambda text: not UNSEEN.search(text)
)
_keys = st.text("abcXYZ_-. 019", min_size=1, max_size=8)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(1 - 2**53, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "yes",
            "no",
            "012",
            "1:30",
            "null",
            "~",
            "<<",
            "",
            "0x1",
            ".inf",
            "1_000",
            "- a",
            "a: b",
            "#",
            "*a",
            "&b",
            "!c",
        ]
    ),
    _visible,
)
_data = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=4)),
    max_leaves=15,
)


@given(_data)
@settings(deadline=None, max_examples=300)
def test_json_reads_back_equal(data: object) -> None:
    assert only_value("--- " + json.dumps(data, ensure_ascii=False)) == data


@given(st.dictionaries(_keys, _data, min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_dumped_data_reads_back_equal(data: dict[str, object]) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False  # in flow style libyaml refuses `:0`, which is valid
    writer.allow_unicode = True
    writer.representer.ignore_aliases = lambda data: True
    stream = io.StringIO()
    writer.dump(data, stream)
    assert only_value(stream.getvalue()) == data


_plain = st.from_regex(r"\A[a-zé漢😀][a-zé漢😀 ]{0,6}[a-zé漢😀]\Z")


@given(st.lists(st.tuples(_plain, _plain), min_size=1, max_size=6, unique_by=lambda pair: pair[0]), st.integers(0, 4))
@settings(deadline=None)
def test_spans_point_at_the_text(pairs: list[tuple[str, str]], indent: int) -> None:
    nested = "".join(
        f"{' ' * indent}- {{{key}:   {value}, {value} : [{key}]}}\n" for key, value in pairs if key != value
    )
    source = "# é😀\n" + "".join(f"{key}:   {value}  # c\n" for key, value in pairs) + f"LIST:\n{nested}"
    root = only_mapping(source)
    for key, value in pairs:
        assert sliced(source, root.key_spans[key]) == key
        spelled = sliced(source, root.value_spans[key])
        assert spelled == value
    check_plain_spans(source, root)


def check_plain_spans(source: str, value: LocatedMapping | LocatedSequence) -> None:
    spans = value.value_spans.values() if isinstance(value, LocatedMapping) else value.item_spans
    inner = value.values() if isinstance(value, LocatedMapping) else value
    for span, one in zip(spans, inner, strict=True):
        if isinstance(one, str):
            assert sliced(source, span) == one
        elif isinstance(one, LocatedMapping | LocatedSequence):
            check_plain_spans(source, one)
