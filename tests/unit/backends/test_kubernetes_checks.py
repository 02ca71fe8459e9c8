"""What a cluster environment must say, and labels that it must not carry."""

from __future__ import annotations

import pytest

from backends.kubernetes.checks import DECLARED


def names(compiled):
    return [one.name for one in compiled.findings]


def test_the_example_is_clean(staging):
    assert staging.findings == ()


def test_images_are_required(spec):
    compiled = spec.remove("Environment", "staging", "spec.images").compile()
    assert names(compiled) == ["missing-image"]
    assert compiled.findings[0].span.line > 1
    assert compiled.lowered is None


def test_a_volume_is_required(spec):
    assert names(spec.remove("Environment", "staging", "spec.store").compile()) == ["missing-volume"]


@pytest.mark.parametrize("mlflow", [{}, {"uri": "sqlite:///mlflow.db"}, {"uri": "http://[::1"}])
def test_a_tracking_server_must_be_reachable(spec, mlflow):
    assert names(spec.set("Environment", "staging", "spec.tracking", {"mlflow": mlflow}).compile()) == [
        "unreachable-tracking"
    ]


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        ("labels", "team", "x\nspec:\n  hostNetwork: true"),
        ("labels", "team", "two words"),
        ("labels", "team", "-x"),
        ("labels", "team", "x" * 64),
        ("labels", "team\nspec", "x"),
        ("labels", "", "x"),
        ("labels", "a/b/c", "x"),
        ("labels", "Example.Org/team", "x"),
        ("labels", "llmops.dev/role", "gateway"),
        ("labels", "app.kubernetes.io/name", "x"),
        ("annotations", "two words", "x"),
        ("annotations", "llmops.dev/owner", "x"),
        ("annotations", "long", "x" * 140_000),
    ],
)
def test_what_a_cluster_would_refuse_is_refused_here(spec, field, key, value):
    compiled = spec.set("Service", "support", f"metadata.{field}", {key: value}).compile()
    assert names(compiled) == ["unusable-label"]
    assert "\n" not in compiled.findings[0].message


@pytest.mark.parametrize("value", ["", "a", "A.b_c-9", "x" * 63])
def test_sound_labels_are_carried_to_objects_and_pods(spec, value):
    compiled = spec.set("Service", "support", "metadata.labels", {"example.org/team": value}).compile()
    for body in compiled.standing:
        if body["metadata"]["name"].startswith("support-") and body["kind"] != "Namespace":
            assert body["metadata"]["labels"]["example.org/team"] == value
    pod = compiled.one("Deployment", "support-gateway")["spec"]["template"]["metadata"]
    assert pod["labels"]["example.org/team"] == value


def test_another_environments_labels_are_its_own_affair(spec):
    assert names(spec.set("Environment", "local", "metadata.labels", {"a b": "c"}).compile()) == []


def test_every_finding_has_its_page_name():
    assert [one.name for one in DECLARED] == sorted(one.name for one in DECLARED)
