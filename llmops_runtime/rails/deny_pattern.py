"""`denyPattern`: catches a text in which one of the regular expressions is found.

The expressions are RE2's: they have no look-around and no back-references, and in exchange take linear time on any
text, so that nobody can stop the gateway with a text made for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmops_runtime.failures import TaskFailed
from llmops_runtime.rails.validator import Caught, Judgement, Passed

_QUICK_CHARACTERS: Final = 50_000


@dataclass(frozen=True, kw_only=True)
class PatternValidator:
    patterns: tuple[tuple[str, Any], ...]
    """Source and compiled form."""

    @classmethod
    def of(cls, sources: Sequence[str]) -> PatternValidator:
        """Compile the expressions.

        Raises:
            TaskFailed: one of them is not an RE2 expression.
            ModuleNotFoundError: google-re2 is not installed.
        """
        import re2

        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        compiled: list[tuple[str, Any]] = []
        for source in sources:
            try:
                compiled.append((source, re2.compile(source, options)))
            except re2.error as error:
                raise TaskFailed(
                    "bad-data",
                    f"the deny pattern `{source}` cannot be used: {_words(error)}",
                    "write it in RE2 syntax, which has no look-around and no back-references",
                ) from error
        return cls(patterns=tuple(compiled))

    def quick(self, text: str) -> bool:
        return len(text) <= _QUICK_CHARACTERS

    def judge(self, text: str) -> Judgement:
        for source, pattern in self.patterns:
            if pattern.search(text):
                return Caught(f"the pattern `{source}` was found")
        return Passed()


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
