"""Write a new project's folder whole or not at all.

Called by `start`. A folder that is not there yet appears by one rename. Into an empty folder the files are moved, the
project file last: without it the folder is no project.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from compiler.passes.load import PROJECT_FILE
from llmops.errors import Exit, OperationFailed
from llmops.io.files import write_atomically
from llmops.workspace import open_workspace

_IGNORED = frozenset({".git"})
"""What may stand in an empty folder."""


def refuse_unless_free(folder: Path) -> None:
    """See that the folder can become a project.

    Raises:
        OperationFailed: it is a file, or holds something.
    """
    try:
        held = sorted(one.name for one in folder.iterdir() if one.name not in _IGNORED) if folder.exists() else []
    except NotADirectoryError as error:
        raise OperationFailed(f"`{folder}` is a file", help="choose a folder that is new or empty") from error
    except OSError as error:
        raise OperationFailed(f"`{folder}` cannot be read: {error.strerror}") from error
    if held:
        raise OperationFailed(f"`{folder}` is not empty: it holds `{held[0]}`", help="choose a new or empty folder")


def write(folder: Path, found: Mapping[str, bytes]) -> None:
    """Write the files, see that they validate, and put them in place.

    Raises:
        OperationFailed: the disk does not take them. Nothing is left of them.
    """
    target = folder.resolve()
    fresh = not target.exists()
    made: Path | None = None
    try:
        home = target.parent if fresh else target
        home.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=".llmops-init-", dir=home))
        made.chmod(0o755)
        for path, data in found.items():
            write_atomically(made / path, data)
        _refuse_unsound(made)
        if fresh:
            made.rename(target)
        else:
            _move_into(made, target)
    except OSError as error:
        raise OperationFailed(f"`{folder}` cannot be written: {error.strerror}") from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _move_into(made: Path, target: Path) -> None:
    names = sorted((one.name for one in made.iterdir()), key=lambda name: (name == PROJECT_FILE, name))
    moved: list[Path] = []
    try:
        for name in names:
            (made / name).rename(target / name)
            moved.append(target / name)
    except OSError:
        for one in moved:
            shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
        raise


def _refuse_unsound(made: Path) -> None:
    """A project that does not validate is a mistake of ours, and must not be left to the user."""
    compilation = open_workspace(made).compile()
    if not compilation.sound:
        raise AssertionError(f"the new project does not validate: {compilation.findings[0]}")
    if compilation.denials:
        denial = compilation.denials[0]
        raise OperationFailed(f"a policy forbids it: {denial.message}", help=denial.help, exit_code=Exit.FINDINGS)
