"""The GitHub Actions workflow, built as an object: what runs on a pull request, and what after a merge.

Called by `backend`. Promises: `pull_request` alone brings in other people's changes; no job has a permission but to
read the repository; no checkout keeps a token; secrets stand in jobs of protected environments alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from backends.ci import scripts
from backends.ci.actions import CHECKOUT, DOWNLOAD_ARTIFACT, SETUP_PYTHON, UPLOAD_ARTIFACT
from backends.ci.paths import REQUIREMENTS
from compiler.yaml_writer import Yaml

Part: TypeAlias = Mapping[str, Yaml]

PYTHON: Final = "3.11"
RUNNER: Final = "ubuntu-24.04"
EXTRAS: Final = "train,eval,guard,serve,track"
"""What gates need: training, evaluation, and the processes that serve."""
TRUST_SECRET: Final = "LLMOPS_TRUST"  # noqa: S105  # its name
_MINUTES: Final = {"validate": 10, "plan": 15, "compile": 15, "gates": 360, "verdict": 5, "apply": 360}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One environment as the pipeline sees it."""

    name: str
    local: bool
    gates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PipelineFacts:
    version: str
    """Exact version of llmops that rendered the pipeline; it refuses to run with another."""
    branch: str
    """The protected branch."""
    places: tuple[Place, ...]
    """In the order in which a change reaches them."""
    locked: bool = False
    """There is a `llmops.lock`, which must be what the spec needs."""

    @property
    def clusters(self) -> tuple[Place, ...]:
        return tuple(one for one in self.places if not one.local)

    @property
    def judged(self) -> tuple[Place, ...]:
        """Where gates run in the pipeline: on the runner itself, so in the environments of target `local`."""
        return tuple(one for one in self.places if one.local and one.gates)


def workflow(facts: PipelineFacts) -> Part:
    """The whole document."""
    jobs: dict[str, Yaml] = {"validate": _validate(facts)}
    locals_ = [one.name for one in facts.places if one.local]
    if locals_:
        jobs["plan"] = _plan(locals_, facts)
    if facts.clusters:
        jobs["compile"] = _compile([one.name for one in facts.clusters])
    if facts.judged:
        jobs["gates"] = _gates([one.name for one in facts.judged], facts)
    jobs["verdict"] = _verdict(facts, list(jobs))
    needs = "verdict"
    for place in facts.clusters:
        job = f"apply-{place.name}"
        jobs[job] = _apply(place, facts, needs=needs)
        needs = job
    return {
        "name": "llmops",
        "on": {"pull_request": {"branches": [facts.branch]}, "push": {"branches": [facts.branch]}},
        "permissions": {},
        "concurrency": {
            "group": "llmops-${{ github.ref }}",
            "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
        },
        "defaults": {"run": {"shell": "bash"}},
        "env": {"LLMOPS_VERSION": facts.version, "PROJECT": ".", "REQUIREMENTS": REQUIREMENTS},
        "jobs": jobs,
    }


def _validate(facts: PipelineFacts) -> Part:
    steps = [*_setup(), {"name": "Validate every environment", "run": scripts.VALIDATE}]
    if facts.locked:
        steps.append({"name": "Hold the lock to the spec", "run": scripts.LOCK})
    return _job("Validate", "validate", steps)


def _plan(environments: Sequence[str], facts: PipelineFacts) -> Part:
    step: Part = {
        "name": "Show what would run, and why",
        "env": {"ENVIRONMENT": "${{ matrix.environment }}", "BASE": f"origin/{facts.branch}"},
        "run": scripts.PLAN,
    }
    extra: Part = {"if": "github.event_name == 'pull_request'", "needs": "validate", **_matrix(environments)}
    return _job("Plan", "plan", [*_setup(history=True), step], **extra)


def _compile(environments: Sequence[str]) -> Part:
    steps: list[Yaml] = [
        *_setup(),
        {"name": "Render", "env": {"ENVIRONMENT": "${{ matrix.environment }}"}, "run": scripts.COMPILE},
        {
            "name": "Keep the manifests for the review",
            "uses": UPLOAD_ARTIFACT,
            "with": {
                "name": "manifests-${{ matrix.environment }}",
                "path": "build/${{ matrix.environment }}",
                "if-no-files-found": "error",
            },
        },
    ]
    return _job("Compile", "compile", steps, needs="validate", **_matrix(environments))


