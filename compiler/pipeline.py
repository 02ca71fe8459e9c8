"""The compiler, in order: load -> parse -> resolve -> check -> lower -> govern -> emit -> diff -> plan.

Start reading here. Each pass is one function in one file of `compiler/passes/`; only this file imports them.
Commands are prefixes: `validate` ends after `govern`, `compile` after `emit`, `plan` and `apply` go on to `diff`
with what they observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.diagnostics.catalogue import NO_ENVIRONMENT
from compiler.diagnostics.model import Diagnostic, DiagnosticSink
from compiler.diagnostics.suggestions import did_you_mean
from compiler.graph import ResourceGraph
from compiler.passes.check import check
from compiler.passes.diff import diff
from compiler.passes.emit import emit
from compiler.passes.govern import govern
from compiler.passes.load import load
from compiler.passes.lower import lower
from compiler.passes.parse import parse
from compiler.passes.resolve import resolve
from compiler.plan import Observed, PlannedStep
from compiler.ports import Backend, Check, Denial, Facts, Lowered, PolicyEngine, Reader
from compiler.project import PROJECT_FILE, ParsedProject
from compiler.source import Span
from llmops_spec.environment import Environment


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """What `llmops` hands to the compiler."""

    reader: Reader
    checks: Sequence[Check]
    backends: Mapping[str, Backend]
    """By the name of the target that each serves."""
    policies: PolicyEngine
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class CompiledEnvironment:
    """One environment, as far as the compiler got."""

    name: str
    graph: ResourceGraph
    lowered: Lowered | None
    """None where there were errors."""
    backend: Backend


@dataclass(frozen=True, kw_only=True)
class Compilation:
    environments: Mapping[str, CompiledEnvironment]
    findings: tuple[Diagnostic, ...]
    denials: tuple[Denial, ...]
    files: tuple[str, ...] = ()
    """The spec files that were read."""

    @property
    def sound(self) -> bool:
        return not any(one.severity == "error" for one in self.findings)


def compile_project(tools: Toolbox, environment: str | None = None) -> Compilation:
    """Compile one environment, or every one. All findings of all of them are reported together.

    What fails is poisoned and stays silent downstream, so one mistake is one finding. Denials are no errors:
    they go into the plan.
    """
    sink = DiagnosticSink()
    sources = load(tools.reader, sink)
    if sources is None:
        return Compilation(environments={}, findings=sink.findings(), denials=())
    parsed = parse(sources, sink)
    names = _environments(parsed, environment, sink)
    shared = sink.findings()
    compiled: dict[str, CompiledEnvironment] = {}
    found: list[Diagnostic] = []
    denials: list[Denial] = []
    for name in names:
        own = DiagnosticSink()
        own.extend(shared)
        one, denied = _compile_environment(parsed, name, tools, own)
        found += [_in_environment(finding, name, names) for finding in own.findings() if finding not in shared]
        denials += [replace(denial, environments=(name,)) for denial in denied]
        if one is not None:
            compiled[name] = one
    sink.extend(found)
    return Compilation(
        environments=compiled, findings=_named(sink.findings(), names), denials=_merged(denials), files=sources.files
    )


def _compile_environment(
    parsed: ParsedProject, name: str, tools: Toolbox, sink: DiagnosticSink
) -> tuple[CompiledEnvironment | None, tuple[Denial, ...]]:
    graph = resolve(parsed, name, sink)
    if graph is None:
        return None, ()
    target = graph.environment.spec.target
    backend = tools.backends["local" if target.local is not None else "kubernetes"]
    check(graph, (*tools.checks, *backend.checks()), tools.reader, sink)
    lowered = lower(graph, backend, tools.facts, tools.reader, sink)
    denials = govern(graph, lowered, tools.policies)
    return CompiledEnvironment(name=name, graph=graph, lowered=lowered, backend=backend), denials


def emit_files(compiled: CompiledEnvironment) -> Mapping[str, bytes]:
    """The files of a sound environment, by path below `build/<environment>/`."""
    assert compiled.lowered is not None  # callers ask only after `Compilation.sound`
    return emit(compiled.graph, compiled.lowered, compiled.backend)


def plan_steps(compiled: CompiledEnvironment, observed: Observed) -> list[PlannedStep]:
    """What each step of a sound environment needs, given what is there."""
    assert compiled.lowered is not None  # callers ask only after `Compilation.sound`
    return diff(compiled.lowered.steps, observed)


def _environments(parsed: ParsedProject, wanted: str | None, sink: DiagnosticSink) -> list[str]:
    known = [one.raw.name for one in parsed.documents.values() if one.raw.kind == Environment.KIND and one.raw.name]
    if wanted not in (None, *known) and parsed.may_hold(Environment.KIND):
        return []  # it may be the one that was reported
    if wanted is not None and wanted not in known:
        place = Span(PROJECT_FILE, 1, 1, 1, 1)
        sink.add(NO_ENVIRONMENT.at(place, f"environment `{wanted}` is not defined", help=did_you_mean(wanted, known)))
        return []
    if not known and not sink.has_errors:
        place = Span(PROJECT_FILE, 1, 1, 1, 1)
        said = "the project has no environment"
        sink.add(NO_ENVIRONMENT.at(place, said, help="add a document of kind `Environment` with `target: {local: {}}`"))
    return known if wanted is None else [wanted]


def _in_environment(finding: Diagnostic, name: str, names: Sequence[str]) -> Diagnostic:
    return replace(finding, environments=(name,)) if len(names) > 1 else finding


def _named(findings: Sequence[Diagnostic], names: Sequence[str]) -> tuple[Diagnostic, ...]:
    """A finding of every environment need not name them."""
    everywhere = tuple(sorted(names))
    return tuple(replace(one, environments=()) if one.environments == everywhere else one for one in findings)


def _merged(denials: Sequence[Denial]) -> tuple[Denial, ...]:
    """Equal denials once, with the environments that they hold in."""
    where: dict[Denial, tuple[str, ...]] = {}
    for one in denials:
        bare = replace(one, environments=())
        where[bare] = (*where.get(bare, ()), *one.environments)
    return tuple(replace(one, environments=names) for one, names in where.items())
