"""Models are built when they are first used, each once."""

from __future__ import annotations

from llmops_spec.base import SpecModel


class Leaf(SpecModel):
    number: int = 1


class Branch(SpecModel):
    leaves: dict[str, Leaf | None]


class Tree(SpecModel):
    branches: list[Branch]
    again: Tree | None = None


class Elsewhere(SpecModel):
    leaf: Leaf


def test_what_a_model_holds_is_built_with_it_and_nothing_else_is() -> None:
    assert not Leaf.__pydantic_complete__
    tree = Tree.model_validate({"branches": [{"leaves": {"a": {"number": 2}}}], "again": {"branches": []}})
    assert Leaf.__pydantic_complete__
    assert Branch.__pydantic_complete__
    assert not Elsewhere.__pydantic_complete__
    assert tree.branches[0].leaves["a"] == Leaf(number=2)


def test_a_part_is_built_once() -> None:
    Tree.model_rebuild()
    schema = Leaf.__pydantic_core_schema__
    assert Elsewhere.model_validate({"leaf": {}}).leaf == Leaf()
    assert Leaf.__pydantic_core_schema__ is schema
