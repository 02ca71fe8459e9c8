"""Reading packs, the pack that comes with the package, and its examples."""

from __future__ import annotations

from importlib.resources import files

import pytest

from policies.fixture_reader import load_fixtures
from policies.fixtures import FixtureResult
from policies.fixtures import test_pack as try_pack
from policies.pack_reader import load_pack
from policies.pack_text import PackInvalid
from policies.packs import PACKS
from policies.rules import Pack

RULE = """\
formatVersion: 1
rules:
  - id: GOV-01
    title: Named
    severity: high
    kinds: [Model]
    expression: {expression}
    message: names no owner
    help: add one
"""
FIXTURES = b"""\
formatVersion: 1
fixtures:
  GOV-01:
    pass: [{resource: {kind: Model, metadata: {name: a, owner: b}, spec: {from: {path: w}}}}]
    fail: [{resource: {kind: Model, metadata: {name: a}, spec: {from: {path: w}}}}]
    error: [{resource: {}}]
"""


def rule(expression: str = "has(resource.metadata.owner)") -> bytes:
    return RULE.format(expression=expression).encode()


def problems(data: bytes) -> list[tuple[str, int, int]]:
    with pytest.raises(PackInvalid) as caught:
        load_pack("p.yaml", data)
    return [(one.message, one.span.line, one.span.column) for one in caught.value.problems]


def tried(data: bytes, fixtures: bytes = FIXTURES) -> tuple[FixtureResult, ...]:
    pack = load_pack("p.yaml", data)
    return try_pack(pack, load_fixtures(pack, "p.fixtures.yaml", fixtures))


def fixture_problems(fixtures: bytes) -> list[tuple[str, str]]:
    with pytest.raises(PackInvalid) as caught:
        load_fixtures(load_pack("p.yaml", rule()), "p.fixtures.yaml", fixtures)
    return [(one.message, f"{one.span.file}:{one.span.line}") for one in caught.value.problems]


def shipped(name: str) -> tuple[Pack, tuple[FixtureResult, ...]]:
    folder = files("policies.packs")
    pack = load_pack(name, folder.joinpath(f"{name}.yaml").read_bytes())
    return pack, try_pack(pack, load_fixtures(pack, name, folder.joinpath(f"{name}.fixtures.yaml").read_bytes()))


@pytest.mark.parametrize("name", PACKS)
def test_every_example_of_a_shipped_pack_holds(name: str) -> None:
    pack, results = shipped(name)
    assert [one for one in results if not one.holds] == []
    assert {(one.rule, one.group) for one in results} == {
        (each.id, group) for each in pack.rules for group in ("pass", "fail", "error")
    }


def test_an_error_example_of_the_shipped_pack_breaks_by_its_content_and_not_by_how_it_is_bound() -> None:
    whys = [one.detail for one in shipped("default")[1] if one.group == "error"]
    assert whys
    assert not [why for why in whys if "Non-CEL" in why or "undeclared" in why.lower()]


def test_the_rules_promised_are_in_the_shipped_pack() -> None:
    pack, _ = shipped("default")
    assert {"GOV-01", "LIC-01", "QUA-01", "QUA-03", "SEC-01", "PRV-01"} <= {one.id for one in pack.rules}


def test_a_misspelt_field_shows_in_the_examples_since_cel_does_not_see_it() -> None:
    results = tried(rule("has(resource.metadata.ownr)"))
    assert [(one.group, one.said, one.holds) for one in results] == [
        ("pass", "denied", False),
        ("fail", "denied", True),
        ("error", "broken", True),
    ]


def test_a_rule_that_breaks_is_no_denying_example() -> None:
    results = tried(rule("resource.metadata.owner != ''"))
    assert [(one.group, one.said, one.holds) for one in results] == [
        ("pass", "allowed", True),
        ("fail", "broken", False),
        ("error", "broken", True),
    ]


def test_a_rule_that_allows_what_it_cannot_read_fails_its_error_example() -> None:
    results = tried(rule("has(resource.metadata.owner) || true"))
    assert [(one.group, one.holds) for one in results] == [("pass", True), ("fail", False), ("error", False)]


def test_examples_are_typed_so_one_that_is_no_document_cannot_be_used() -> None:
    results = tried(rule(), FIXTURES.replace(b"owner: b}", b"ownr: b}"))
    assert (results[0].said, results[0].holds) == ("unusable", False)
    assert "metadata.ownr" in results[0].detail


