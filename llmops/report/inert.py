"""Text of unknown origin made fit to stand on a page.

Used by `svg` and `page` on every text that they write; escaping of HTML comes after it.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_LONGEST_TEXT: Final = 2000
"""Characters of one text that are shown: enough for every honest sentence."""


def clean(text: str) -> str:
    """The text with nothing in it that could hide, reverse or break what stands around it.

    Control characters, surrogates and characters that turn the direction of writing become visible escapes.
    """
    more = len(text) - _LONGEST_TEXT
    shown = text if more <= 0 else f"{text[:_LONGEST_TEXT]}… ({more:,} more characters)"
    return "".join(one if _harmless(one) else f"\\u{ord(one):04x}" for one in shown)


def _harmless(one: str) -> bool:
    if one in "\n\t" or 0x20 <= ord(one) < 0x7F:
        return True
    # Joiners are format characters too, but scripts and emoji need them.
    joiner = one in "\u200c\u200d"
    return joiner or (unicodedata.category(one) not in {"Cc", "Cf", "Cs"} and ord(one) & 0xFFFE != 0xFFFE)