def _gates(environments: Sequence[str], facts: PipelineFacts) -> Part:
    """A pull request is judged by the gates of the protected branch too; what was merged is its own base."""
    base = f"${{{{ github.event_name == 'pull_request' && 'origin/{facts.branch}' || 'HEAD' }}}}"
    steps: list[Yaml] = [
        *_setup(history=True, extras=EXTRAS),
        {
            "name": "Run the gates, as they are here and as they were reviewed",
            "env": {"ENVIRONMENT": "${{ matrix.environment }}", "BASE": base},
            "run": scripts.GATES,
        },
        {
            "name": "Hand over the verdicts",
            "if": "always()",
            "uses": UPLOAD_ARTIFACT,
            "with": {"name": "verdicts-${{ matrix.environment }}", "path": "${{ runner.temp }}/verdicts"},
        },
    ]
    return _job("Gates", "gates", steps, needs="validate", **_matrix(environments))


def _verdict(facts: PipelineFacts, needs: Sequence[str]) -> Part:
    """The check that a branch rule requires: it runs whatever became of the others, and knows what it waits for."""
    results = ", ".join(f'"{job}": "${{{{ needs.{job}.result }}}}"' for job in needs)
    expected = {one.name: list(one.gates) for one in facts.judged}
    steps: list[Yaml] = []
    if facts.judged:
        steps.append(
            {
                "name": "Fetch the verdicts",
                "continue-on-error": True,
                "uses": DOWNLOAD_ARTIFACT,
                "with": {
                    "pattern": "verdicts-*",
                    "path": "${{ runner.temp }}/verdicts",
                    "merge-multiple": True,
                },
            }
        )
    steps.append(
        {
            "name": "Every expected verdict is there, and lets the change pass",
            "env": {
                "RESULTS": f"{{{results}}}",
                "MAY_BE_SKIPPED": "plan",
                "EXPECTED": _json(expected),
                "VERDICTS": "${{ runner.temp }}/verdicts",
            },
            "run": scripts.VERDICT,
        }
    )
    extra: Part = {"if": "always()", "needs": list(needs)}
    return {**_job("Verdict", "verdict", steps, **extra), "permissions": {}}


def _apply(place: Place, facts: PipelineFacts, *, needs: str) -> Part:
    step: Part = {
        "name": "Apply",
        "env": {
            "ENVIRONMENT": place.name,
            "LLMOPS_TRUST": "${{ runner.temp }}/trust.json",
            "TRUST": f"${{{{ secrets.{TRUST_SECRET} }}}}",
        },
        "run": scripts.APPLY,
    }
    extra: Part = {
        "if": f"github.event_name == 'push' && github.ref == 'refs/heads/{facts.branch}'",
        "needs": needs,
        "environment": {"name": place.name},
        "concurrency": {"group": f"llmops-apply-{place.name}", "cancel-in-progress": False},
    }
    return _job(f"Apply to {place.name}", "apply", [*_setup(history=True, extras=EXTRAS), step], **extra)


def _job(name: str, kind: str, steps: Sequence[Yaml], **extra: Yaml) -> Part:
    return {
        "name": name,
        **extra,
        "runs-on": RUNNER,
        "timeout-minutes": _MINUTES[kind],
        "permissions": {"contents": "read"},
        "steps": list(steps),
    }


def _matrix(environments: Sequence[str]) -> Part:
    return {"strategy": {"fail-fast": False, "matrix": {"environment": list(environments)}}}


def _setup(*, history: bool = False, extras: str = "") -> list[Yaml]:
    """Check out without keeping the token; `history` brings the base revision that gates are compared with."""
    depth: Part = {"fetch-depth": 0} if history else {}
    environment: Part = {"env": {"EXTRAS": extras}} if extras else {}
    return [
        {"name": "Check out", "uses": CHECKOUT, "with": {"persist-credentials": False, **depth}},
        {"name": "Set up Python", "uses": SETUP_PYTHON, "with": {"python-version": PYTHON}},
        {"name": "Install llmops", **environment, "run": scripts.INSTALL},
    ]


def _json(value: Mapping[str, Sequence[str]]) -> str:
    import json

    return json.dumps(value, sort_keys=True)
