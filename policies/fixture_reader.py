"""Read the examples of a pack: a file of their own, since judging a project needs none of them.

Called by `llmops policy test`, which hands in the bytes. Every rule has examples that pass, that fail and that break
it; an example of a rule that the pack does not hold is a mistake too.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import locate, locate_key
from llmops_spec.base import SpecModel
from policies.expressions import VARIABLES
from policies.pack_text import PackInvalid, PackProblem, read_mapping, typed
from policies.rules import GROUPS, Fixture, Pack

_Binding = dict[str, object]


class _FixtureText(SpecModel):
    resource: _Binding | None = None
    related: _Binding | None = None
    environment: _Binding | None = None
    object: _Binding | None = None
    rendered: _Binding | None = None


_Examples = Annotated[list[_FixtureText], Field(min_length=1)]


class _GroupsText(SpecModel):
    pass_: _Examples = Field(alias="pass")
    fail: _Examples
    error: _Examples


class _FixturesText(SpecModel):
    format_version: int
    fixtures: dict[str, _GroupsText]


def load_fixtures(pack: Pack, name: str, data: bytes) -> Mapping[str, tuple[Fixture, ...]]:
    """The examples of each rule of a pack, by its id, in the order of the file. `name` is the file, for positions.

    Raises:
        PackInvalid: with every problem that was found.
    """
    document = read_mapping(name, data, "the examples of a pack are one mapping with `formatVersion` and `fixtures`")
    texts = typed(_FixturesText, document).fixtures
    rules = {rule.id: rule for rule in pack.rules}
    problems = [
        PackProblem(message=f"rule `{one}` has no examples in `{name}`", span=rule.span)
        for one, rule in rules.items()
        if one not in texts
    ]
    problems += [
        PackProblem(
            message=f"`{pack.name}` has no rule `{one}`; {did_you_mean(one, rules)}",
            span=locate_key(document, ("fixtures", one)),
        )
        for one in texts
        if one not in rules
    ]
    if problems:
        raise PackInvalid(tuple(problems))
    return {
        rule: tuple(
            Fixture(
                group=group,
                bindings={name: value for name in VARIABLES if (value := getattr(one, name)) is not None},
                span=locate(document, ("fixtures", rule, group, position)),
            )
            for group in GROUPS
            for position, one in enumerate(getattr(text, "pass_" if group == "pass" else group))
        )
        for rule, text in texts.items()
    }
