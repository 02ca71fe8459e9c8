"""However a spec is written - YAML in any order, or Python printed - it means the same, to the byte."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.plan import identity, step_id
from llmops.workspace import Workspace
from llmops_spec import Dataset, Gate, Metadata, Prompt, PromptSpec, to_yaml
from llmops_spec.kinds import KINDS
from tests.harness.desk import QUICKSTART
from tests.harness.project import MemoryReader

from .conftest import Command

_FILES = {
    path.relative_to(QUICKSTART).as_posix(): path.read_bytes()
    for path in sorted(QUICKSTART.rglob("*"))
    if path.is_file() and path.suffix in (".yaml", ".jsonl", ".jinja") and ".llmops" not in path.parts
}
_SPEC_FILES = [name for name in _FILES if name.endswith(".yaml")]
_OTHERS = {name: data for name, data in _FILES.items() if name not in _SPEC_FILES}


def _documents() -> list[dict[str, Any]]:
    return [one for name in _SPEC_FILES for one in yaml.safe_load_all(_FILES[name])]


def _lowered(files: dict[str, bytes]) -> dict[str, dict[str, str]]:
    """Key or revision of every step of every environment: what decides whether it runs."""
    compilation = Workspace(root=Path("/nowhere"), files=MemoryReader({**_OTHERS, **files})).compile()
    assert compilation.sound, compilation.findings
    return {
        name: {step_id(step): identity(step) for step in one.lowered.steps}
        for name, one in compilation.environments.items()
        if one.lowered is not None
    }


@pytest.fixture(scope="module")
def as_written() -> dict[str, dict[str, str]]:
    return _lowered({name: _FILES[name] for name in _SPEC_FILES})


def test_resources_that_python_prints_compile_to_the_same_steps(as_written: dict[str, dict[str, str]]) -> None:
    resources = [KINDS[one["kind"]].model_validate(one) for one in _documents()]
    assert _lowered(_split(to_yaml(resources))) == as_written


def _split(text: str) -> dict[str, bytes]:
    """The project in its file, and everything else in one other."""
    parts = [one for one in text.split("---\n") if one.strip()]
    project = [one for one in parts if "kind: Project" in one]
    return {
        "llmops.yaml": project[0].encode(),
        "all.yaml": "---\n".join(one for one in parts if one not in project).encode(),
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_files_documents_and_keys_never_matters(as_written: dict[str, dict[str, str]], seed: int) -> None:
    chance = random.Random(seed)
    documents = [one for one in _documents() if one["kind"] != "Project"]
    chance.shuffle(documents)
    files: dict[str, bytes] = {"llmops.yaml": _FILES["llmops.yaml"]}
    for number, document in enumerate(documents):
        name = f"{chance.randrange(4)}/{chance.randrange(3)}.yaml"
        text = f"# number {number}\n" + yaml.safe_dump(_shuffled(document, chance), sort_keys=False)
        files[name] = files[name] + b"---\n" + text.encode() if name in files else text.encode()
    assert _lowered(files) == as_written


def _shuffled(value: Any, chance: random.Random) -> Any:
    """Mappings in another order. The order of rails, messages and criteria means something, and stays."""
    if isinstance(value, list):
        return [_shuffled(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: _shuffled(value[key], chance) for key in keys}


def test_compiling_twice_gives_equal_bytes(quickstart: Command) -> None:
    build = quickstart.root / "build" / "staging"
    trees: list[dict[str, bytes]] = []
    for _ in range(2):
        quickstart("compile", "--env", "staging")
        trees.append({str(path.relative_to(build)): path.read_bytes() for path in build.rglob("*") if path.is_file()})
        quickstart.write({"extra.yaml": "# a comment in a file of its own\n"})
    assert len(trees[0]) > 5
    assert trees[0] == trees[1]
    assert quickstart.root.name not in str(trees[0]["pulumi/__main__.py"])
    assert not [name for name, data in trees[0].items() if str(quickstart.root).encode() in data]


def test_a_plan_is_the_same_twice(quickstart: Command) -> None:
    first, second = (json.loads(quickstart("plan", "--env", "local", "--format", "json").out) for _ in range(2))
    assert first == second


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
_NAME = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_LABELS = st.dictionaries(_NAME, _TEXT)
_METADATA = st.builds(Metadata, name=_NAME, owner=st.none() | _TEXT, description=_TEXT, labels=_LABELS)
_SPLIT = st.fixed_dictionaries({"path": _TEXT, "rows": st.integers(1, 2**53 - 1)})
_PROMPTS = st.builds(
    Prompt,
    metadata=_METADATA,
    spec=st.builds(
        PromptSpec.model_validate,
        st.fixed_dictionaries(
            {
                "messages": st.lists(
                    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": _TEXT}), min_size=1
                ),
                "variables": st.dictionaries(_NAME, st.fixed_dictionaries({"maxTokens": st.integers(1, 1000)})),
                "output": st.fixed_dictionaries({"maxTokens": st.integers(1, 1000), "labels": st.lists(_TEXT)}),
            }
        ),
    ),
)
_DATASETS = st.builds(
    Dataset.model_validate,
    st.fixed_dictionaries(
        {
            "metadata": st.fixed_dictionaries({"name": _NAME}),
            "spec": st.fixed_dictionaries(
                {
                    "columns": st.dictionaries(_NAME, st.just({}), min_size=1),
                    "splits": st.dictionaries(_NAME, _SPLIT, min_size=1),
                    "licence": st.none() | _TEXT,
                    "limits": st.fixed_dictionaries({"duplicates": st.floats(0, 1), "leakage": st.floats(0, 1)}),
                }
            ),
        }
    ),
)
_GATES = st.builds(
    Gate.model_validate,
    st.fixed_dictionaries(
        {
            "metadata": st.fixed_dictionaries({"name": _NAME}),
            "spec": st.fixed_dictionaries(
                {
                    "evaluation": _NAME,
                    "criteria": st.lists(
                        st.fixed_dictionaries({"metric": _TEXT, "atLeast": st.floats(-1e9, 1e9)}), min_size=1
                    ),
                    "alpha": st.floats(1e-9, 0.499),
                }
            ),
        }
    ),
)


_LIKE_A_NUMBER = Prompt.model_validate(
    {
        "metadata": {"name": "0e0"},
        "spec": {
            "messages": [{"role": "user", "content": "1e5"}],
            "output": {
                "maxTokens": 1,
                "labels": ["0E0", "+1", ".5", "-.5E1", "0o7", "0x1F", "1_000", ".inf", "yes", "~"],
            },
        },
    }
)


@settings(deadline=None, max_examples=100)
@example([_LIKE_A_NUMBER])
@given(st.lists(_PROMPTS | _DATASETS | _GATES, min_size=1, max_size=3))
def test_what_is_printed_is_read_back_as_the_same(resources: list[Any]) -> None:
    from compiler.diagnostics.model import DiagnosticSink
    from compiler.documents import read_documents, type_document

    sink = DiagnosticSink()
    documents = read_documents("printed.yaml", to_yaml(resources).encode(), sink)
    read = [type_document(one, sink) for one in documents]
    assert sink.findings() == ()
    assert read == resources
