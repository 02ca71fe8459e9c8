"""Gates of the base revision judge a change beside its own."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compiler.plan import Decide, Fetch, RollOut, step_id
from llmops.apply.journal import Entry
from llmops.apply.judge import open_verifier
from llmops.apply.planning import make_plan, read_plan, refuse_moved, write_plan
from llmops.apply.trust import configuration_folder
from llmops.cli.main import run
from llmops.cli.plan_text import plan_text
from llmops.errors import Exit, OperationFailed
from llmops.judging import choose_base, compile_judged
from llmops.report.gather import write_report
from llmops.workspace import open_workspace
from policies.evidence.envelope import opened
from tests.harness.desk import Desk


def _git(root: Path, *words: str) -> str:
    said = subprocess.run(
        ["git", "-c", "user.name=us", "-c", "user.email=us@example.org", "-c", "commit.gpgsign=false", *words],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()


_NUMBERS = itertools.count()
"""Two commits that differ in nothing would be one."""


def _commit(root: Path) -> str:
    _git(root, "add", ".")
    _git(root, "commit", "-q", "--allow-empty", "-m", f"change {next(_NUMBERS)}")
    return _git(root, "rev-parse", "HEAD")


@pytest.fixture
def reviewed(desk: Desk) -> Desk:
    """The quickstart, with its first commit on the protected branch."""
    _git(desk.root, "init", "-q", "-b", "main")
    (desk.root / ".gitignore").write_text(".llmops/\n")
    _commit(desk.root)
    return desk


def _worse_model(desk: Desk) -> None:
    head, tuning = (desk.root / "training.yaml").read_text().split("name: support-tune")
    lines = ["    learningRate: 0.0" if "learningRate" in line else line for line in tuning.split("\n")]
    (desk.root / "training.yaml").write_text(head + "name: support-tune" + "\n".join(lines))


_OWN_BARS = """\
apiVersion: llmops.dev/v1alpha1
kind: Gate
metadata: {name: support-quality, owner: team-support}
spec:
  evaluation: support-eval
  criteria:
    - {metric: latency-seconds, quantile: 0.95, atMost: 5.0}
---
apiVersion: llmops.dev/v1alpha1
kind: Gate
metadata: {name: support-safety, owner: team-support}
spec:
  evaluation: support-eval
  criteria:
    - {metric: latency-seconds, quantile: 0.95, atMost: 5.0}
