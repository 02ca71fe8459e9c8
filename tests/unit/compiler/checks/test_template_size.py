"""The longest text that a template can become."""

from __future__ import annotations

import pytest

from compiler.checks.template_size import TEXT, bytes_and_budgets

BUDGETS = {"a": 10, "b": 100}


@pytest.mark.parametrize(
    ("template", "size"),
    [
        ("plain", {TEXT: 5}),
        ("é", {TEXT: 2}),
        ("{{ a }}-{{ a }}", {TEXT: 1, "a": 20}),
        ("{{ a | upper }}", {"a": 10}),
        ("{{ b | length }}", {TEXT: 7}),
        ("{% if a %}{{ b }}{% else %}short{% endif %}", {"b": 100}),
        ("{% if a %}x{% elif b %}{{ a }}{% else %}longest of all{% endif %}", {TEXT: 14}),
        ("{% for c in a %}<{{ c }}>{% endfor %}", {TEXT: 20, "a": 10}),
        ("{# nothing #}{{ 'text' }}", {TEXT: 4}),
        ("{{ a == b }}", {TEXT: 5}),
        ("{{ undeclared }}", {"undeclared": 0}),
    ],
)
def test_text_is_counted_in_bytes_and_variables_by_their_budget(template: str, size: dict[str, int]) -> None:
    assert dict(bytes_and_budgets(template, BUDGETS)) == size
