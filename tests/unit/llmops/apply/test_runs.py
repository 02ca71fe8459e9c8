"""What runs, what is cached, and what runs again: on a desk with quick workers."""

from pathlib import Path

import pytest

from compiler.plan import Action, identity, step_id
from llmops.errors import Exit
from tests.harness.desk import Desk


def _to_run(desk: Desk) -> set[str]:
    return {step_id(one.step) for one in desk.plan().steps if one.action is Action.RUN}


def test_a_first_apply_does_everything_and_the_next_plan_is_empty(desk: Desk) -> None:
    outcome = desk.apply()

    assert outcome.exit_code is Exit.CLEAN, outcome.failure
    assert {verdict.verdict for verdict in outcome.verdicts.values()} == {"pass"}
    assert "train/support-tune" in desk.ran()
    assert _to_run(desk) == set()


def test_a_second_apply_does_nothing(desk: Desk) -> None:
    desk.apply()
    desk.ran()

    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.ran() == []


def test_a_second_checkout_that_names_the_same_store_trains_nothing(desk: Desk, tmp_path: Path) -> None:
    shared = f"\n  store: {{file: {{path: {tmp_path / 'shared'}}}}}\n"
    desk.edit("environments/local.yaml", "\nspec:\n", f"\nspec:{shared}")
    desk.apply()
    other = Desk.of_quickstart(tmp_path / "other")
    other.edit("environments/local.yaml", "\nspec:\n", f"\nspec:{shared}")

    assert other.apply().exit_code is Exit.CLEAN
    assert other.ran() == ["roll-out/support", "ask/support"]
    other.close()


def test_a_served_prompt_reruns_evaluations_and_what_follows_and_no_training(desk: Desk) -> None:
    desk.apply()
    text = (desk.root / "prompts.yaml").read_text()
    head, served = text.split("name: support-answer")
    (desk.root / "prompts.yaml").write_text(
        head + "name: support-answer" + served.replace("question about", "question on")
    )

    assert _to_run(desk) == {
        "evaluate/support-eval",
        "evaluate/support-eval@support-base",
        "decide/support-quality",
        "decide/support-safety",
        "roll-out/support",
        "verify/support",
        "record/local",
    }


def test_a_prompt_that_the_training_is_rendered_through_reruns_that_training_and_no_other(desk: Desk) -> None:
    desk.apply()
    text = (desk.root / "prompts.yaml").read_text()
    trained, rest = text.split("name: support-answer")
    (desk.root / "prompts.yaml").write_text(
        trained.replace('"{{ instruction }}"', '"{{ instruction }}!"') + "name: support-answer" + rest
    )

    runs = _to_run(desk)

    assert "train/support-tune" in runs
    assert "train/support-pretrain" not in runs


def test_a_learning_rate_reruns_its_training_and_what_follows(desk: Desk) -> None:
    desk.apply()
    desk.edit("training.yaml", "learningRate: 0.00", "learningRate: 0.01")

    runs = _to_run(desk)

    assert {"train/support-tune", "evaluate/support-eval", "decide/support-quality", "roll-out/support"} <= runs
    assert not {one for one in runs if one.startswith(("fetch", "check-data"))}


def test_comments_order_and_moved_files_run_nothing_again(desk: Desk) -> None:
    desk.apply()
    (desk.root / "prompts.yaml").write_text("# a comment\n" + (desk.root / "prompts.yaml").read_text())
    (desk.root / "sub").mkdir()
    (desk.root / "data" / "heldout.jsonl").rename(desk.root / "sub" / "held-out.jsonl")
    desk.edit("data.yaml", "data/heldout.jsonl", "sub/held-out.jsonl")
    documents = (desk.root / "models.yaml").read_text().split("\n---\n")
    (desk.root / "models.yaml").unlink()
    (desk.root / "sub" / "reordered.yaml").write_text("\n---\n".join(reversed(documents)))

    assert {one for one in _to_run(desk) if not one.startswith(("record", "fetch"))} == set()
    assert desk.apply().exit_code is Exit.CLEAN


def test_a_service_that_died_is_started_again_and_nothing_else_runs(desk: Desk) -> None:
    desk.apply()
    desk.ran()
    assert desk.workers is not None
    (server,) = desk.workers.serving.values()
    server.shutdown()
    server.server_close()

    assert _to_run(desk) == {"roll-out/support", "verify/support", "record/local"}


def test_a_gate_that_fails_stops_the_release_and_the_old_service_stays(desk: Desk) -> None:
    desk.apply()
    desk.ran()
    with desk.site() as (site, _):
        before = site.live_pairs()["support"]
    tune = (desk.root / "training.yaml").read_text().split("name: support-tune")
    (desk.root / "training.yaml").write_text(tune[0] + "name: support-tune" + _zero(tune[1]))

    outcome = desk.apply()

    assert outcome.exit_code is Exit.GATE_FAILED
    assert outcome.failure is not None
    assert "support-quality" in outcome.failure.what
    assert "roll-out/support" not in desk.ran()
    reasons = {step_id(one.step): one.reason for one in desk.plan().steps}
    assert reasons["decide/support-quality"] == "decided: fail, which stops a release"
    said = "`apply` stops before roll-out/support: decide/support-quality"
    assert [one for one in desk.plan().notes if one.startswith(said)]
    with desk.site() as (site, _):
        assert site.live_pairs()["support"] == before
        assert before.is_healthy()


def test_an_instruction_that_asks_for_something_else_is_stopped(desk: Desk) -> None:
    desk.apply()
    head, served = (desk.root / "prompts.yaml").read_text().split("name: support-answer")
    (desk.root / "prompts.yaml").write_text(
        head + "name: support-answer" + served.replace("Answer the question", "Translate the question")
    )

    outcome = desk.apply()

    assert outcome.exit_code is Exit.GATE_FAILED
    failed = [one for one in outcome.verdicts["support-quality"].criteria if one.verdict == "fail"]
    assert failed
    assert all(one.estimate is not None and one.bar is not None for one in failed if one.metric == "exact-match")


def test_a_service_that_the_spec_no_longer_has_is_stopped(desk: Desk) -> None:
    desk.apply()
    (desk.root / "service.yaml").unlink()

    assert desk.plan().removals == ["support"]
    assert desk.apply().exit_code is Exit.CLEAN
    assert desk.plan().removals == []
    with desk.site() as (site, _):
        assert site.live_pairs() == {}


def _zero(text: str) -> str:
    lines = ["    learningRate: 0.0" if "learningRate" in line else line for line in text.split("\n")]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("instruction: {maxTokens: 90, trust: trusted}", "instruction: {maxTokens: 91, trust: trusted}"),
        ("output: {maxTokens: 100}", "output: {maxTokens: 101}"),
    ],
    ids=["variable", "output"],
)
def test_a_budget_of_the_prompt_that_rows_are_rendered_through_moves_no_key(desk: Desk, old: str, new: str) -> None:
    before = _keys(desk)
    desk.edit("prompts.yaml", old, new)

    assert _keys(desk) == before


def _keys(desk: Desk) -> dict[str, str]:
    return {step_id(one.step): identity(one.step) for one in desk.plan().steps}
