"""Type every document as it is written, before any environment changes it.

Called by `compiler.pipeline` after `load`. Pure. Reports what typing reports (`unknown-key`, `missing-field`,
`wrong-type`, `invalid-value`, `one-of`), `duplicate-resource`, `several-projects`.
"""

from __future__ import annotations

from compiler.diagnostics.catalogue import DUPLICATE_RESOURCE, SEVERAL_PROJECTS
from compiler.diagnostics.model import DiagnosticSink, Label
from compiler.documents import RawDocument, type_document
from compiler.graph import ResourceId, resource_id
from compiler.project import ParsedDocument, ParsedProject, Sources


def parse(sources: Sources, sink: DiagnosticSink) -> ParsedProject:
    """Type each document; the first of two with one name counts, and the second is reported."""
    documents: dict[ResourceId, ParsedDocument] = {}
    nameless: set[str] = set()
    for raw in sources.documents:
        if raw.kind == "Project":
            parsed = _project(raw, sources, sink)
        else:
            parsed = ParsedDocument(raw=raw, resource=type_document(raw, sink))
        if raw.name is None or not raw.kind:
            nameless.add(raw.kind)
            continue
        if parsed is None:
            continue
        known = documents.setdefault(resource_id(raw.kind, raw.name), parsed)
        if known is not parsed:
            sink.add(
                DUPLICATE_RESOURCE.at(
                    raw.span,
                    f"{raw.kind.lower()} `{raw.name}` is defined twice",
                    related=[Label(span=known.raw.span, text="first defined here")],
                    help="rename one of them",
                )
            )
    return ParsedProject(
        project=sources.project,
        documents={one: documents[one] for one in sorted(documents)},
        nameless=frozenset(nameless),
        files=sources.files,
        lock=sources.lock,
    )


def _project(raw: RawDocument, sources: Sources, sink: DiagnosticSink) -> ParsedDocument | None:
    """The project is typed already; another one is a mistake."""
    first = next(one for one in sources.documents if one.kind == "Project")
    if raw is first:
        return ParsedDocument(raw=raw, resource=sources.project)
    place = Label(span=first.span, text="the project of this repository")
    sink.add(SEVERAL_PROJECTS.at(raw.span, "a repository has one project", related=[place], help="remove this one"))
    return None
