"""Will it work? Checks over a whole graph, one family a file; `llmops` hands `BUILT_IN` to the pipeline.

Each is silent about what is missing or poisoned: that has been reported where it is. Checks that need the arithmetic
of gates live in `policies/gates/checks.py`, those that need a target's abilities beside its back end.
"""

from __future__ import annotations

from typing import Final

from compiler.checks import (
    adapters,
    chains,
    chat_templates,
    compression,
    context,
    data,
    engine_compatibility,
    evaluation,
    files,
    guardrails,
    identity,
    locked,
    models,
    placement,
    prompts,
    retrieval,
    scaling,
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
    *retrieval.CHECKS,
    *chat_templates.CHECKS,
    *identity.CHECKS,
    *adapters.CHECKS,
    *compression.CHECKS,
    *engine_compatibility.CHECKS,
    *placement.CHECKS,
    *scaling.CHECKS,
)
