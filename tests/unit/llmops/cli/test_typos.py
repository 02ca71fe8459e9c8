"""A slip in any key of any kind is one finding, at that key, with the key that was meant."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.diagnostics.model import Diagnostic
from compiler.spec_fields import EACH, FieldPath, all_paths
from llmops.workspace import Workspace
from llmops_spec.kinds import KINDS
from tests.harness.desk import QUICKSTART
from tests.harness.project import MemoryReader

_PROJECT = {
    "apiVersion": "llmops.dev/v1alpha1",
    "kind": "Project",
    "metadata": {"name": "whole", "owner": "us", "labels": {}, "annotations": {}, "description": "All of it."},
    "spec": {"include": ["**/*.yaml"], "exclude": ["none.yaml"], "protectedBranch": "main"},
}
_TOKENS = ({"env": "HUB_TOKEN"}, {"file": "~/token"}, {"kubernetesSecret": {"name": "hub", "key": "token"}})
_Tree = dict[str, Any]


@cache
def _documents() -> dict[str, _Tree]:
    """Every document of the quickstart and of `every_field.yaml`, by a file of its own."""
    paths = [*sorted(QUICKSTART.rglob("*.yaml")), Path(__file__).with_name("every_field.yaml")]
    found = [one for path in paths if ".llmops" not in path.parts for one in yaml.safe_load_all(path.read_text())]
    named = {f"{one['kind'].lower()}-{one['metadata']['name']}.yaml": one for one in found if one["kind"] != "Project"}
    return {"llmops.yaml": _PROJECT, **named}


@cache
def _other_files() -> dict[str, bytes]:
    paths = [path for path in QUICKSTART.rglob("*") if path.is_file() and path.suffix in (".jsonl", ".jinja")]
    return {path.relative_to(QUICKSTART).as_posix(): path.read_bytes() for path in paths}


@cache
def _spec_files() -> dict[str, bytes]:
    return {file: _text(tree).encode() for file, tree in _documents().items()}


def _text(tree: _Tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False)


def _found(files: dict[str, bytes]) -> dict[tuple[str, str], Diagnostic]:
    extra = {"weights/model.safetensors": b"weights", "baselines/support.jsonl": b"{}\n"}
    reader = MemoryReader({**_other_files(), **extra, **files})
    compilation = Workspace(root=Path("/nowhere"), files=reader).compile()
    return {(one.name, one.message): one for one in compilation.findings}


@cache
def _before() -> dict[tuple[str, str], Diagnostic]:
    return _found(_spec_files())


def _places(value: Any, path: FieldPath, done: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a document writes a field."""
    if not path:
        yield done
        return
    if path[0] == EACH:
        keys: list[str | int] = list(range(len(value))) if isinstance(value, list) else list(value)
    else:
        keys = [path[0]] if isinstance(value, dict) and path[0] in value else []
    for key in keys:
        yield from _places(value[key], path[1:], (*done, key))


def _projects() -> Iterator[_Tree]:
    """The one project, with each way to name a secret."""
    for token in _TOKENS:
        sources = {"allowedHosts": ["models.example.com"], "hub": {"endpoint": "https://hub.example", "token": token}}
        yield {**_PROJECT, "spec": {**_PROJECT["spec"], "remoteCode": ["some/model"], "sources": sources}}


def _written(kind: str, path: FieldPath) -> tuple[str, _Tree, tuple[str | int, ...]]:
    projects = [("llmops.yaml", one) for one in _projects()]
    for file, tree in [*projects, *_documents().items()]:
        if tree["kind"] == kind:
            for place in _places(tree, path):
                return file, tree, place
    raise AssertionError(f"write {kind}.{'.'.join(path)} in every_field.yaml")


def _misspelt(tree: _Tree, place: tuple[str | int, ...]) -> tuple[_Tree, str]:
    """The tree with the last letter of one key doubled, in the same place of its mapping."""
    changed = copy.deepcopy(tree)
    parent: Any = changed
    for part in place[:-1]:
        parent = parent[part]
    wrong = f"{place[-1]}{str(place[-1])[-1]}"
    entries = [(wrong if key == place[-1] else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(entries)
    return changed, wrong


_EVERY = [(kind, path) for kind, model in KINDS.items() for path in all_paths(model)]


@pytest.mark.parametrize(("kind", "path"), _EVERY, ids=[f"{kind}.{'.'.join(path)}" for kind, path in _EVERY])
def test_a_misspelt_key_is_one_finding_at_its_place(kind: str, path: FieldPath) -> None:
    file, tree, place = _written(kind, path)
    changed, wrong = _misspelt(tree, place)

    found = _found({**_spec_files(), file: _text(changed).encode()})
    new = [one for key, one in found.items() if key not in _before()]

    assert [one.name for one in new] == ["unknown-key"], [one.message for one in new]
    assert new[0].message == f"unknown key `{wrong}`"
    assert f"`{path[-1]}`" in new[0].help
    assert new[0].span.file == file
    line = _text(changed).splitlines()[new[0].span.line - 1]
    assert line[new[0].span.column - 1 : new[0].span.end_column - 1] == wrong
