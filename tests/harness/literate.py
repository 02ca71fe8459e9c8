"""Cases written in Markdown: fenced files, with the expected findings as comments on their lines.

Used by `test_pages.py` (each page's `Bad` and `Good`) and `test_spec_cases.py` (`tests/spec/*.md`).

    # error: [unknown-reference] "did you mean"      on the line that the finding points at
    # warning: [empty-file]                          several comments may stand on one line

A section is a heading of level two and what follows. A fence belongs to the file that the line before it names as
`` `path/name.yaml`: ``; without such a line it is the next of `spec.yaml`, `spec-2.yaml`, …. Text in quotation marks
must stand in the finding's message, label, note or help.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compiler.diagnostics.model import Diagnostic
from compiler.diagnostics.text import render_text
from compiler.ports import FieldAbility
from tests.harness.project import compile_files, complete

_FENCE = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`:\n+)?^(?P<mark>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=mark)$", re.MULTILINE | re.DOTALL
)
_EXPECTED = re.compile(r"# (?P<severity>error|warning): \[(?P<name>[a-z0-9-]+)\](?: \"(?P<part>[^\"]*)\")?")


@dataclass(frozen=True, kw_only=True)
class Expected:
    severity: str
    name: str
    file: str
    line: int
    part: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        return (self.severity, self.name, self.file, self.line)


@dataclass(frozen=True, kw_only=True)
class Case:
    title: str
    files: Mapping[str, str]
    expected: tuple[Expected, ...]


def read_cases(path: Path) -> dict[str, Case]:
    """The sections of a file that hold fences, by title."""
    parts = re.split(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles, bodies = parts[1::2], parts[2::2]
    assert len(set(titles)) == len(titles), f"{path.name}: two sections have one title"
    cases = {title: _case(title, body) for title, body in zip(titles, bodies, strict=True)}
    return {title: case for title, case in cases.items() if case.files}


def _case(title: str, body: str) -> Case:
    files: dict[str, str] = {}
    for fence in _FENCE.finditer(body):
        unnamed = f"spec-{len(files) + 1}.yaml" if "spec.yaml" in files else "spec.yaml"
        name = fence["file"] or unnamed
        assert name not in files, f"{title}: `{name}` is written twice"
        files[name] = fence["text"]
    expected = tuple(one for name, text in files.items() for one in _expectations(name, text))
    return Case(title=title, files=files, expected=expected)


def _expectations(file: str, text: str) -> list[Expected]:
    return [
        Expected(severity=found["severity"], name=found["name"], file=file, line=number, part=found["part"] or "")
        for number, line in enumerate(text.split("\n"), start=1)
        for found in _EXPECTED.finditer(line)
    ]


def run_case(case: Case, *, stated: Mapping[str, FieldAbility] | None = None) -> None:
    """Compile a case's files and compare what is found with what is expected, both ways."""
    files = {name: text.encode() for name, text in case.files.items()}
    compilation = compile_files(files, stated=stated)
    found = compilation.findings
    sources = {name: data.decode() for name, data in complete(files).items() if isinstance(data, bytes)}
    shown = render_text(found, sources.get, colour=False) or "nothing was found\n"
    keys = Counter((one.severity.value, str(one.name), one.span.file, one.span.line) for one in found)
    wanted = Counter(one.key for one in case.expected)
    missing, surprising = list((wanted - keys).elements()), list((keys - wanted).elements())
    assert (missing, surprising) == ([], []), f"missing {missing}, unexpected {surprising}\n\n{shown}"
    for one in case.expected:
        texts = [_words(other) for other in found if (str(other.name), other.span.line) == (one.name, one.line)]
        assert any(one.part in text for text in texts), f"`{one.part}` is not said\n\n{shown}"
    lowered = [environment.lowered is not None for environment in compilation.environments.values()]
    assert all(lowered) if compilation.sound else not lowered or not all(lowered)


def _words(one: Diagnostic) -> str:
    return "\n".join((one.message, one.label, one.note, one.help, *(label.text for label in one.related)))
