"""Will it work? Checks over a whole graph, one family a file; `llmops` hands `BUILT_IN` to the pipeline.

Each is silent about what is missing or poisoned: that has been reported where it is. Checks that need the arithmetic
of gates live in `policies/gates/checks.py`, those that need a target's abilities beside its back end.
"""

from __future__ import annotations

from typing import Final

from compiler.checks import (
    chains,
    chat_templates,
    context,
    data,
    evaluation,
    files,
    guardrails,
    identity,
    locked,
    models,
    on_engines,
    prompts,
    services,
    training,
)
from compiler.ports import Check

BUILT_IN: Final[tuple[Check, ...]] = (
    *prompts.CHECKS,
    *data.CHECKS,
    *files.CHECKS,
    *training.CHECKS,
    *context.CHECKS,
    *models.CHECKS,
    *locked.CHECKS,
    *evaluation.CHECKS,
    *guardrails.CHECKS,
    *services.CHECKS,
    *chains.CHECKS,
    *chat_templates.CHECKS,
    *identity.CHECKS,
    *on_engines.CHECKS,
)
