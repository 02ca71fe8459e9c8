"""What every validator takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True)
class Passed:
    """Nothing was found."""


@dataclass(frozen=True)
class Caught:
    """Something was found."""

    reason: str
    """For people who run the service; callers do not see it."""
    corrected: str | None = None
    """The text without what was found, where the validator can make one."""


Judgement: TypeAlias = Passed | Caught


class Validator(Protocol):
    """Judges texts. Any exception counts as an error of the rail."""

    def quick(self, text: str) -> bool:
        """Judging takes a moment and cannot hang: it may run between other requests, without a thread of its own."""
        ...

    def judge(self, text: str) -> Judgement: ...
