"""How many tokens a template can become, from the budgets of its variables.

Used by the context check, on templates that the prompt language has accepted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

TEXT: Final = ""
"""Stands for the template's own text beside the names of variables."""


def bytes_and_budgets(template: str, budgets: Mapping[str, int]) -> Counter[str]:
    """UTF-8 bytes of the template's own text (under `TEXT`) and tokens of each variable, in the longest case.

    Of the branches of an `if` the longest counts. The body of a `for` counts once for each token of its variable.
    """
    from jinja2 import Environment

    environment = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # noqa: S701  # parses only
    return _sum(environment.parse(template).body, budgets)


def _sum(nodes: list[Any], budgets: Mapping[str, int]) -> Counter[str]:
    total: Counter[str] = Counter()
    for node in nodes:
        total.update(_size(node, budgets))
    return total


def _size(node: Any, budgets: Mapping[str, int]) -> Counter[str]:
    from jinja2 import nodes

    match node:
        case nodes.TemplateData(data=text):
            size = Counter({TEXT: len(text.encode())})
        case nodes.Const(value=value):
            size = Counter({TEXT: len(str(value).encode())})
        case nodes.Name(name=name):
            size = Counter({name: budgets.get(name, 0)})
        case nodes.Filter(name="length"):
            size = Counter({TEXT: 7})  # digits of the longest output that rendering allows
        case nodes.Filter(node=inner):
            size = _size(inner, budgets)
        case nodes.Output(nodes=parts):
            size = _sum(parts, budgets)
        case nodes.If(body=body, elif_=others, else_=rest):
            branches = [_sum(one, budgets) for one in (body, *([other] for other in others), rest)]
            size = max(branches, key=lambda one: one.total())
        case nodes.For(iter=nodes.Name(name=name), target=nodes.Name(name=item), body=body, else_=rest):
            rounds = budgets.get(name, 0)
            once = _sum(body, {**budgets, item: 1})
            looped = Counter({name if part == item else part: tokens * rounds for part, tokens in once.items()})
            size = max(looped, _sum(rest, budgets), key=lambda one: one.total())
        case _:
            size = Counter({TEXT: len("false")})  # a comparison, printed
    return size
