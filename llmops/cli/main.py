"""The `llmops` command: one module per subcommand, imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from llmops import __version__
from llmops.errors import Exit, OperationFailed

COMMANDS = {
    "apply": "Make an environment match its spec, through every gate.",
    "compile": "Write manifests, jobs and the Pulumi program, or the CI pipeline.",
    "destroy": "Stop what runs in an environment; artifacts and evidence stay.",
    "doctor": "Say what this machine has, lacks and would do.",
    "evidence": "Verify, show or discard signed evidence.",
    "explain": "Print the page of a check, policy or diagnostic.",
    "gate": "Run what gates need, and decide them.",
    "gc": "Remove stored results that nothing needs.",
    "init": "Write a project that works, from nothing or from your data.",
    "keys": "Make the signing key and the trust file.",
    "lock": "Pin every remote model, data set and image to its bytes.",
    "plan": "Show what would run, and why.",
    "policy": "Test the policy rules on their fixtures.",
    "schema": "Print the JSON Schema of spec documents.",
    "size": "Say what fits on a GPU, how much it holds and what it costs.",
    "status": "Show what runs.",
    "validate": "Check the spec for every environment.",
    "why": "Tell where a value was written, or why a step runs again.",
}

_OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""Some tens of megabytes at most, instead of Python's 700 objects."""


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is called, so that starting costs little."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(f"llmops.cli.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from compiler.diagnostics.suggestions import nearest

            near = nearest(args[0], COMMANDS)
            said = f"; did you mean `{near[0]}`?" if near else ""
            raise click.UsageError(f"there is no command `{args[0]}`{said}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="llmops")
@click.option("-C", "directory", type=click.Path(path_type=Path), help="The project's folder.")
@click.pass_context
def llmops(ctx: click.Context, directory: Path | None) -> None:
    """Models, prompts, data, gates and GPU targets as typed YAML in Git: checked, gated, served.

    Begin with `llmops init DIR`, or with `llmops -C examples/quickstart plan --env local`.
    """
    ctx.obj = directory


def main() -> NoReturn:
    """Entry point of the console script. It ends the process: nothing runs after it, no handler of `atexit` either."""
    # What a compiler makes stays reachable: looking through it for garbage again and again finds next to nothing.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # pydantic would look through every installed package for plug-ins, which costs time and lets any of them in.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _interrupt)
    code = run(sys.argv[1:])
    _write_what_is_left()
    # Whatever must be closed is closed by now. Freeing each object, and searching for garbage twice, before the system
    # frees all at once would take a tenth of the time of `validate`.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Every ending is an exit code of `Exit`; no traceback for what is foreseen."""
    try:
        return _code(llmops.main(list(arguments), prog_name="llmops", standalone_mode=False))
    except SystemExit as ended:
        return _code(ended.code)
    except click.ClickException as error:
        error.show()
        return Exit.MISUSE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last boundary
        return _ended(error)


def _code(ended: object) -> int:
    return int(ended) if isinstance(ended, int) else Exit.CLEAN


def _ended(error: BaseException) -> Exit:
    from llmops.cli.console import print_bug, print_failure

    failure = _foreseen(error)
    if failure is None:
        print_bug(error)
        return Exit.BUG
    print_failure(failure)
    return failure.exit_code


def _foreseen(error: BaseException) -> OperationFailed | None:
    """What an exception is to the user; None where it is our bug."""
    if isinstance(error, OperationFailed):
        return error
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        help_ = "run the same command again: finished steps are kept, and one that was cut off starts again"
        return OperationFailed("interrupted", help=help_, exit_code=Exit.INTERRUPTED)
    if isinstance(error, OSError):  # a full disk, a folder that may not be written
        place = f": {error.filename}" if error.filename else ""
        help_ = "mend that, and run the same command again"
        return OperationFailed(f"{error.strerror or error}{place}", help=help_)
    import sqlite3

    from llmops_spec.formats import ADVICE, NewerFormat
    from llmops_spec.store import StoreCorrupt

    if isinstance(error, NewerFormat | StoreCorrupt):
        told = "`llmops evidence verify` says which step it is, and how to give it up"
        newer = isinstance(error, NewerFormat)
        help_, code = (ADVICE, Exit.MISUSE) if newer else (told, Exit.TAMPERED)
        return OperationFailed(str(error), help=help_, exit_code=code)
    if isinstance(error, sqlite3.Error):
        help_ = "mend that, and run the same command again; finished steps are kept"
        return OperationFailed(f"the journal: {error}", help=help_, exit_code=Exit.STEP_FAILED)
    return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _write_what_is_left() -> None:
    """What is left for a full disk has been reported."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _open_standard_streams() -> None:
    """Put nothing where the caller closed a standard stream: the next file opened would take its place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
