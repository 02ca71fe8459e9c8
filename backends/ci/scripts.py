"""The shell scripts of a workflow. Each is a constant: what differs comes in by environment variables.

So no text of a spec, a branch or a pull request is ever part of a script. Whatever `llmops` prints is kept from being
read as a command of the runner (`::…`), by a word that a spec cannot know.
"""

from __future__ import annotations

from typing import Final

_QUIET: Final = """\
word="$(python -I -c 'import secrets; print(secrets.token_hex(16))')"
echo "::stop-commands::$word"
"""

INSTALL: Final = """\
if ! grep -Eqv '^[[:space:]]*(#|-|$)' "$REQUIREMENTS"; then
  echo "$REQUIREMENTS does not say where llmops comes from" >&2
  exit 1
fi
python -m pip install --quiet --requirement "$REQUIREMENTS"
llmops --version | grep -F "version $LLMOPS_VERSION"
pins="$(python -I -c 'from importlib.resources import files; print(files("llmops") / "constraints.txt")')"
python -m pip install --quiet --requirement "$REQUIREMENTS" --constraint "$pins" "llmops${EXTRAS:+[$EXTRAS]}"
"""
"""Where the package comes from is the repository's to say: a public index may hold a stranger's of the same name.
The constraints come with the package: the first installation brings them, the second holds every library to them.
Both take the whole file, so that an index which it names is the one that libraries come from too."""

VALIDATE: Final = f"""\
{_QUIET}llmops -C "$PROJECT" validate
"""

LOCK: Final = f"""\
{_QUIET}llmops -C "$PROJECT" lock --check
"""

PLAN: Final = f"""\
{_QUIET}code=0
llmops -C "$PROJECT" plan --env "$ENVIRONMENT" --against "$BASE" --format markdown > "$RUNNER_TEMP/plan.md" || code=$?
tee -a "$GITHUB_STEP_SUMMARY" < "$RUNNER_TEMP/plan.md"
exit "$code"
"""
"""A plan that is denied is shown like any other, and fails the job after that."""

COMPILE: Final = f"""\
{_QUIET}llmops -C "$PROJECT" compile --env "$ENVIRONMENT"
"""

GATES: Final = f"""\
{_QUIET}llmops -C "$PROJECT" gate run --env "$ENVIRONMENT" --against "$BASE" --out "$RUNNER_TEMP/verdicts/$ENVIRONMENT"
"""

APPLY: Final = f"""\
umask 077
printf '%s' "$TRUST" > "$LLMOPS_TRUST"
{_QUIET}llmops -C "$PROJECT" apply --env "$ENVIRONMENT" --yes
"""

VERDICT: Final = """\
python -I - <<'END'
import json
import os
import pathlib
import sys

faults = []
for job, result in json.loads(os.environ["RESULTS"]).items():
    if result not in ("success", "skipped" if job in os.environ["MAY_BE_SKIPPED"].split() else "success"):
        faults.append(f"job {job}: {result}")
for environment, gates in json.loads(os.environ["EXPECTED"]).items():
    for gate in gates:
        path = pathlib.Path(os.environ["VERDICTS"], environment, f"{gate}.json")
        try:
            verdict = json.loads(path.read_bytes())
            passed = verdict["gate"] == gate and verdict["blocks"] is False
            shown = str(verdict["verdict"])
        except (OSError, ValueError, KeyError, TypeError):
            passed, shown = False, "no verdict"
        if not passed:
            faults.append(f"gate {gate} in {environment}: {shown}")
for fault in faults:
    print(ascii(fault), file=sys.stderr)
sys.exit(1 if faults else 0)
END
"""
"""Fails unless every job that must run has succeeded and every expected verdict is there and lets the change pass."""
