"""Turns tokens into text one by one, for streaming and stop strings.

Promises: the pieces joined are the text of all tokens, up to a stop string; no piece splits a character, and none
holds what may yet turn out to be the beginning of a stop string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

_INCOMPLETE: Final = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer makes of the first bytes of a character whose last bytes are still to come."""


class TextAssembler:
    def __init__(
        self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = (), *, at_once: bool = False
    ) -> None:
        """With `at_once` all text comes at the end, where nobody looks at the pieces; stop strings need the pieces."""
        self._decode = decode
        self._stops = stops
        self._at_once = at_once and not stops
        self._tokens: list[int] = []
        self._settled = 0
        """Tokens whose text is known and will not change."""
        self._context = 0
        """Where decoding begins: some tokens before, since a token's text may depend on its neighbour."""
        self._held = ""
        self.stopped = False
        """A stop string was met: nothing more comes."""

    def add(self, token: int) -> str:
        """The text that is certain after one more token; often empty."""
        self._tokens.append(token)
        if self._at_once:
            return ""
        text = self._new_text()
        if text.endswith(_INCOMPLETE):
            return ""
        self._settle()
        return self._release(text, last=False)

    def finish(self) -> str:
        """What was held back, when no token follows."""
        text = self._new_text()
        self._settle()
        return self._release(text, last=True)

    def _new_text(self) -> str:
        before = self._decode(self._tokens[self._context : self._settled])
        return self._decode(self._tokens[self._context :])[len(before) :]

    def _settle(self) -> None:
        self._context, self._settled = self._settled, len(self._tokens)

    def _release(self, text: str, *, last: bool) -> str:
        if self.stopped:
            return ""
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            released, self._held = self._held[: min(found)], ""
            return released
        keep = 0 if last else self._possible_stop()
        released, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return released

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text with which a stop string begins."""
        longest = max((len(stop) for stop in self._stops), default=0)
        for length in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
