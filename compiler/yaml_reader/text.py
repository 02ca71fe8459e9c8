"""From the bytes of a file to text that libyaml, an editor and a reviewer see alike.

Called by `builder` alone. Reports `yaml-too-large`, `not-utf8`, `bidi-control`, `yaml-directive`.
"""

from __future__ import annotations

import re
from typing import Final

from compiler.source import Span
from compiler.yaml_reader.model import MAX_PROBLEMS, YamlProblem, YamlRule

MAX_BYTES: Final = 1 << 20

_MAX_DIRECTIVES: Final = 100
"""libyaml compares every %TAG line with all before it (6 s for 1 MiB), so many of them are refused before it looks."""

UNSEEN: Final = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters; U+0085 would be a line end for libyaml alone
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"  # not the joiners: Persian, emoji
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"  # line ends, bidi controls, fillers
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # format controls, tags, selectors
    "]+"
)
"""Characters that show nothing, or that change how their neighbours show."""

_ASCII_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_LINE_END = re.compile(r"\r\n|\r|\n")
_DOCUMENT_MARKER = re.compile(r"(?<![^\r\n])---(?!\S)")


def decoded(file: str, data: bytes, problems: list[YamlProblem]) -> str | None:
    """The text of a file without its byte order mark, or None where it cannot be read at all.

    Unseen characters are reported and become U+FFFD, so that reading goes on and every place stays right.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read"
        return _refuse(problems, "yaml-too-large", message, Span(file, 1, 1, 1, 1), "split it into several files")
    if data.isascii() and len(data.translate(None, _ASCII_CONTROLS)) == len(data):
        text = data.decode("ascii")
    elif (text := _unicode_text(file, data, problems)) is None:
        return None
    if text.count("\n%") + text.count("\r%") > _MAX_DIRECTIVES:
        message = (
            f"more than {_MAX_DIRECTIVES} lines start with `%`, which marks a directive; directives are not allowed"
        )
        return _refuse(problems, "yaml-directive", message, Span(file, 1, 1, 1, 1), "remove these lines")
    return text


def _unicode_text(file: str, data: bytes, problems: list[YamlProblem]) -> str | None:
    if data.startswith(_UTF_16_OR_32):
        message = "the file is UTF-16 or UTF-32, not UTF-8"
        return _refuse(problems, "not-utf8", message, Span(file, 1, 1, 1, 1), "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")  # the codec has removed the byte order mark from it
        byte = error.object[error.start]
        message = f"the file is not UTF-8 text: the byte 0x{byte:02x} does not belong to a character here"
        return _refuse(problems, "not-utf8", message, _place(file, before), "save it as UTF-8, or exclude it")
    if "\0" in text:
        message = "the file is not text: it holds a NUL character"
        span = _place(file, text[: text.index("\0")])
        return _refuse(problems, "not-utf8", message, span, "exclude the file, or save it as UTF-8 text")
    return _without_unseen(file, text, problems)


def _without_unseen(file: str, text: str, problems: list[YamlProblem]) -> str:
    runs = 0
    for match in UNSEEN.finditer(text):
        runs += 1
        if runs > MAX_PROBLEMS // 2:  # leave room for the problems of the text itself
            break
        problems.append(unseen_problem(match.group(), _place(file, text[: match.start()], len(match.group()))))
    return UNSEEN.sub(lambda match: "\ufffd" * len(match.group()), text) if runs else text


def unseen_problem(characters: str, span: Span) -> YamlProblem:
    """The problem of one run of unseen characters."""
    more = f" (and {len(characters) - 1} more)" if len(characters) > 1 else ""
    return YamlProblem(
        rule="bidi-control",
        message=f"an invisible control character, U+{ord(characters[0]):04X}{more}, hides what is written here",
        span=span,
        help="remove it; a text that needs it can hold it as an escape in double quotes",
    )


def _refuse(problems: list[YamlProblem], rule: YamlRule, message: str, span: Span, help_text: str) -> None:
    problems.append(YamlProblem(rule=rule, message=message, span=span, help=help_text))


def _place(file: str, before: str, length: int = 1) -> Span:
    """The span of `length` characters that follow the text `before`."""
    column = len(before) - max(before.rfind("\n"), before.rfind("\r"))
    line = line_number(before, len(before))
    return Span(file, line, column, line, column + length)


def line_number(text: str, offset: int) -> int:
    """The 1-based line of the character at `offset`."""
    return len(_LINE_END.findall(text, 0, offset)) + 1


def document_marker(text: str, offset: int) -> int | None:
    """Where the next document starts: a `---` that begins a line is a marker wherever it stands, in quotes too."""
    marker = _DOCUMENT_MARKER.search(text, offset)
    return marker.start() if marker else None


def ends_document(text: str, offset: int) -> bool:
    """Whether no text of the document is left at `offset`."""
    return document_marker(text, offset) == offset or not text[offset:].strip()
