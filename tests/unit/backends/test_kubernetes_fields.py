"""Every field of the spec has an effect on what a cluster is given, is refused there, or is read by others."""

from __future__ import annotations

import pytest

from backends.kubernetes.backend import ABILITIES
from compiler import unmade
from compiler.ports import Ability
from tests.harness.field_edits import (
    CHECKED,
    EDITS,
    UNMADE,
    Edit,
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
    **{
        f"Environment.spec.gpuPools.*.{part}": "compiler.checks.placement"
        for part in ("name", "gpu", "gpusPerNode", "quota", "reserved", "driverCuda")
    },
    "Environment.spec.gpuPools.*.readGibPerSecond": "compiler.checks.engine_compatibility",
    "Environment.spec.store.pvc.accessMode": "compiler.checks.placement",
    "Environment.spec.target.kubernetes.apis": "compiler.checks.placement",
    "Dataset.spec.licence": "policies/packs/default.yaml",
    "Model.spec.licence": "policies/packs/default.yaml",
    "Environment.spec.tier": "policies.engine",
    "Project.spec.protectedBranch": "backends.ci.backend",
    "Project.spec.include": "compiler.passes.load",
    "Project.spec.exclude": "compiler.passes.load",
}
"""Fields that change no step and no object of a cluster. May only shrink, or grow with the reader's name."""

OWN = [
    edit("Environment", "staging", "target.kubernetes.namespace", "elsewhere"),
    edit("Environment", "staging", "target.kubernetes.version", "1.35"),
    edit("Environment", "staging", "store.pvc.claim", "other-claim"),
    edit("Environment", "staging", "images.runtime", "other/image"),
    edit("Environment", "staging", "images.engine", "other/image"),
    edit("Environment", "staging", "tracking", {"mlflow": {"uri": "http://mlflow:5000"}}, "tracking.mlflow.uri"),
    edit(
        "Environment",
        "staging",
        "tracking",
        {"mlflow": {"uri": "http://mlflow:5000", "experiment": "other"}},
        "tracking.mlflow.experiment",
        ("Environment", "staging", "tracking", {"mlflow": {"uri": "http://mlflow:5000"}}),
    ),
    *(
        edit(
            "Environment",
            "staging",
            "tracking",
            {
                "mlflow": {
                    "uri": "http://mlflow:5000",
                    "token": {"kubernetesSecret": {"name": "a", "key": "b", **other}},
                }
            },
            f"tracking.mlflow.token.kubernetesSecret.{next(iter(other))}",
            (
                "Environment",
                "staging",
                "tracking",
                {"mlflow": {"uri": "http://mlflow:5000", "token": {"kubernetesSecret": {"name": "a", "key": "b"}}}},
            ),
        )
        for other in ({"name": "c"}, {"key": "c"})
    ),
    edit("Environment", "staging", "overrides", {"Service": {"support": {"replicas": 5}}}),
    edit("Service", "support", "resources.cpu", "7"),
    edit("Service", "support", "resources.memory", "7Gi"),
    edit("Service", "support", "replicas", 4, None, ("Environment", "staging", "overrides", {})),
]
ALL = [*EDITS, *OWN]

RESOURCES = {
    "Dataset": "support",
    "Environment": "staging",
    "Evaluation": "support-eval",
    "Gate": "support-quality",
    "Guardrail": "support-rails",
    "Model": "tiny-llama",
    "Project": "quickstart",
    "Prompt": "support-answer",
    "Service": "support",
    "Training": "support-tune",
}
WITHOUT_OBJECTS = {"Gate", "Guardrail", "Model", "Project", "Prompt"}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.field)
def test_the_field_has_an_effect(new_spec, one: Edit):
    assert errors_and_differences(new_spec, one, "staging") == ([], True)


@pytest.mark.parametrize("one", metadata_edits(RESOURCES), ids=lambda one: one.field)
def test_metadata_is_carried_where_an_object_stands_for_the_resource(new_spec, one: Edit):
    kind, _, part = one.field.partition(".metadata.")
    carried = kind not in WITHOUT_OBJECTS and part != "description"  # people alone read descriptions
    assert errors_and_differences(new_spec, one, "staging") == ([], carried)
    stated = ABILITIES.get(one.field)
    assert (stated is not None and stated.ability is Ability.SATISFIED_TRIVIALLY) == (
        kind in WITHOUT_OBJECTS and part in ("labels", "annotations")
    )


def test_no_metadata_is_forgotten():
    tried = {one.field for one in metadata_edits(RESOURCES)}
    assert {one for one in fields("metadata") - tried if not one.startswith("Retriever.")} == {
        f"{kind}.metadata.name" for kind in RESOURCES
    }


def test_no_field_is_forgotten():
    edited = {one.field for one in ALL}
    every = fields("spec")
    assert {one for one in every - edited - set(READ_ELSEWHERE) if not covered(one, ABILITIES)} == set()
    assert edited | set(READ_ELSEWHERE) <= every
    assert edited.isdisjoint(READ_ELSEWHERE)


def test_readers_read():
    assert list(unread(READ_ELSEWHERE)) == []


def test_what_a_cluster_cannot_honour_is_refused_at_the_field(spec):
    found = spec.set("Environment", "staging", "spec.store", {"file": {"path": "x"}}).compile().findings
    assert [(one.name, "spec.store.file" in one.message) for one in found] == [("unsupported-field", True)]


@pytest.mark.parametrize("field", sorted(UNMADE))
def test_what_nothing_is_made_of_is_refused_at_the_field(new_spec, field: str):
    assert len(refused(new_spec, field, "staging")) == 1


def test_everything_that_nothing_is_made_of_is_tried():
    assert UNMADE.keys() == unmade.UNMADE.keys()
