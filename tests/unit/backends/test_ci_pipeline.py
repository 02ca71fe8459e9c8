"""The workflow: what it may do, what it waits for, and that no text of a spec becomes part of a script."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backends.ci import scripts
from backends.ci.backend import GITHUB, emit
from backends.ci.requirements import first_requirements, requirements_fault
from compiler.lockfile import Lock

ROOT = Path(__file__).parents[3]
CONSTANTS = {value for name, value in vars(scripts).items() if name.isupper() and isinstance(value, str)}


def rendered(*specs, version="0.1.0"):
    graphs = [spec.compile(environment).graph for spec in specs for environment in ("local", "staging")]
    return emit(graphs, version=version)[GITHUB]


@pytest.fixture(scope="module")
def text(new_spec):
    return rendered(new_spec())


@pytest.fixture
def document(text):
    return yaml.load(text, Loader=yaml.BaseLoader)  # `on` stays text


def steps(document):
    return [(job, step) for job, body in document["jobs"].items() for step in body["steps"]]


def test_other_peoples_changes_come_in_by_pull_request_alone(document):
    assert document["on"] == {"pull_request": {"branches": ["main"]}, "push": {"branches": ["main"]}}


def test_jobs_may_read_the_repository_and_nothing_else(document):
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert job["permissions"] == ({} if name == "verdict" else {"contents": "read"})


def test_actions_are_pinned_to_commits_and_say_their_version(text, document):
    used = [step["uses"] for _, step in steps(document) if "uses" in step]
    assert len(used) > 8
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in used)
    lines = [line for line in text.decode().splitlines() if "uses:" in line]
    assert all(re.search(r" # v\d+\.\d+\.\d+$", line) for line in lines)


def test_no_checkout_keeps_its_token(document):
    checkouts = [step for _, step in steps(document) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_scripts_are_constants_without_expressions(document):
    runs = [step["run"] for _, step in steps(document) if "run" in step]
    assert len(runs) > 8
    for run in runs:
        assert run in CONSTANTS
        assert "${{" not in run


def test_secrets_reach_protected_environments_after_a_merge_alone(text, document):
    assert text.decode().count("${{ secrets.") == 1
    job = document["jobs"]["apply-staging"]
    assert job["environment"] == {"name": "staging"}
    assert job["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    assert job["needs"] == "verdict"
    assert "secrets.LLMOPS_TRUST" in job["steps"][-1]["env"]["TRUST"]


def test_the_verdict_always_runs_and_waits_for_everything_before_it(document):
    verdict = document["jobs"]["verdict"]
    assert verdict["if"] == "always()"
    assert verdict["needs"] == ["validate", "plan", "compile", "gates"]
    env = verdict["steps"][-1]["env"]
    assert json.loads(env["EXPECTED"]) == {"local": ["support-quality", "support-safety"]}
    assert set(json.loads(re.sub(r"\$\{\{.*?\}\}", "x", env["RESULTS"]))) == {"validate", "plan", "compile", "gates"}


def test_environments_are_applied_in_the_order_of_their_tiers(new_spec):
    first, last = new_spec(), new_spec()
    last.document("Environment", "staging")["metadata"]["name"] = "aaa-live"
    last.set("Environment", "aaa-live", "spec.tier", "production")
    graphs = [first.compile("staging").graph, last.compile("aaa-live").graph]
    jobs = yaml.safe_load(emit(graphs, version="0.1.0")[GITHUB])["jobs"]
    assert list(jobs) == ["validate", "compile", "verdict", "apply-staging", "apply-aaa-live"]
    assert jobs["apply-aaa-live"]["needs"] == "apply-staging"
    assert "gates" not in jobs["verdict"]["needs"]


def test_the_pipeline_is_stable_and_installs_one_version(text, new_spec, document):
    assert rendered(new_spec()) == text
    assert document["env"]["LLMOPS_VERSION"] == "0.1.0"
    assert document["env"]["REQUIREMENTS"] == ".github/llmops-requirements.txt"
    installs = [line for line in scripts.INSTALL.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all('--requirement "$REQUIREMENTS"' in one for one in installs)
    assert '"version $LLMOPS_VERSION"' in scripts.INSTALL
    assert "llmops==" not in scripts.INSTALL  # a public index may hold a stranger's package of that name
    extras = {
        job: step.get("env", {}).get("EXTRAS") for job, step in steps(document) if step["name"] == "Install llmops"
    }
    needed = "train,eval,guard,serve,track"
    assert extras == {"validate": None, "plan": None, "compile": None, "gates": needed, "apply-staging": needed}
    assert emit([], version="0.1.0") == {}


HOSTILE = "${{ toJSON(secrets) }} $(id) `id` x'; id; '\nx\nEOF\nid\nverdict=passed\n::stop-commands::x"


def test_no_text_of_a_spec_is_in_the_workflow(new_spec, text):
    spec = new_spec()
    for one in spec.documents:
        one["metadata"]["description"] = HOSTILE
        one["metadata"]["owner"] = HOSTILE[:100]
        one["metadata"]["annotations"] = {"note": HOSTILE}
    spec.set("Prompt", "support-answer", "spec.messages.0.content", "x {{ question }}")
    spec.set("Guardrail", "support-rails", "spec.refusal", HOSTILE)
    assert rendered(spec) == text


def test_the_protected_branch_is_the_projects(new_spec):
    spec = new_spec().set("Project", "quickstart", "spec", {"protectedBranch": "release/1.x"})
    text = rendered(spec).decode()
    assert "origin/release/1.x" in text
    assert "refs/heads/release/1.x" in text
    assert "main" not in text


def test_a_lock_that_is_there_is_held_to_the_spec(new_spec):
    graphs = [new_spec().compile(environment).graph for environment in ("local", "staging")]
    locked = [dataclasses.replace(graph, lock=Lock(present=True)) for graph in graphs]

    def runs(some):
        document = yaml.load(emit(some, version="0.1.0")[GITHUB], Loader=yaml.BaseLoader)
        return [step.get("run") for step in document["jobs"]["validate"]["steps"]]

    assert scripts.LOCK in runs(locked)
    assert scripts.LOCK not in runs(graphs)


def test_actionlint_finds_nothing(text, tmp_path):
    tool = shutil.which("actionlint") or shutil.which("actionlint", path=str(ROOT / ".tools" / "bin"))
    if tool is None:
        pytest.skip("actionlint is not installed: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
    path = tmp_path / "llmops.yaml"
    path.write_bytes(text)
    done = subprocess.run([tool, "-no-color", str(path)], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    path.write_bytes(text.replace(b"runs-on", b"runs-of", 1))
    assert subprocess.run([tool, str(path)], capture_output=True, check=False).returncode == 1


def test_zizmor_finds_nothing(text, tmp_path):
    tool = shutil.which("zizmor") or shutil.which("zizmor", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("zizmor is not installed: it is among the package's `dev` extras")
    path = tmp_path / "llmops.yaml"
    command = [
        tool,
        "--offline",
        "--no-progress",
        "--no-config",
        "--format",
        "plain",
        "--persona",
        "pedantic",
        str(path),
    ]
    path.write_bytes(text)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_bytes(text.replace(b"  pull_request:", b"  pull_request_target:", 1))
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


# --- what it installs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("llmops==0.1.0\n", None),
        ("--index-url https://packages.example.com/simple\nllmops == 0.1.0  # ours\n", None),
        ("llmops[train]==0.1.0", None),
        ("llmops @ https://example.com/llmops-0.1.0-py3-none-any.whl#sha256=00\n", None),
        ("./wheels/llmops-0.1.0-py3-none-any.whl", None),
        ("llmops==0.2.0", "names version 0.2.0"),
        ("./wheels/llmops-0.2.0-py3-none-any.whl", "names version 0.2.0"),
        ("", "does not say where llmops comes from"),
        ("# llmops==0.1.0\n\n  # more\n--index-url https://packages.example.com/simple\n", "does not say"),
    ],
)
def test_a_repository_says_where_llmops_comes_from(tmp_path, text, fault):
    found = requirements_fault(text, version="0.1.0")
    assert (found is None) == (fault is None)
    assert fault is None or fault in found
    if "names version" not in (fault or ""):  # the script of the pipeline asks the same before it installs anything
        assert (install_refuses(tmp_path, text) is None) == (fault is None)


def install_refuses(folder, text):
    """What the script says before pip is asked; None where pip is."""
    (folder / "requirements.txt").write_text(text)
    (folder / "python").write_text("#!/bin/sh\necho asked pip\nexit 9\n")
    (folder / "python").chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts.INSTALL],
        env={"PATH": f"{folder}:/usr/bin:/bin", "REQUIREMENTS": str(folder / "requirements.txt")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) in {(9, "asked pip\n"), (1, "")}
    return None if done.returncode == 9 else done.stderr


def test_a_repository_without_the_file_is_told_so(tmp_path):
    said = install_refuses(tmp_path, "").replace(str(tmp_path), "X")
    assert said == "X/requirements.txt does not say where llmops comes from\n"


def test_the_first_requirements_ask_to_be_edited_unless_an_address_is_known():
    asking = first_requirements("0.1.0", origin=None).decode()
    assert "does not say" in requirements_fault(asking, version="0.1.0")
    for line in asking.splitlines():
        if "0.1.0" in line:  # each example, taken as it is, is one that is accepted
            assert requirements_fault(line.lstrip("# "), version="0.1.0") is None
    origin = "https://example.com/llmops-0.1.0-py3-none-any.whl#sha256=00"
    assert requirements_fault(first_requirements("0.1.0", origin=origin).decode(), version="0.1.0") is None


# --- the script that shows the plan


@pytest.mark.parametrize("code", [0, 1, 5])
def test_a_plan_that_is_denied_is_shown_too_and_fails_the_job(tmp_path, code):
    command = tmp_path / "llmops"
    command.write_text(f"#!/bin/sh\necho 'denied[LIC-01] here'\nexit {code}\n")
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts.PLAN],
        env={
            "PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PROJECT": ".",
            "ENVIRONMENT": "local",
            "BASE": "origin/main",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert "denied[LIC-01] here" in done.stdout
    assert (tmp_path / "summary.md").read_text() == "denied[LIC-01] here\n"


# --- the script that decides


def run_verdict(folder, *, expected, results, verdicts):
    for name, body in verdicts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if isinstance(body, str) else json.dumps(body))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "EXPECTED": json.dumps(expected),
        "RESULTS": json.dumps(results),
        "MAY_BE_SKIPPED": "plan",
        "VERDICTS": str(folder),
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts.VERDICT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


PASSED = {"gate": "quality", "verdict": "pass", "blocks": False}
WELL = {"validate": "success", "plan": "skipped", "gates": "success"}


def test_the_verdict_passes_when_all_is_there(tmp_path):
    done = run_verdict(tmp_path, expected={"local": ["quality"]}, results=WELL, verdicts={"local/quality.json": PASSED})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("results", "verdicts", "said"),
    [
        (WELL, {}, "gate quality in local: no verdict"),
        (WELL, {"other/quality.json": PASSED}, "no verdict"),
        (WELL, {"local/quality.json": "{}"}, "no verdict"),
        (WELL, {"local/quality.json": "{"}, "no verdict"),
        (WELL, {"local/quality.json": "[]"}, "no verdict"),
        (WELL, {"local/quality.json": {**PASSED, "gate": "another"}}, "quality in local"),
        (WELL, {"local/quality.json": {**PASSED, "blocks": True, "verdict": "fail"}}, "quality in local: fail"),
        (WELL, {"local/quality.json": {**PASSED, "blocks": 0}}, "quality in local"),
        (WELL, {"local/quality.json": {**PASSED, "verdict": "inconclusive", "blocks": True}}, "inconclusive"),
        ({**WELL, "gates": "skipped"}, {"local/quality.json": PASSED}, "job gates: skipped"),
        ({**WELL, "gates": "failure"}, {"local/quality.json": PASSED}, "job gates: failure"),
        ({**WELL, "plan": "failure"}, {"local/quality.json": PASSED}, "job plan: failure"),
        ({**WELL, "validate": "cancelled"}, {"local/quality.json": PASSED}, "job validate: cancelled"),
    ],
)
def test_the_verdict_fails_and_says_why(tmp_path, results, verdicts, said):
    done = run_verdict(tmp_path, expected={"local": ["quality"]}, results=results, verdicts=verdicts)
    assert done.returncode == 1
    assert said in done.stderr


def test_what_a_verdict_says_cannot_command_the_runner(tmp_path):
    body = {**PASSED, "blocks": True, "verdict": "x\n::set-env name=A::b"}
    done = run_verdict(tmp_path, expected={"local": ["quality"]}, results=WELL, verdicts={"local/quality.json": body})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_commands_of_the_runner_are_stopped_before_anything_of_a_spec_is_printed():
    for script in (scripts.VALIDATE, scripts.PLAN, scripts.COMPILE, scripts.GATES, scripts.APPLY):
        assert script.index("::stop-commands::") < script.index("llmops -C")
