"""`Environment.spec.overrides`: at fault they are found in the overlay's file; sound they change one environment."""

from __future__ import annotations

import json

import pytest

from llmops.errors import Exit

from .conftest import Command

_SPEC = "spec:\n  target: {local: {gatewayPort: 8080}}\n"


def _override(quickstart: Command, text: str) -> None:
    path = quickstart.root / "environments" / "local.yaml"
    path.write_text(path.read_text() + f"  overrides:\n    {text}\n")


def _keys(quickstart: Command, environment: str = "local") -> dict[str, str]:
    plan = json.loads(quickstart("plan", "--env", environment, "--format", "json").out)["plan"]
    return {
        f"{one['step']['kind']}/{one['step']['name']}": one["step"]["key"]
        for one in plan["steps"]
        if "key" in one["step"]
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Trainig: {support-tune: {seed: 1}}", ["unknown-override", "`Training`"]),
        ("Environment: {local: {tier: staging}}", ["unknown-override", "`Environment`"]),
        ("Training: {support-tun: {seed: 1}}", ["unknown-override", "`support-tune`"]),
        ("Training: {support-tune: {sead: 1}}", ["unknown-key", "`seed`"]),
        ("Training: {support-tune: {seed: one}}", ["wrong-type", "a whole number"]),
        ("Training: {support-tune: {hyperParameters: {steps: 0}}}", ["invalid-value", "at least 1"]),
        ("Training: {support-tune: {hyperParameters: 7}}", ["wrong-type", "a mapping"]),
        ("Training: {support-tune: {base: support-bose}}", ["unknown-reference", "`support-base`"]),
        ("Training: {support-tune: 7}", ["wrong-type", "a mapping"]),
        ("Training: [support-tune]", ["wrong-type", "a mapping"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_an_overlay_is_found_in_its_file(quickstart: Command, text: str, said: list[str]) -> None:
    _override(quickstart, text)
    ended = quickstart("validate", code=Exit.FINDINGS)
    ended.says(*said)
    assert "--> environments/local.yaml:" in ended.out.split("\nhelp")[0]


def test_an_override_reaches_the_steps_of_its_environment_alone(quickstart: Command) -> None:
    (quickstart.root / "environments" / "other.yaml").write_text(
        (quickstart.root / "environments" / "local.yaml").read_text().replace("name: local", "name: other")
    )
    before = _keys(quickstart)
    assert {name for name, key in _keys(quickstart, "other").items() if before[name] != key} <= {
        "decide/support-quality",
        "decide/support-safety",
    }
    other = _keys(quickstart, "other")

    _override(quickstart, "Training: {support-tune: {seed: 41}}")

    changed = {name for name, key in _keys(quickstart).items() if before[name] != key}
    assert "train/support-tune" in changed
    assert "evaluate/support-eval" in changed
    assert "train/support-pretrain" not in changed
    assert not {name for name in changed if name.startswith(("fetch/", "check-data/"))}
    assert _keys(quickstart, "other") == other


def test_an_override_that_says_the_same_runs_nothing_again(quickstart: Command) -> None:
    before = _keys(quickstart)
    _override(quickstart, "Training: {support-tune: {seed: 0}}")
    assert _keys(quickstart) == before


def test_why_names_the_overlay_as_the_place_of_its_value(quickstart: Command) -> None:
    _override(quickstart, "Training: {support-tune: {hyperParameters: {learningRate: 0.25}}}")
    said = quickstart("why", "training/support-tune.spec.hyperParameters.learningRate", "--env", "local").out
    assert "`0.25`, set at environments/local.yaml:" in said
    said = quickstart("why", "training/support-tune.spec.hyperParameters.steps", "--env", "local").out
    assert "set at training.yaml:" in said