"""


def _lower_the_bar(desk: Desk) -> None:
    (desk.root / "gates.yaml").write_text(_OWN_BARS)


def _decisions(desk: Desk, against: str = "main") -> list[str]:
    with desk.site(against) as (_, compilation):
        lowered = compilation.environments["local"].lowered
        assert lowered is not None
        return [step_id(one) for one in lowered.steps if isinstance(one, Decide)]


def test_a_change_that_lowers_the_bar_for_a_worse_model_is_stopped_by_the_bar_that_was_reviewed(reviewed: Desk) -> None:
    _worse_model(reviewed)
    _lower_the_bar(reviewed)

    outcome = reviewed.apply(against="main")

    assert outcome.exit_code is Exit.GATE_FAILED
    assert {gate: verdict.verdict for gate, verdict in outcome.verdicts.items()} == {
        "support-quality": "pass",
        "support-safety": "pass",
        "support-quality@BASE": "fail",
        "support-safety@BASE": "fail",
    }
    assert outcome.failure is not None
    assert "`support-quality@BASE`" in outcome.failure.what
    assert "roll-out/support" not in reviewed.ran()


def test_the_same_change_passes_by_the_working_tree_alone(reviewed: Desk) -> None:
    """So it was the base that stopped it."""
    _worse_model(reviewed)
    _lower_the_bar(reviewed)
    assert reviewed.apply().exit_code is Exit.CLEAN


def test_where_the_change_leaves_gates_alone_the_base_adds_nothing(reviewed: Desk) -> None:
    _worse_model(reviewed)
    assert _decisions(reviewed) == ["decide/support-quality", "decide/support-safety"]
    assert reviewed.apply(against="main").exit_code is Exit.GATE_FAILED


def test_training_rows_may_grow_and_gates_stay_one_version(reviewed: Desk) -> None:
    path = next((reviewed.root / "data").glob("train*.jsonl"))
    path.write_text(
        path.read_text() + path.read_text().split("\n", maxsplit=1)[0].replace('item_id": "', 'item_id": "new-') + "\n"
    )
    assert _decisions(reviewed) == ["decide/support-quality", "decide/support-safety"]


# --- ways around a gate


def test_a_gate_that_the_change_deletes_judges_it_all_the_same(reviewed: Desk) -> None:
    _worse_model(reviewed)
    gates = (reviewed.root / "gates.yaml").read_text().split("\n---\n")
    (reviewed.root / "gates.yaml").write_text(gates[1])
    reviewed.edit("service.yaml", "support-quality, ", "")

    assert _decisions(reviewed) == ["decide/support-safety", "decide/support-quality@BASE"]
    assert reviewed.apply(against="main").exit_code is Exit.GATE_FAILED
    assert "roll-out/support" not in reviewed.ran()


def test_a_gate_that_the_service_names_no_more_judges_it_all_the_same(reviewed: Desk) -> None:
    _worse_model(reviewed)
    reviewed.edit("service.yaml", "support-quality, ", "")

    plan = reviewed.plan(against="main")

    roll_out = next(one.step for one in plan.steps if isinstance(one.step, RollOut))
    assert set(roll_out.gates) == {"decide/support-quality", "decide/support-safety"}
    said = f"service `support` no longer names gate `support-quality`, which base revision {plan.base[:12]} requires"
    assert said in plan.notes
    assert not any("no longer names" in one for one in reviewed.plan().notes)
    assert reviewed.apply(against="main").exit_code is Exit.GATE_FAILED


def test_rows_that_the_change_drops_are_measured_as_they_were_reviewed(reviewed: Desk) -> None:
    path = reviewed.root / "data" / "heldout.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:-1]))
    reviewed.edit("data.yaml", f"rows: {len(rows)}", f"rows: {len(rows) - 1}")

    plan = reviewed.plan(against="main")
    fetched = next(one.step for one in plan.steps if one.step.name == "support@BASE@heldout")
    assert isinstance(fetched, Fetch)
    assert fetched.files["rows.jsonl"].path == f"{plan.base}:data/heldout.jsonl"
    outcome = reviewed.apply(against="main")

    assert outcome.exit_code is Exit.CLEAN, outcome.failure
    counts = {gate: one.criteria[0].counts.planned for gate, one in outcome.verdicts.items() if "quality" in gate}
    assert counts["support-quality@BASE"] == counts["support-quality"] + 1


def test_a_renamed_service_does_not_leave_its_gates_behind(reviewed: Desk) -> None:
    reviewed.edit("service.yaml", "name: support\n", "name: support2\n")
    assert _denied(reviewed) == [
        "gate `support-quality` judged service `support`, which is gone while `support2` is new",
        "gate `support-safety` judged service `support`, which is gone while `support2` is new",
    ]


_SECOND = """\
---
apiVersion: llmops.dev/v1alpha1
kind: Service
metadata: {name: support-b, owner: team-support}
spec:
  model: support-lora
  prompt: support-answer
  guardrails: [support-rails]
  gates: [GATES]
  smoke: {question: "How do I change the units?"}
"""

_OWN_GATE = """\
---
apiVersion: llmops.dev/v1alpha1
kind: Gate
metadata: {name: weak, owner: team-support}
spec:
  evaluation: support-eval
  criteria:
    - {metric: latency-seconds, quantile: 0.95, atMost: 5.0}
