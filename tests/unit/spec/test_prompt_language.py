"""The prompt language: what it has, what it refuses, and that values are never templates."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_spec.prompt import PromptSpec
from llmops_spec.prompt_language import PromptError, analyse, render, render_messages

REFUSED = {
    "T23 dunder walk": "{{ question.__class__.__mro__ }}",
    "T24 attr filter": "{{ question | attr('__class__') }}",
    "T25 str.format": "{{ '{0.__class__}'.format(question) }}",
    "T26 format_map": "{{ '{a.__class__}'.format_map(question) }}",
    "T27 stored format": "{% set f = 'x{0}'.format %}{{ f(question) }}",
    "T28 format by filter": "{{ '%s' | format(question) }}",
    "T30 global": "{{ cycler.__init__ }}",
    "T30 lipsum": "{{ lipsum() }}",
    "T31 include": "{% include '/etc/passwd' %}",
    "T32 power": "{{ 9**9**9 }}",
    "T33 repetition": "{{ 'a' * 10**10 }}",
    "T34 braces and walk": "{{ user.__class__ }}",
    "subscript": "{{ question['__class__'] }}",
    "slice": "{{ question[0:1] }}",
    "call": "{{ question() }}",
    "import": "{% import 'x' as y %}",
    "from import": "{% from 'x' import y %}",
    "extends": "{% extends 'x' %}",
    "macro": "{% macro m() %}{% endmacro %}",
    "call block": "{% call question() %}{% endcall %}",
    "block": "{% block b %}{% endblock %}",
    "set": "{% set x = question %}",
    "with": "{% with x = question %}{% endwith %}",
    "filter block": "{% filter upper %}a{% endfilter %}",
    "self": "{{ self }}",
    "loop": "{% for c in question %}{{ loop }}{% endfor %}",
    "loop as target": "{% for loop in question %}{% endfor %}",
    "underscore": "{{ _x }}",
    "foreign letters": "{{ quеstion }}",  # a Cyrillic letter inside
    "list": "{{ ['a'] }}",
    "tuple": "{{ ('a', 'b') }}",
    "dictionary": "{{ {'a': 1} }}",
    "addition": "{{ question + 'a' }}",
    "tilde": "{{ question ~ 'a' }}",
    "negation": "{{ -1 }}",
    "inline if": "{{ question if question else 'x' }}",
    "test": "{% if question is defined %}{% endif %}",
    "loop over a constant": "{% for c in 'abc' %}{% endfor %}",
    "loop over a filter": "{% for c in question | upper %}{% endfor %}",
    "loop in a loop": "{% for a in question %}{% for b in question %}x{% endfor %}{% endfor %}",
    "recursive loop": "{% for a in question recursive %}{% endfor %}",
    "two targets": "{% for a, b in question %}{% endfor %}",
    "long filter": "{{ question | center(10) }}",
    "filter with a variable": "{{ question | truncate(size) }}",
    "unknown filter": "{{ question | nonsense }}",
    "unclosed": "{{ question",
    "unclosed if": "{% if question %}",
    "thousands of digits": "{{ " + "9" * 5000 + " }}",
    "deep parentheses": "{{ " + "(" * 5000 + "question" + ")" * 5000 + " }}",
    "deep negation": "{% if " + "not " * 20000 + "question %}x{% endif %}",
    "deep ifs": "{% if question %}" * 200 + "{% endif %}" * 200,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused_quickly_and_never_rendered(text: str) -> None:
    started = time.monotonic()
    facts = analyse(text)
    assert facts.problems
    with pytest.raises(PromptError):
        render(text, {"question": "q", "size": 3, "user": "u"})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hello {{ name }}!", {"name": "Ada"}, "Hello Ada!"),
        ("{{ name | trim | upper }}", {"name": " ada "}, "ADA"),
        ("{{ name | truncate(5) }}", {"name": "abcdefghijklmno"}, "ab..."),
        ("{{ name | length }}", {"name": "abc"}, "3"),
        ("{% if n > 3 and not off %}big{% else %}small{% endif %}", {"n": 4, "off": False}, "big"),
        ("{% if n == 1 %}a{% elif n == 2 %}b{% endif %}", {"n": 2}, "b"),
        ("{% for c in word %}{{ c }}-{% endfor %}", {"word": "abc"}, "a-b-c-"),
        ("{% for c in word if c != 'b' %}{{ c }}{% else %}none{% endfor %}", {"word": "abc"}, "ac"),
        ("{% if 'x' in word %}yes{% endif %}", {"word": "axb"}, "yes"),
        ("on: {{ flag }}", {"flag": True}, "on: true"),
        ("{% raw %}{{ kept }}{% endraw %}", {}, "{{ kept }}"),
        ("a{# gone #}b\n", {}, "ab\n"),
        ("one\n  {% if flag %}\ntwo\n  {% endif %}\nthree", {"flag": True}, "one\ntwo\nthree"),
        ("<b>{{ name }}</b>", {"name": "a & b"}, "<b>a & b</b>"),
    ],
)
def test_rendered(text: str, values: dict[str, object], expected: str) -> None:
    assert analyse(text).problems == ()
    assert render(text, values) == expected


def test_variables_are_what_rendering_needs() -> None:
    text = "{{ a | upper }}{% if b < c %}{% for d in e %}{{ d }}{{ f }}{% endfor %}{{ d }}{% endif %}"
    assert analyse(text).variables == {"a", "b", "c", "d", "e", "f"}
    inside_only = "{% for d in e %}{{ d }}{% else %}{{ g }}{% endfor %}"
    assert analyse(inside_only).variables == {"e", "g"}


def test_problem_names_its_line_and_construct() -> None:
    (problem,) = analyse("first\n\n{{ user.name }}").problems
    assert (problem.line, problem.message) == (3, "the prompt language does not have attributes (`a.b`)")


def test_every_problem_is_found() -> None:
    assert [one.line for one in analyse("{{ a.b }}\n{{ c() }}\n{% set d = 1 %}").problems] == [1, 2, 3]


def test_missing_value_is_refused_even_in_a_branch_not_taken() -> None:
    with pytest.raises(PromptError, match="`b` has no value") as caught:
        render("{% if a %}{{ b }}{% endif %}", {"a": False})
    assert caught.value.variable == "b"


@pytest.mark.parametrize("value", ["{{7*7}}", "{% include 'x' %}", "{# x #}", "{{ self }}", "\\{\\{", "{%"])
def test_t35_a_value_is_never_a_template(value: str) -> None:
    assert render("<{{ question }}>", {"question": value}) == f"<{value}>"


@given(st.text())
def test_any_value_comes_out_as_it_went_in(value: str) -> None:
    assert render("a{{ question }}b", {"question": value}) == f"a{value}b"


@given(st.text(alphabet="{}%# ()|.[]'\"abif9*-~=\n", max_size=60))
def test_any_text_is_judged_and_what_passes_renders_or_refuses(text: str) -> None:
    facts = analyse(text)
    if not facts.problems:
        with contextlib.suppress(PromptError):
            render(text, dict.fromkeys(facts.variables, "v"))


def test_output_is_capped() -> None:
    text = "{% for c in word %}" + "x" * 1000 + "{% endfor %}"
    with pytest.raises(PromptError, match="longer than"):
        render(text, {"word": "y" * 100_000})


def test_values_that_do_not_fit_the_template_are_an_error_of_ours() -> None:
    with pytest.raises(PromptError, match="does not fit its values"):
        render("{% if n < word %}{% endif %}", {"n": 1, "word": "a"})


PROMPT = PromptSpec.model_validate(
    {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{{ q }} {{ n }}"}],
        "variables": {"q": {"maxTokens": 10}, "n": {"type": "integer", "maxTokens": 3}},
        "output": {"maxTokens": 5},
    }
)


def test_messages() -> None:
    assert render_messages(PROMPT, {"q": "{{ n }}", "n": 7}) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "{{ n }} 7"},
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"q": "a"}, "`n` has no value"),
        ({"q": "a", "n": 1, "m": 1}, "`m` is not a variable of this prompt; it has `q`, `n`"),
        ({"q": 5, "n": 1}, "`q` must be of type string"),
        ({"q": "a", "n": "1"}, "`n` must be of type integer"),
        ({"q": "a", "n": True}, "`n` must be of type integer"),
        ({"q": "a", "n": 1.0}, "`n` must be of type integer"),
        ({"q": "\ud800", "n": 1}, "`q` holds half of a surrogate pair, which is no character"),
    ],
)
def test_values_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(PromptError) as caught:
        render_messages(PROMPT, values)  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == message


def test_numbers_are_finite() -> None:
    prompt = PROMPT.model_copy(update={"variables": {"n": PROMPT.variables["n"].model_copy(update={"type": "number"})}})
    with pytest.raises(PromptError, match="`n` must be of type number"):
        render_messages(prompt, {"n": float("nan")})
