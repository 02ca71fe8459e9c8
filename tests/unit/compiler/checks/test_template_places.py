"""Carets point into templates, however they are written."""

from __future__ import annotations

import pytest

from compiler.checks import BUILT_IN
from tests.harness.project import HEAD, compile_files

WAYS = {
    "plain": ("{role: user, content: Say {{ nmae }} twice.}", "nmae"),
    "quoted": ('{role: user, content: "{{ nmae }}"}', "nmae"),
    "literal": ("role: user\n      content: |\n        Hello,\n        {% if nmae %}you{% endif %}", "nmae"),
    "folded": ("role: user\n      content: >-\n        Hello,\n        {{ nmae }}", "nmae"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_undeclared_variable_is_marked_where_it_stands(way: str) -> None:
    message, name = WAYS[way]
    text = (
        f"{HEAD}kind: Prompt\nmetadata: {{name: p}}\nspec:\n  messages:\n    - {message}\n  output: {{maxTokens: 9}}\n"
    )
    if way == "plain":
        text = text.replace("content: Say {{ nmae }} twice.", "content: 'Say {{ nmae }} twice.'")
    (found,) = compile_files({"p.yaml": text.encode()}, checks=BUILT_IN).findings
    line = text.split("\n")[found.span.line - 1]
    assert line[found.span.column - 1 : found.span.end_column - 1] == name


def test_a_refused_construct_is_marked_by_its_line_in_a_literal_block() -> None:
    text = (
        f"{HEAD}kind: Prompt\nmetadata: {{name: p}}\nspec:\n  messages:\n    - role: user\n      content: |\n"
        "        Hello,\n\n        {{ 1 + 1 }} of you\n  output: {maxTokens: 9}\n"
    )
    (found,) = compile_files({"p.yaml": text.encode()}, checks=BUILT_IN).findings
    assert found.name == "template-not-allowed"
    assert text.split("\n")[found.span.line - 1][found.span.column - 1 :] == "{{ 1 + 1 }} of you"
