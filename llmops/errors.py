"""How an operation ends: exit codes, and the one exception for what cannot go on.

Exit codes are those of `docs/reference/exit-codes.md`; tests pin them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes."""

    CLEAN = 0
    FINDINGS = 1
    """Anything wrong with what the user wrote."""
    MISUSE = 2
    """Misuse, a broken environment, or a lock held by someone else."""
    CHANGES = 3
    """The plan has changes; only with `--detailed-exitcode`."""
    GATE_FAILED = 4
    POLICY_FAILED = 5
    GATE_INCONCLUSIVE = 6
    TAMPERED = 7
    """Evidence or a saved plan no longer matches what it speaks of."""
    STEP_FAILED = 8
    """A step failed while running; the same command again resumes."""
    BUG = 101
    INTERRUPTED = 130


_PRECEDENCE = (
    Exit.INTERRUPTED,
    Exit.BUG,
    Exit.MISUSE,
    Exit.FINDINGS,
    Exit.TAMPERED,
    Exit.STEP_FAILED,
    Exit.GATE_FAILED,
    Exit.POLICY_FAILED,
    Exit.GATE_INCONCLUSIVE,
    Exit.CHANGES,
)


def worst(codes: Iterable[Exit]) -> Exit:
    """The one code that a process ends with where several apply."""
    given = set(codes)
    return next((code for code in _PRECEDENCE if code in given), Exit.CLEAN)


class OperationFailed(Exception):  # noqa: N818  # named as what happened
    """An operation that cannot go on. The command line prints it and ends with `exit_code`."""

    def __init__(self, what: str, *, help: str = "", exit_code: Exit = Exit.MISUSE) -> None:  # noqa: A002  # as printed
        super().__init__(what)
        self.what = what
        """One sentence: what failed, and why."""
        self.help = help
        """What to try."""
        self.exit_code = exit_code
