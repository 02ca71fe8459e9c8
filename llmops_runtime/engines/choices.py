"""Constrains decoding to exactly one of several texts, by a tree of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class _Node:
    children: dict[int, _Node] = field(default_factory=dict)
    whole: bool = False
    """A text ends here; another may go on."""


class ChoiceTree:
    """Walks from token to token; after each one says which may follow.

    Where one text is the beginning of another, the end tokens stand for stopping there.
    """

    def __init__(self, texts: Sequence[Sequence[int]], end_tokens: frozenset[int]) -> None:
        self._ends = sorted(end_tokens)
        self._node = _Node()
        self.longest = max(len(one) for one in texts)
        for tokens in texts:
            node = self._node
            for token in tokens:
                node = node.children.setdefault(token, _Node())
            node.whole = True

    def allowed(self) -> list[int]:
        """Tokens that may come next; never empty before `done`."""
        return [*self._node.children, *(self._ends if self._node.whole else ())]

    def advance(self, token: int) -> None:
        """Take one of the allowed tokens that is not an end token."""
        self._node = self._node.children[token]

    @property
    def done(self) -> bool:
        """A text is whole, and no other goes on from it."""
        return self._node.whole and not self._node.children
