"""Compile an environment together with the base revision whose gates judge it too.

Called by `plan`, `gate run` and `apply`. The base is what `--against` names; else, for a `local` target, the working
tree itself; else what HEAD has in common with the protected branch, which on that branch is the commit applied. A
folder without Git has none: `bootstrap`. Which branch is protected is not for the change to say: the remote's default
branch says it where it is known here, and elsewhere a change that names another than its base did is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from compiler.base_version import BaseRevision, cannot_run, judge_by_base
from compiler.diagnostics.catalogue import NO_BASE
from compiler.diagnostics.model import Diagnostic, Severity
from compiler.graph import ResourceGraph
from compiler.pipeline import Compilation
from compiler.plan import BOOTSTRAP, WORKING_TREE, BaseName, is_commit
from compiler.ports import Denial
from llmops.comparison import Changes, compare
from llmops.io.git import REMOTE_DEFAULT, FilesWithRevision, RevisionFiles, has_commit, merge_base, resolved
from llmops.workspace import Workspace
from llmops_spec.project import Project


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One environment, ready to be planned."""

    project: Workspace
    """Reads the files of the base, too."""
    compilation: Compilation
    """With the decisions of the base's gates among the steps, and with what they cannot judge among the denials."""
    base: BaseName = WORKING_TREE
    changes: Changes | None = None
    """Against the base, where that is a commit."""


def compile_judged(project: Workspace, environment: str, against: str | None = None) -> Judged:
    """Compile an environment with its base revision.

    Raises:
        OperationFailed: the base revision cannot be told or read.
    """
    compilation = project.compile(environment)
    if not compilation.sound:
        return Judged(project=project, compilation=compilation)
    graph = compilation.environments[environment].graph
    base = choose_base(project.root, graph, against)
    if is_commit(base):
        revision = RevisionFiles(project.root, base)
        return _judged(project, compilation, environment, revision, chosen=against is None)
    return Judged(project=project, compilation=_with(compilation, environment, _missing_base(graph, base)), base=base)


def choose_base(root: Path, graph: ResourceGraph, against: str | None) -> BaseName:
    """The commit whose gates count beside the change's own, `working-tree` or `bootstrap`.

    Raises:
        OperationFailed: `against` is no revision, or the protected branch is not here.
    """
    if against is not None:
        return RevisionFiles(root, against).commit
    if not has_commit(root):
        return BOOTSTRAP
    if graph.environment.spec.target.local is not None:
        return WORKING_TREE
    return merge_base(root, _protected_branch(root, graph))


def _protected_branch(root: Path, graph: ResourceGraph) -> str:
    """By the project as the remote's default branch has it; by the change where no such branch is known here.

    Where that branch lacks the environment it is the protected one itself, whose base then cannot judge.
    """
    default = resolved(root, REMOTE_DEFAULT)
    if default is None:
        return graph.project.spec.protected_branch
    name = graph.environment.metadata.name
    there = Workspace(root=root, files=RevisionFiles(root, default)).compile(name).environments.get(name)
    return there.graph.project.spec.protected_branch if there is not None else "HEAD"  # the remote's


def _judged(
    project: Workspace, compilation: Compilation, environment: str, revision: RevisionFiles, *, chosen: bool
) -> Judged:
    """`chosen`: the protected branch gave the base, and nobody named it."""
    both = Workspace(root=project.root, files=FilesWithRevision(now=project.files, revision=revision))
    there = Workspace(root=project.root, files=revision).compile(environment)
    base, now = there.environments.get(environment), compilation.environments[environment]
    assert now.lowered is not None  # the compilation is sound
    if there.sound and base is not None:
        tools = both.tools()
        revised = BaseRevision(commit=revision.commit, graph=base.graph)
        checks = [*tools.checks, *now.backend.checks()]
        found = judge_by_base(now.graph, now.lowered, revised, checks, tools.facts, both.files)
        lowered, findings = found.lowered, found.findings
        if chosen:
            findings = (*findings, *_moved_protection(project.root, revision.commit, base.graph, now.graph))
    else:
        wrong = next(one for one in there.findings if one.severity is Severity.ERROR)
        findings = (cannot_run(revision.commit, wrong.span, f"its spec is not sound: {wrong.message}"),)
        lowered = now.lowered
    judged = replace(compilation, environments={environment: replace(now, lowered=lowered)})
    return Judged(
        project=both,
        compilation=_with(judged, environment, findings),
        base=revision.commit,
        changes=compare(base, now, revision.commit),
    )


def _moved_protection(root: Path, commit: str, base: ResourceGraph, now: ResourceGraph) -> tuple[Diagnostic, ...]:
    """A finding where the change's own word chose the base, and the base does not call that branch protected."""
    before, after = base.project.spec.protected_branch, now.project.spec.protected_branch
    if before == after or resolved(root, REMOTE_DEFAULT) is not None:
        return ()
    node = next(node for node, _ in now.of(Project))
    why = f"it makes `{after}` the protected branch in place of `{before}`, and so chooses its own base"
    return (cannot_run(commit, node.span("spec", "protectedBranch"), why),)


def _missing_base(graph: ResourceGraph, base: BaseName) -> tuple[Diagnostic, ...]:
    if base != BOOTSTRAP or graph.environment.spec.tier != "production":
        return ()
    said = f"environment `{graph.environment.metadata.name}` is of tier production, and this folder has no Git history"
    help_ = "apply a reviewed commit of a Git repository"
    return (NO_BASE.at(graph.environment_node.span(), said, help=help_),)


def _with(compilation: Compilation, environment: str, findings: tuple[Diagnostic, ...]) -> Compilation:
    """What could run but must not is a denial: it stands in the plan, and stops `apply` and `gate run` at once."""
    denials = tuple(
        Denial(
            rule=one.name,
            resource=f"environment/{environment}",
            message=one.message,
            span=one.span,
            severity=Severity.ERROR,
            help=one.help,
            environments=(environment,),
        )
        for one in findings
    )
    return replace(compilation, denials=(*compilation.denials, *denials))
