"""The only module that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from llmops.errors import OperationFailed


def say(text: str = "") -> None:
    """A result, on stdout."""
    _write(text, sys.stdout)


def tell(text: str = "") -> None:
    """Progress and notices, on stderr."""
    _write(text, sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    """Whoever stops reading, as `head` does, does not stop the work."""
    try:
        click.echo(text, file=stream)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_json(value: object) -> None:
    say(json.dumps(value, indent=2, ensure_ascii=False))


def style(text: str, colour: str, *, bold: bool = False) -> str:
    """Coloured text; click drops the colours where stdout is no terminal."""
    return click.style(text, fg=colour, bold=bold)


def table(rows: Sequence[Sequence[str]], *, heads: Sequence[str] = ()) -> str:
    """Columns padded to their longest cell; ANSI codes do not count. No trailing white space."""
    lines = [list(heads), *[list(row) for row in rows]] if heads else [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(_width(line[column]) for line in lines) for column in range(len(lines[0]))]
    drawn = [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in drawn)


def _width(text: str) -> int:
    return len(click.unstyle(text))


def print_failure(error: OperationFailed) -> None:
    tell(f"{style('error', 'red', bold=True)}: {error.what}")
    if error.help:
        tell(f"{style('help', 'cyan')}: {error.help}")


def print_bug(error: BaseException) -> None:
    """Our own mistake: one line for people, the traceback in a file that a report can carry."""
    import traceback
    from tempfile import NamedTemporaryFile

    tell(f"{style('bug', 'red', bold=True)}: {type(error).__name__}: {error}")
    account = "".join(traceback.format_exception(error))
    try:
        with NamedTemporaryFile("w", prefix="llmops-bug-", suffix=".txt", delete=False) as stream:
            stream.write(account)
    except OSError:
        tell(account)
    else:
        tell(f"{style('help', 'cyan')}: this is a mistake in llmops; please report it with {Path(stream.name)}")


def is_terminal() -> bool:
    return sys.stderr.isatty()