"""


def _two_services(desk: Desk) -> None:
    """A second service of the same system behind the same gates, on the protected branch."""
    path = desk.root / "service.yaml"
    path.write_text(path.read_text() + _SECOND.replace("GATES", "support-quality, support-safety"))
    _commit(desk.root)


def test_a_renamed_service_does_not_leave_its_gates_to_one_that_shared_them(reviewed: Desk) -> None:
    _two_services(reviewed)
    path = reviewed.root / "service.yaml"
    first, second = path.read_text().split("---\n")
    renamed = first.replace("name: support\n", "name: support2\n").replace(
        "[support-quality, support-safety]", "[weak]"
    )
    path.write_text(renamed + "---\n" + second)
    (reviewed.root / "gates.yaml").write_text((reviewed.root / "gates.yaml").read_text() + _OWN_GATE)

    assert _denied(reviewed) == [
        "gate `support-quality` judged service `support`, which is gone while `support2` is new",
        "gate `support-safety` judged service `support`, which is gone while `support2` is new",
    ]


def test_a_service_that_takes_over_what_another_served_takes_its_gates_over_too(reviewed: Desk) -> None:
    """`support-b` had the base model behind a gate of its own; now it has the tuned one, and `support` is gone."""
    path = reviewed.root / "service.yaml"
    first, second = path.read_text(), _SECOND.replace("GATES", "weak")
    path.write_text(first + second.replace("model: support-lora", "model: support-base"))
    evaluations = reviewed.root / "evaluation.yaml"
    own = evaluations.read_text().replace("name: support-eval", "name: own-eval")
    evaluations.write_text(
        evaluations.read_text() + "---\n" + own.replace("model: support-lora", "model: support-base")
    )
    gates = reviewed.root / "gates.yaml"
    gates.write_text(gates.read_text() + _OWN_GATE.replace("support-eval", "own-eval"))
    _commit(reviewed.root)

    path.write_text(second)
    evaluations.write_text(evaluations.read_text().replace("model: support-base", "model: support-lora"))

    assert _denied(reviewed) == [
        f"gate `{gate}` judged service `support`, which is gone while `support-b` took over its model or prompt"
        for gate in ("support-quality", "support-safety")
    ]


def test_a_service_may_be_taken_away(reviewed: Desk) -> None:
    _two_services(reviewed)
    path = reviewed.root / "service.yaml"
    path.write_text(path.read_text().split("---\n")[0])

    plan = reviewed.plan(against="main")

    assert [one.rule for one in plan.policies if one.blocks] == []
    assert _decisions(reviewed) == ["decide/support-quality", "decide/support-safety"]


def test_a_service_that_is_added_is_judged_by_the_gates_that_it_names(reviewed: Desk) -> None:
    """Nothing that was reviewed speaks of it; what was there keeps its own gates."""
    path = reviewed.root / "service.yaml"
    path.write_text(path.read_text() + _SECOND.replace("GATES", "weak"))
    (reviewed.root / "gates.yaml").write_text((reviewed.root / "gates.yaml").read_text() + _OWN_GATE)

    plan = reviewed.plan(against="main")

    assert [one.rule for one in plan.policies if one.blocks] == []
    gates = {one.step.name: set(one.step.gates) for one in plan.steps if isinstance(one.step, RollOut)}
    assert gates == {
        "support": {"decide/support-quality", "decide/support-safety"},
        "support-b": {"decide/weak"},
    }


# --- where the base cannot run


def _denied(desk: Desk, against: str = "main") -> list[str]:
    """Why gates of the base cannot judge the change; each denies the plan."""
    denied = [one for one in desk.plan(against).policies if one.blocks]
    assert {one.rule for one in denied} == {"base-cannot-run"}
    assert ": its gates cannot judge this change\n" in plan_text(desk.plan(against))
    assert desk.plan(against).denied
    return [one.message.partition("cannot judge this change: ")[2] for one in denied]


def test_a_prompt_that_asks_for_what_the_reviewed_rows_do_not_have_needs_another_owner(reviewed: Desk) -> None:
    for path in (reviewed.root / "data").glob("*.jsonl"):
        path.write_text(path.read_text().replace('"question":', '"asked":'))
    for name in ("data.yaml", "prompts.yaml", "service.yaml"):
        text = (reviewed.root / name).read_text()
        (reviewed.root / name).write_text(re.sub(r"\bquestion\b(?!_)", "asked", text))

    said = "variable `asked` of prompt `support-answer` is not a column of dataset `support`"
    assert _denied(reviewed) == [said]


def test_a_baseline_that_is_gone_needs_another_owner(reviewed: Desk) -> None:
    reviewed.edit("gates.yaml", "    - {metric: exact-match, betterThan: {model: support-base}}\n", "")
    for name in ("models.yaml", "training.yaml"):
        text = (reviewed.root / name).read_text()
        (reviewed.root / name).write_text(text.replace("support-base", "support-start"))
    assert _denied(reviewed) == ["gate `support-quality` compares with model `support-base`, which is gone"]


def test_a_base_that_is_not_sound_or_lacks_the_environment_needs_another_owner(reviewed: Desk) -> None:
    sound = (reviewed.root / "gates.yaml").read_text()
    (reviewed.root / "gates.yaml").write_text(sound.replace("evaluation: support-eval", "evaluation: nowhere"))
    _commit(reviewed.root)
    (reviewed.root / "gates.yaml").write_text(sound)
    assert _denied(reviewed) == ["its spec is not sound: evaluation `nowhere` is not defined"]

    _git(reviewed.root, "rm", "-q", "--cached", "environments/local.yaml")
    _git(reviewed.root, "commit", "-q", "-a", "-m", "no desk")
    assert _denied(reviewed) == ["its spec is not sound: environment `local` is not defined"]


def test_gate_run_ends_with_the_code_of_a_policy_where_the_base_cannot_run(
    reviewed: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.edit("service.yaml", "name: support\n", "name: support2\n")
    words = ["-C", str(reviewed.root), "plan", "--env", "local", "--against", "main"]
    assert run(words) == Exit.POLICY_FAILED
    assert "denied[base-cannot-run]" in capsys.readouterr().out
    for command in (["apply"], ["gate", "run"]):
        assert run(["-C", str(reviewed.root), *command, "--env", "local", "--against", "main"]) == Exit.POLICY_FAILED
        said = capsys.readouterr().err.splitlines()
        assert [one for one in said if one.startswith("error")] == [
            "error: policies deny this plan, and nothing ran: base-cannot-run"
        ]
        with reviewed.site("main") as (site, _):
            assert list(site.journal.entries()) == []
    assert run(["explain", "base-cannot-run"]) == Exit.CLEAN


# --- which base


def test_a_revision_that_is_none_gives_one_clear_message(reviewed: Desk) -> None:
    for unknown in ("no-such-branch", "0" * 40, "--upload-pack=x", "main:gates.yaml"):
        with pytest.raises(OperationFailed) as refused:
            reviewed.plan(against=unknown)
        assert refused.value.what.startswith(f"there is no revision `{unknown}`")
        assert "--against" in refused.value.help


def test_a_desk_takes_its_working_tree_and_a_folder_without_git_is_a_bootstrap(desk: Desk) -> None:
    assert desk.plan().base == "bootstrap"
    _git(desk.root, "init", "-q", "-b", "main")
    assert desk.plan().base == "bootstrap"  # nothing is committed, so nothing was reviewed
    _commit(desk.root)
    assert desk.plan().base == "working-tree"


def test_a_cluster_is_judged_by_what_its_change_has_in_common_with_the_protected_branch(reviewed: Desk) -> None:
    graph = open_workspace(reviewed.root).compile("staging").environments["staging"].graph
    reviewed_commit = _git(reviewed.root, "rev-parse", "main")
    assert choose_base(reviewed.root, graph, None) == reviewed_commit
    _git(reviewed.root, "switch", "-q", "-c", "change")
    _commit(reviewed.root)
    _git(reviewed.root, "switch", "-q", "main")
    applied = _commit(reviewed.root)
    assert choose_base(reviewed.root, graph, None) == applied
    _git(reviewed.root, "switch", "-q", "change")
    assert choose_base(reviewed.root, graph, None) == reviewed_commit
    assert choose_base(reviewed.root, graph, "main") == applied

    _git(reviewed.root, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert choose_base(reviewed.root, graph, None) == _git(reviewed.root, "rev-parse", "HEAD")
    _git(reviewed.root, "update-ref", "-d", "refs/remotes/origin/main")
    _git(reviewed.root, "branch", "-q", "-D", "main")
    with pytest.raises(OperationFailed, match="protected branch `main` is not in this repository"):
        choose_base(reviewed.root, graph, None)


def _moves_protection(desk: Desk) -> None:
    """On a branch `mine`, the change makes that branch the protected one."""
    _git(desk.root, "switch", "-q", "-c", "mine")
    path = desk.root / "llmops.yaml"
    text = path.read_text()
    path.write_text(text.replace("\nspec:\n", "\nspec:\n  protectedBranch: mine\n"))
    if path.read_text() == text:
        path.write_text(text + "spec:\n  protectedBranch: mine\n")


def _staging_is_denied(desk: Desk) -> list[str]:
    judged = compile_judged(open_workspace(desk.root), "staging")
    said = [one.message for one in judged.compilation.denials if one.rule == "base-cannot-run"]
    return [one.partition("cannot judge this change: ")[2] for one in said]


def test_a_change_does_not_choose_its_base_by_moving_the_protected_branch(reviewed: Desk) -> None:
    assert _staging_is_denied(reviewed) == []
    _moves_protection(reviewed)
    said = "it makes `mine` the protected branch in place of `main`, and so chooses its own base"
    assert _staging_is_denied(reviewed) == [said]


def test_the_default_branch_of_the_remote_says_which_branch_is_protected(reviewed: Desk) -> None:
    """So a branch that names itself, and was committed, is no base."""
    reviewed_commit = _git(reviewed.root, "rev-parse", "main")
    _git(reviewed.root, "update-ref", "refs/remotes/origin/main", "main")
    _git(reviewed.root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    _moves_protection(reviewed)
    own = _commit(reviewed.root)

    judged = compile_judged(open_workspace(reviewed.root), "staging")

    assert judged.base == reviewed_commit != own
    assert _staging_is_denied(reviewed) == []
    assert compile_judged(open_workspace(reviewed.root), "staging", against="HEAD").base == own


def test_an_environment_that_the_default_branch_lacks_is_judged_by_that_branch(reviewed: Desk) -> None:
    _git(reviewed.root, "rm", "-q", "--cached", "environments/staging.yaml")
    _git(reviewed.root, "commit", "-q", "-m", "no staging")
    without = _git(reviewed.root, "rev-parse", "HEAD")
    _git(reviewed.root, "update-ref", "refs/remotes/origin/main", "main")
    _git(reviewed.root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    _moves_protection(reviewed)
    _commit(reviewed.root)

    judged = compile_judged(open_workspace(reviewed.root), "staging")

    assert judged.base == without
    assert _staging_is_denied(reviewed) == ["its spec is not sound: environment `staging` is not defined"]


def test_production_refuses_a_folder_without_git_before_anything_runs(desk: Desk) -> None:
    desk.edit("environments/local.yaml", "\nspec:\n", "\nspec:\n  tier: production\n")
    denied = [one.rule for one in desk.plan().policies if one.blocks]
    assert "no-base" in denied
    _git(desk.root, "init", "-q", "-b", "main")
    _commit(desk.root)
    assert "no-base" not in [one.rule for one in desk.plan().policies]


# --- what is signed


@pytest.mark.parametrize(
    ("git", "against", "assurance"),
    [(False, None, "bootstrap"), (True, None, "local"), (True, "main", "ci")],
    ids=["no Git", "working tree", "reviewed base"],
)
def test_what_is_signed_says_how_much_it_is_worth(desk: Desk, git: bool, against: str | None, assurance: str) -> None:
    desk.apply()
    path = configuration_folder() / "trust.json"
    trust = json.loads(path.read_bytes())
    trust["keys"][0]["assurance"] = "ci"
    path.write_text(json.dumps(trust))
    shutil.rmtree(desk.root / ".llmops")
    if git:
        _git(desk.root, "init", "-q", "-b", "main")
        (desk.root / ".gitignore").write_text(".llmops/\n")
        _commit(desk.root)
    desk.apply(against=against)

    with desk.site(against) as (site, compilation):
        lowered = compilation.environments["local"].lowered
        assert lowered is not None
        step = next(one for one in lowered.steps if isinstance(one, Decide))
        said = json.loads(opened(open_verifier(site).signed(step).summary).payload)["predicate"]
    assert said["decision"]["assurance"] == assurance
    assert said["decision"].get("base") == (_git(desk.root, "rev-parse", "main") if against else None)
    assert said["verifier"]["id"].endswith(f"gate-{assurance}")


def test_plan_and_report_name_the_base_and_both_verdicts(reviewed: Desk) -> None:
    _lower_the_bar(reviewed)
    commit = _git(reviewed.root, "rev-parse", "main")
    outcome = reviewed.apply(against="main")
    assert outcome.exit_code is Exit.CLEAN
    with reviewed.site("main") as (site, compilation):
        plan = make_plan(site, compilation)
        page = write_report(site, plan, outcome).read_text()

    said = (
        f"Base revision {commit[:12]}: decided as there too, and needed: `support-quality@BASE`, `support-safety@BASE`"
    )
    assert said in plan_text(plan)
    for words in (commit, "support-quality@BASE", "decided as there too"):
        assert words in page
    assert said not in plan_text(plan.model_copy(update={"base": "working-tree"}))


def test_a_plan_for_a_comment_is_lists_with_blank_lines_around(
    reviewed: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.edit("service.yaml", "support-quality, ", "")
    words = ["-C", str(reviewed.root), "plan", "--env", "local", "--against", "main", "--format", "markdown"]
    assert run(words) == Exit.CLEAN
    said = capsys.readouterr().out
    assert "\nNotes:\n\n- service `support` no longer names gate" in said
    assert re.search(r"\n\nAgainst [0-9a-f]{12}:\n\n- changed \S+\n", said)
    assert not any(line.startswith("  ") for line in said.splitlines())


def test_a_folder_without_git_is_marked_in_plan_and_report(desk: Desk) -> None:
    outcome = desk.apply()
    with desk.site() as (site, compilation):
        plan = make_plan(site, compilation)
        page = write_report(site, plan, outcome).read_text()
    assert "decisions say `bootstrap`" in plan_text(plan)
    assert "Decided without a reviewed base to compare with" in page


def test_a_saved_plan_keeps_its_base(reviewed: Desk, tmp_path: Path) -> None:
    _lower_the_bar(reviewed)
    write_plan(tmp_path / "plan.json", reviewed.plan(against="main"))
    saved = read_plan(tmp_path / "plan.json")
    assert saved.base == _git(reviewed.root, "rev-parse", "main")
    refuse_moved(saved, reviewed.plan(against=saved.base))
    with pytest.raises(OperationFailed, match="the base revision"):
        refuse_moved(saved, reviewed.plan())


def test_evidence_that_is_older_than_the_trust_file_allows_is_refused(desk: Desk) -> None:
    desk.apply()
    path = configuration_folder() / "trust.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "maxAgeDays": 2}))
    assert desk.apply().exit_code is Exit.CLEAN
    with desk.site() as (site, _):
        site.journal.write(Entry(plan="", step="gc", event="discarded", identity="a" * 64, result=""))
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    with closing(sqlite3.connect(desk.root / ".llmops/local/journal.db")) as database:
        database.execute("UPDATE events SET at = ? WHERE number = (SELECT MAX(number) FROM events)", (later,))
        database.commit()

    outcome = desk.apply()  # the clock was set back: this machine has seen a later day

    assert outcome.exit_code is Exit.TAMPERED
    assert outcome.failure is not None
    assert "longer ago than is allowed" in outcome.failure.what
