"""Every field of the spec changes what is done on a desk, is refused or explained there, or is read by others."""

from __future__ import annotations

import pytest

from backends.local.backend import ABILITIES
from compiler import unmade
from compiler.ports import Ability
from tests.harness.field_edits import (
    CHECKED,
    EDITS,
    UNMADE,
    Edit,
    add_alternatives,
    covered,
    edit,
    errors_and_differences,
    fields,
    metadata_edits,
    refused,
    unread,
)

READ_ELSEWHERE = {
    **CHECKED,
    "Dataset.spec.licence": "policies/packs/default.yaml",
    "Model.spec.licence": "policies/packs/default.yaml",
    "Environment.spec.tier": "policies.engine",
    "Environment.spec.store.file.path": "llmops.apply.site",
    "Environment.spec.tracking.mlflow.uri": "llmops.apply.site",
    "Environment.spec.tracking.mlflow.experiment": "llmops.apply.site",
    "Environment.spec.tracking.mlflow.token.env": "llmops.io.secrets",
    "Environment.spec.tracking.mlflow.token.file": "llmops.io.secrets",
    "Project.spec.protectedBranch": "backends.ci.backend",
    "Project.spec.include": "compiler.passes.load",
    "Project.spec.exclude": "compiler.passes.load",
}
"""Fields that change no step of a desk. May only shrink, or grow with the reader's name."""

OWN = [
    edit("Environment", "local", "target.local.gatewayPort", 9000),
    edit("Environment", "local", "target.local.ports", {"support": 9001}),
    edit("Environment", "local", "overrides", {"Service": {"support": {"smoke": {"question": "Else?"}}}}),
]
ALL = [*EDITS, *OWN]

RESOURCES = {
    "Dataset": "support",
    "Environment": "local",
    "Evaluation": "support-eval",
    "Gate": "support-quality",
    "Guardrail": "support-rails",
    "Model": "tiny-llama",
    "Project": "quickstart",
    "Prompt": "support-answer",
    "Service": "support",
    "Training": "support-tune",
}
STATED = [
    edit("Service", "support", "replicas", 4),
    edit("Service", "support", "resources.cpu", "7"),
    edit("Service", "support", "resources.memory", "7Gi"),
    edit("Environment", "local", "images", {"runtime": "a", "engine": "b"}),
    edit("Environment", "local", "store", {"pvc": {"claim": "c"}}, "store.pvc"),
    edit("Environment", "local", "gpuPools", [{"name": "a", "gpu": "L4", "gpusPerNode": 1, "quota": 1}]),
    edit(
        "Environment",
        "local",
        "tracking",
        {"mlflow": {"uri": "http://x", "token": {"kubernetesSecret": {"name": "a", "key": "b"}}}},
        "tracking.mlflow.token.kubernetesSecret",
    ),
    *(one for one in metadata_edits(RESOURCES) if one.field.endswith((".labels", ".annotations"))),
]
UNCHANGING = {
    "owner": "policies/packs/default.yaml",
    "description": "",
}
"""Metadata with which a desk does nothing, and who reads it: of descriptions, people alone."""


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.field)
def test_the_field_has_an_effect(new_spec, one: Edit):
    assert errors_and_differences(new_spec, one, "local") == ([], True)


@pytest.mark.parametrize("one", STATED, ids=lambda one: one.field)
def test_what_the_target_states_is_so(new_spec, one: Edit):
    (stated,) = {ability for field, ability in ABILITIES.items() if covered(one.field, [field])}
    errors, differs = errors_and_differences(new_spec, one, "local")
    assert not differs
    if stated.ability is Ability.UNSUPPORTED:
        assert [error.partition(":")[0] for error in errors] == ["unsupported-field"]
        return
    assert errors == []
    spec = new_spec()
    add_alternatives(spec)
    notes = spec.set(*one.change).compile("local").lowered.notes
    kind, name, path, _ = one.change
    told = [note for note in notes if note.startswith(f"{kind.lower()} {name}: ") and note.endswith(stated.reason)]
    assert [note for note in told if f"`{path}`" in note or f"`{path.rpartition('.')[0]}`" in note]


def test_no_field_is_forgotten():
    edited = {one.field for one in ALL}
    every = fields("spec")
    assert {one for one in every - edited - set(READ_ELSEWHERE) if not covered(one, ABILITIES)} == set()
    assert edited | set(READ_ELSEWHERE) <= every
    assert edited.isdisjoint(READ_ELSEWHERE)
    assert not [one for one in edited if covered(one, ABILITIES)]


@pytest.mark.parametrize("one", metadata_edits(RESOURCES), ids=lambda one: one.field)
def test_metadata_changes_nothing_and_is_stated_or_read_elsewhere(new_spec, one: Edit):
    assert errors_and_differences(new_spec, one, "local") == ([], False)
    assert covered(one.field, ABILITIES) != (one.field.rpartition(".")[2] in UNCHANGING)


def test_no_metadata_is_forgotten():
    tried = {one.field for one in metadata_edits(RESOURCES)}
    assert {one for one in fields("metadata") - tried if not one.startswith("Retriever.")} == {
        f"{kind}.metadata.name" for kind in RESOURCES
    }


def test_every_statement_is_tried():
    tried = {field for field in ABILITIES if any(covered(one.field, [field]) for one in STATED)}
    untried = {one for one in ABILITIES.keys() - tried - UNMADE.keys() if not one.startswith("Retriever.")}
    assert untried == {
        "Environment.spec.target.kubernetes"  # an environment has one target, and this back end is not asked of others
    }


def test_readers_read():
    assert list(unread(READ_ELSEWHERE)) == []
    assert list(unread({f"Model.metadata.{part}": reader for part, reader in UNCHANGING.items() if reader})) == []


@pytest.mark.parametrize("field", sorted(UNMADE))
def test_what_nothing_is_made_of_is_refused_at_the_field(new_spec, field: str):
    assert len(refused(new_spec, field, "local")) == 1


def test_everything_that_nothing_is_made_of_is_tried():
    assert UNMADE.keys() == unmade.UNMADE.keys()
