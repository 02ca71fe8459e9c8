"""Foreseeable trouble of a task, as one exception, and the translation of what libraries raise into it.

Tasks raise `TaskFailed`; the runner writes its `failure` into the result file.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from typing import Final, Literal, Self

from llmops_spec.formats import ADVICE, NewerFormat
from llmops_spec.payloads.results import TaskFailure
from llmops_spec.store import StoreCorrupt

FailureCode = Literal["bad-data", "missing-extra", "version-mismatch", "bad-model", "no-space", "store", "internal"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_FULL_IN_TEXT: Final = re.compile(rf"\(os error ({'|'.join(str(one) for one in sorted(_FULL))})\)")
"""Libraries written in Rust raise their own errors; the system's number stands in the text."""


class TaskFailed(Exception):  # noqa: N818  # reads as what it says
    """A task gives up, with a sentence for the person who reads the result."""

    def __init__(self, code: FailureCode, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.failure = TaskFailure(code=code, message=message, help=advice)

    @classmethod
    def of(cls, failure: TaskFailure) -> Self:
        return cls(failure.code, failure.message, failure.help)


def no_space(detail: str) -> TaskFailure:
    return TaskFailure(
        code="no-space",
        message=f"the disk is full, or a file is larger than allowed: {detail}",
        help="free some space, or raise the file-size limit, then run the same command again",
    )


def missing_extra(task: str, extras: Iterable[str], absent: str) -> TaskFailure:
    named = ",".join(extras)
    word = "the extras" if "," in named else "the extra"
    return TaskFailure(
        code="missing-extra",
        message=f"{task} needs {word} `{named}`: `{absent}` is not installed",
        help=f"pip install 'llmops[{named}]'",
    )


def failure_of(error: Exception, *, task: str, extras: Iterable[str]) -> TaskFailure | None:
    """What went wrong, for foreseeable errors; None where the error is a bug."""
    failure: TaskFailure | None = None
    match error:
        case TaskFailed():
            failure = error.failure
        case ModuleNotFoundError() if not (error.name or "").startswith("llmops"):
            failure = missing_extra(task, extras, (error.name or "a library").partition(".")[0])
        case NewerFormat():
            failure = TaskFailure(code="version-mismatch", message=str(error), help=ADVICE)
        case StoreCorrupt():
            advice = "nothing was used or changed; see `llmops evidence discard --help`"
            failure = TaskFailure(code="store", message=str(error), help=advice)
        case OSError() if error.errno in _FULL:
            failure = no_space(str(error.strerror))
        case OSError():
            failure = TaskFailure(code="store", message=str(error), help="see that the store can be read and written")
        case MemoryError():
            failure = TaskFailure(code="internal", message=f"{task} ran out of memory", help="use smaller batches")
        case _ if _FULL_IN_TEXT.search(str(error)):
            failure = no_space(type(error).__name__)
        case _:
            pass
    return failure
