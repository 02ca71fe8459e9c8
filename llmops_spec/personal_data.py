"""Find e-mail addresses and phone numbers in text, with few false alarms.

Called by `check-data` (which reports them), `transform` (which replaces them), the `personalData` rail, and
`llmops init` (which marks the columns that hold them). A phone number is recognised by its shape where the shape is
telling (`+49 30 1234567`, `(555) 010-1234`), and otherwise only after a word that announces one; a word that announces
an order, invoice or serial number speaks against it, and so does the shape of a date, a price or a card number.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])(?P<local>[\w.%+'-]{1,64})@(?:[\w-]{1,63}\.){1,8}(?P<top>[^\W\d_]{2,24})(?![\w-]|\.\w)"
)
_FILE_ENDINGS: Final = re.compile(
    r"bmp|css|csv|gif|gz|htm|html|ico|jpeg|jpg|js|json|md|mp|pdf|png|py|svg|tar|tgz|ts|tsx|txt|webp|xml|yaml|yml|zip",
    re.IGNORECASE,
)
"""`icon@2x.png` is a file."""

_SHAPES: Final = (
    r"\+[1-9](?:[ .()/-]{0,2}\d){7,14}",
    r"(?:\+?1[ .-]?)?\(\d{2,5}\)[ .-]?\d{3,4}(?:[ .-]?\d{2,4}){1,2}",
    r"(?<!\d[ ./-])(?:1[.-])?[2-9]\d{2}(?P<mark>[.-])\d{3}(?P=mark)\d{4}",
    r"(?<!\d[ ./-])0\d{1,4}[ /]\d{3,8}(?:[ -]\d{2,5}){0,3}",
    r"(?<!\d[ ./-])0\d(?:[ .]\d{2}){4}",
)
_NOT_BEFORE: Final = r"(?<![\w.,+#/$€£-])"
_NOT_AFTER: Final = r"(?![\w%°]|[.,/-]\d)"
_TELLING: Final = re.compile(rf"{_NOT_BEFORE}(?:{'|'.join(_SHAPES)}){_NOT_AFTER}")
_DIGITS: Final = re.compile(rf"{_NOT_BEFORE}\+?\(?\d(?:[ .()/-]{{0,2}}\d){{6,14}}{_NOT_AFTER}")
_ANNOUNCES: Final = re.compile(
    r"\b(?:call(?:ed|ing)?|cell(?:phone)?|dial|fax|handy|mobile?|mobil(?:nummer)?|phone|portable|ring|sms|tel|telefon(?:nummer)?|"
    r"telephone|téléphone|teléfono|text(?:ed)? me|whats ?app|rufnummer)\b",
    re.IGNORECASE,
)
_DENIES: Final = re.compile(
    r"(?:\b(?:account|article|asset|batch|booking|bestell\w*|case|contract|coupon|customer|firmware|id|imei|invoice|isbn|item|"
    r"kunden\w*|licen[cs]e|lot|model|order|part|policy|rechnung\w*|reference|ref|reservation|seriennummer|serial|sku|s/n|sn|"
    r"ticket|tracking|transaction|version|vin|build|error|code)\b|#)",
    re.IGNORECASE,
)
_DATE: Final = re.compile(
    r"(?:19|20)\d{2}[ ./-]\d{1,2}[ ./-]\d{1,2}(?:\D.*)?|"
    r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}(?:\D.*)?|"
    r"\d{1,2} \d{1,2} (?:19|20)\d{2}|"
    r"(?:19|20)\d{2}\s*-\s*(?:19|20)\d{2}"
)
_THOUSANDS: Final = re.compile(r"\+?\d{1,3}(?:[. ]000)+|\+?\d{1,3}(?:\.\d{3}){2,}")
_LOOK_BACK: Final = 30
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15


@dataclass(frozen=True, kw_only=True)
class PersonalText:
    kind: Literal["email", "phone"]
    start: int
    end: int


def find_personal(text: str) -> list[PersonalText]:
    """E-mail addresses and phone numbers in `text`, in order, not overlapping."""
    found: list[PersonalText] = []
    for one in (*(_emails(text) if "@" in text else ()), *_phones(text)):
        place = bisect_left(found, one.start, key=lambda known: known.start)
        after_the_one_before = place == 0 or found[place - 1].end <= one.start
        if after_the_one_before and (place == len(found) or one.end <= found[place].start):
            found.insert(place, one)
    return found


def redact(text: str) -> str:
    """`text` with `[email]` and `[phone]` in their places."""
    pieces: list[str] = []
    kept_until = 0
    for one in find_personal(text):
        pieces += [text[kept_until : one.start], f"[{one.kind}]"]
        kept_until = one.end
    return "".join(pieces) + text[kept_until:]


def _emails(text: str) -> Iterator[PersonalText]:
    for match in _EMAIL.finditer(text):
        repository = match["local"].casefold() == "git" and text[match.end() : match.end() + 1] in {":", "/"}
        if not _FILE_ENDINGS.fullmatch(match["top"]) and not repository:
            yield PersonalText(kind="email", start=match.start(), end=match.end())


def _phones(text: str) -> Iterator[PersonalText]:
    if sum(character.isdigit() for character in text) < _FEWEST_DIGITS:
        return
    for match in _DIGITS.finditer(text):
        if _possible(match.group()) and _announced(text, match.start()):
            yield PersonalText(kind="phone", start=match.start(), end=match.end())
    for match in _TELLING.finditer(text):
        if _possible(match.group()) and _announced(text, match.start()) is not False:
            yield PersonalText(kind="phone", start=match.start(), end=match.end())


def _possible(spelled: str) -> bool:
    """The number of digits fits, and it is no date and no amount."""
    digits = sum(character.isdigit() for character in spelled)
    fewest = _FEWEST_DIGITS + 1 if spelled.startswith("+") else _FEWEST_DIGITS
    if not fewest <= digits <= _MOST_DIGITS:
        return False
    return not _DATE.fullmatch(spelled) and not _THOUSANDS.fullmatch(spelled)


def _announced(text: str, start: int) -> bool | None:
    """What the words just before say: True a phone number, False something else, None nothing."""
    before = text[max(0, start - _LOOK_BACK) : start]
    speaks_for = max((match.start() for match in _ANNOUNCES.finditer(before)), default=-1)
    speaks_against = max((match.start() for match in _DENIES.finditer(before)), default=-1)
    if speaks_for == speaks_against:
        return None
    return speaks_for > speaks_against
