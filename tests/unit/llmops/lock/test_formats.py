"""Locks that earlier versions wrote are read, seals and all; this folder keeps one of each format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics.model import DiagnosticSink
from compiler.lockfile import Lock, read_lock, sections
from llmops_spec.lock import LOCK_FORMAT

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.lock"))
NOW = FORMATS[-1].read_bytes()


def read(data: bytes) -> tuple[Lock, list[str]]:
    sink = DiagnosticSink()
    return read_lock(data, sink), [str(one.name) for one in sink.findings()]


def test_one_of_each_format_is_kept() -> None:
    assert [int(one.stem) for one in FORMATS] == list(range(1, LOCK_FORMAT + 1))


@pytest.mark.parametrize("path", FORMATS, ids=lambda one: one.stem)
def test_a_lock_of_an_earlier_version_is_read(path: Path) -> None:
    lock, found = read(path.read_bytes())
    assert found == []
    assert all(one.intact for _, entries in sections(lock.document) for one in entries)
    assert sum(len(entries) for _, entries in sections(lock.document)) > 1


LOST = [
    number
    for number, line in enumerate(NOW.splitlines())
    if line.startswith(b"  ") and not line.startswith(b"  -") and not line.endswith(b":")
]
"""Lines of entries that say something by themselves."""


@pytest.mark.parametrize("line", LOST)
def test_a_line_that_is_lost_is_noticed(line: int) -> None:
    lines = NOW.splitlines(keepends=True)
    _, found = read(b"".join(lines[:line] + lines[line + 1 :]))
    assert found in (["edited-lock"], ["unreadable-lock"])


@given(st.integers(0, len(NOW) - 1), st.binary(min_size=1, max_size=3))
def test_whatever_is_written_over_a_lock_is_read_or_told(place: int, bytes_: bytes) -> None:
    data = NOW[:place] + bytes_ + NOW[place + len(bytes_) :]
    lock, found = read(data)
    assert lock.readable or found == ["unreadable-lock"]
    intact = all(one.intact for _, entries in sections(lock.document) for one in entries)
    assert intact or "edited-lock" in found


@given(st.binary(max_size=200))
def test_any_bytes_are_a_lock_or_one_finding(data: bytes) -> None:
    _, found = read(data)
    assert found in ([], ["unreadable-lock"])
