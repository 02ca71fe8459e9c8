"""Plain scalars by the YAML 1.2 core schema, and what makes a key refusable. Called by `builder` alone."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from compiler.source import Span
from compiler.yaml_reader.model import YamlProblem
from compiler.yaml_reader.text import UNSEEN, unseen_problem

MAX_EXACT_INTEGER: Final = 2**53 - 1
"""Digests are taken over RFC 8785 JSON, whose numbers are doubles: a larger integer would not survive there."""

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
"""The plain scalars that are neither numbers nor text."""

_NUMBER_STARTS: Final = frozenset("+-.0123456789")

_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

# One per confusable alphabet. Japanese mixes scripts by nature, so only these count.
_LOOKALIKE_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "FULLWIDTH"})
_JOINERS = re.compile("[\u200c\u200d]")


@dataclass(frozen=True, slots=True)
class RefusedNumber:
    """A scalar that spells a number which no spec may hold."""

    message: str


def plain_value(text: str) -> str | int | float | bool | RefusedNumber | None:
    """What a scalar without quotes means."""
    if text[:1] not in _NUMBER_STARTS:
        return _WORDS.get(text, text)
    if _INTEGER.fullmatch(text):
        return _integer(text, text.lstrip("+-0"), 10)
    if _PREFIXED_INTEGER.fullmatch(text):
        return _integer(text, text[2:].lstrip("0"), 16 if text[1] == "x" else 8)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else RefusedNumber(f"the number `{shortened(text)}` is too large")
    if _NON_FINITE.fullmatch(text):
        return RefusedNumber(f"`{text}` is not a finite number")
    return text


def _integer(text: str, significant: str, base: int) -> int | RefusedNumber:
    # 18 digits of any base hold the limit. More are not converted: Python takes quadratic time, then raises.
    magnitude = int(significant or "0", base) if len(significant) <= 18 else MAX_EXACT_INTEGER + 1
    if magnitude > MAX_EXACT_INTEGER:
        return RefusedNumber(f"the integer `{shortened(text)}` is beyond 2^53, up to which integers are kept exactly")
    return -magnitude if text[0] == "-" else magnitude


def shortened(text: str) -> str:
    """A text as a message quotes it."""
    return text if len(text) <= 40 else f"{text[:20]}…{text[-5:]}"


def key_problem(key: str, span: Span) -> YamlProblem | None:
    """What is wrong with a key that is not plain printable ASCII, if anything is: unseen or look-alike characters."""
    unseen = UNSEEN.search(key) or _JOINERS.search(key)
    if unseen:
        return unseen_problem(unseen.group(), span)
    scripts: dict[str, str] = {}
    for letter in filter(str.isalpha, key):
        script = unicodedata.name(letter, "?").split(" ", 1)[0]
        if script in _LOOKALIKE_SCRIPTS:
            scripts.setdefault(script, letter)
    if len(scripts) < 2:
        return None
    spelled = " and ".join(f"{name.title()} (`{letter}`, U+{ord(letter):04X})" for name, letter in scripts.items())
    message = f"the key `{key}` mixes alphabets whose letters look alike: {spelled}"
    return YamlProblem(rule="mixed-script-key", message=message, span=span, help="write the key in one alphabet")