def test_the_place_inside_an_expression_is_shown() -> None:
    [(message, line, column)] = problems(rule('"resource.x == nobody"'))
    assert "undeclared reference to 'nobody'" in message
    assert (line, column) == (7, 32)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("has(resource.x) &&", "Syntax error"),
        ("size(resource)", "must give true or false"),
        ("\"1 + 'a' == 2\"", "no matching overload"),
        ("\"resource.x.startsWith('a', 'b', 'c')\"", "undeclared reference to 'startsWith'"),
    ],
)
def test_what_is_no_condition_is_refused_when_the_pack_is_read(expression: str, said: str) -> None:
    [(message, line, _)] = problems(rule(expression))
    assert said in message
    assert line == 7


def test_every_mistake_of_a_pack_is_reported_at_once() -> None:
    data = rule("nobody").replace(b"[Model]", b"[Modle]")
    found = problems(data)
    assert [(line, column) for _, line, column in found] == [(6, 13), (7, 17)]
    assert "did you mean `Model`?" in found[0][0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"    kinds: [Model]\n", b"", "needs either `kinds` or `objects`"),
        (b"kinds: [Model]", b"kinds: [Model]\n    objects: [Job]", "needs either `kinds` or `objects`"),
        (b"severity: high", b"severity: hihg", "rules.0.severity"),
        (b"title: Named", b"titel: Named", "rules.0.titel"),
        (b"id: GOV-01", b"id: gov", "rules.0.id"),
        (b"formatVersion: 1", b"formatVersion: 2", "newer llmops"),
        (b"severity: high", b"severity: high\n    severity: low", "severity"),
        (b"kinds: [Model]", b"objects: ['no kind']", "no kind of object"),
    ],
)
def test_a_malformed_pack_is_refused(old: bytes, new: bytes, said: str) -> None:
    data = rule()
    assert old in data
    assert any(said in message for message, _, _ in problems(data.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"    error: [{resource: {}}]\n", b"", "fixtures.GOV-01.error"),
        (b"error: [{resource: {}}]", b"error: []", "fixtures.GOV-01.error"),
        (b"{resource: {}}", b"{resourse: {}}", "fixtures.GOV-01.error.0.resourse"),
        (b"formatVersion: 1", b"formatVersion: 2", "newer llmops"),
        (b"formatVersion: 1\n", b"", "formatVersion"),
    ],
)
def test_malformed_examples_are_refused(old: bytes, new: bytes, said: str) -> None:
    assert old in FIXTURES
    assert any(said in message for message, _ in fixture_problems(FIXTURES.replace(old, new)))


def test_each_rule_has_examples_and_each_example_a_rule() -> None:
    assert fixture_problems(FIXTURES.replace(b"GOV-01", b"GOV-02")) == [
        ("rule `GOV-01` has no examples in `p.fixtures.yaml`", "p.yaml:3"),
        ("`p.yaml` has no rule `GOV-02`; did you mean `GOV-01`?", "p.fixtures.yaml:3"),
    ]


def test_the_rules_of_a_pack_are_read_without_their_examples() -> None:
    with_examples = rule() + b"    fixtures: {pass: [{}], fail: [{}], error: [{}]}\n"
    assert problems(with_examples)[0][0].startswith("`rules.0.fixtures`")


def test_one_id_stands_for_one_rule() -> None:
    body = rule().removeprefix(b"formatVersion: 1\nrules:\n")
    [(message, line, _)] = problems(rule() + body)
    assert "written twice, first at p.yaml:3:9" in message
    assert line > 3


@pytest.mark.parametrize("data", [b"", b"[]", b"rules: []\n---\nrules: []", b"\xff\xfe", b"{"])
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    assert problems(data)


def test_the_digest_is_of_what_decides() -> None:
    digest = load_pack("p.yaml", rule()).digest()
    assert load_pack("other.yaml", b"# words\n" + rule().replace(b"Named", b"Owned")).digest() == digest
    for old, new in [
        (b"severity: high", b"severity: low"),
        (b"kinds: [Model]", b"kinds: [Model, Gate]"),
        (b"has(resource.metadata.owner)", b"has(resource.metadata.name)"),
        (b"    expression:", b"    when: 'true'\n    expression:"),
    ]:
        changed = rule().replace(old, new)
        assert changed != rule()
        assert load_pack("p.yaml", changed).digest() != digest
