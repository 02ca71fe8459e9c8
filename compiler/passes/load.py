"""Find the project's spec files and its lock, and read them.

Called by `compiler.pipeline` first. Files come through the reader port. Reports `missing-project`,
`unreadable-file`, `unreadable-lock`, `edited-lock`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from compiler.diagnostics.catalogue import INVALID_VALUE, MISSING_PROJECT, UNREADABLE_FILE, UNREADABLE_LOCK
from compiler.diagnostics.model import DiagnosticSink
from compiler.documents import RawDocument, read_documents, type_document, unread_document
from compiler.lockfile import LOCK_FILE, Lock, read_lock
from compiler.ports import Reader
from compiler.project import PROJECT_FILE, Sources
from compiler.source import Span
from llmops_spec.project import Project


def load(reader: Reader, sink: DiagnosticSink) -> Sources | None:
    """Read the project file, then every file that it includes. None where there is no sound project file."""
    try:
        own = read_documents(PROJECT_FILE, reader.read(PROJECT_FILE), sink)
    except OSError as error:
        sink.add(
            MISSING_PROJECT.at(
                _start(PROJECT_FILE),
                f"there is no `{PROJECT_FILE}` here ({error.strerror or 'unreadable'})",
                help="run `llmops init DIR` for a new project, or choose one with `llmops -C DIR`",
            )
        )
        return None
    project = _project(own, sink)
    if project is None:
        return None
    documents = list(own)
    files = [PROJECT_FILE]
    for path in spec_files(reader.list_files(), project):
        files.append(path)
        try:
            documents += read_documents(path, reader.read(path), sink)
        except OSError as error:
            sink.add(UNREADABLE_FILE.at(_start(path), f"`{path}` cannot be read: {error.strerror or error}"))
            documents.append(unread_document(path))
    lock = _lock(reader, sink)
    return Sources(project=project, documents=tuple(documents), files=tuple(files), lock=lock)


def _lock(reader: Reader, sink: DiagnosticSink) -> Lock:
    """What `llmops lock` wrote beside the project file; an empty lock where it never ran."""
    try:
        return read_lock(reader.read(LOCK_FILE), sink)
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        sink.add(UNREADABLE_LOCK.at(_start(LOCK_FILE), f"`{LOCK_FILE}` cannot be read: {error.strerror or error}"))
        return Lock(present=True, readable=False)


def spec_files(paths: Iterable[str], project: Project) -> list[str]:
    """The included files, sorted: nested projects and what `exclude` names are left out."""
    candidates = sorted(path for path in paths if path.endswith((".yaml", ".yml")) and path != PROJECT_FILE)
    nested = tuple(path.removesuffix(PROJECT_FILE) for path in candidates if path.endswith(f"/{PROJECT_FILE}"))
    return [
        path
        for path in candidates
        if not path.startswith(nested)
        and any(_matches(path, glob) for glob in project.spec.include)
        and not any(_matches(path, glob) for glob in project.spec.exclude)
    ]


def _project(documents: list[RawDocument], sink: DiagnosticSink) -> Project | None:
    for one in documents:
        if one.kind == "Project":
            typed = type_document(one, sink)
            return typed if isinstance(typed, Project) and _globs_are_sound(one, typed, sink) else None
    if not sink.has_errors:
        sink.add(
            MISSING_PROJECT.at(
                documents[0].span if documents else _start(PROJECT_FILE),
                f"`{PROJECT_FILE}` holds no document of kind `Project`",
                help="add `apiVersion: llmops.dev/v1alpha1`, `kind: Project` and `metadata: {name: …}`",
            )
        )
    return None


def _globs_are_sound(document: RawDocument, project: Project, sink: DiagnosticSink) -> bool:
    wrong = False
    for field in ("include", "exclude"):
        for index, glob in enumerate(getattr(project.spec, field)):
            if glob.startswith("/") or ".." in glob.split("/") or "\\" in glob:
                wrong = True
                place = document.locate(("spec", field, index))
                sink.add(INVALID_VALUE.at(place, f"`{glob}` leaves the project", help="globs are relative to the root"))
    return not wrong


def _matches(path: str, glob: str) -> bool:
    return _pattern(glob).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob as a regular expression: `**` crosses folders, `*` and `?` stay in one."""
    text = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob):
        text += {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(text)


def _start(path: str) -> Span:
    return Span(path, 1, 1, 1, 1)
