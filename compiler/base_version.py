"""What reviewed gates ask of a change: Gate, Evaluation and rows of a base revision, around what would be served now.

Called by `llmops` after the pipeline, with the sound graph of the working tree and that of the base revision. Pure.
Where a change leaves gate, evaluation and rows as they are, their keys are the same, so nothing is added; where it
alters them, the base's version is a second decision beside the change's own, and a release needs both. Reports
`base-cannot-run`.

The system that is measured is the change's: a service's new model behind its new prompt. So is a baseline's model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from compiler.artifacts import make_artifacts
from compiler.diagnostics.catalogue import BASE_CANNOT_RUN
from compiler.diagnostics.model import Diagnostic, Severity
from compiler.graph import ResourceGraph, ResourceId, ResourceNode, resource_id
from compiler.lockfile import LOCK_FILE
from compiler.plan import ArtifactStep, Decide, Evaluate, Provision, RollOut, Step, StepId, step_id
from compiler.ports import Check, Facts, Lowered, Reader
from compiler.source import Span
from llmops_spec.base import Resource
from llmops_spec.dataset import Dataset, Split
from llmops_spec.digests import Json
from llmops_spec.evaluation import Evaluation, Subject
from llmops_spec.gate import Baseline, Criterion, Gate
from llmops_spec.model import Model
from llmops_spec.service import Service, ServiceSpec

R = TypeVar("R", bound=Resource)

MARK: Final = "@BASE"
"""Ends the names of steps of the base's version. No resource can be named in upper case."""
_HELP: Final = (
    "leave gates, evaluations and their rows alone in this change, or let another of the gate's owners merge it: "
    "what is merged is the next base"
)


@dataclass(frozen=True, kw_only=True)
class BaseRevision:
    commit: str
    graph: ResourceGraph
    """The same environment, sound."""


@dataclass(frozen=True, kw_only=True)
class JudgedByBase:
    lowered: Lowered
    """With the decisions of the base's version, and with what they need."""
    findings: tuple[Diagnostic, ...] = ()


def judge_by_base(
    now: ResourceGraph, lowered: Lowered, base: BaseRevision, checks: Sequence[Check], facts: Facts, files: Reader
) -> JudgedByBase:
    """Add the base's version of each gate to the steps of an environment, where it is another one.

    `files` has the working tree's files, and the base's as `<commit>:<path>`. Where the base's version cannot run,
    nothing is added, and a finding for each reason says so.
    """
    version = _Version(now=now, base=base, files=files)
    judging = version.graph()
    findings = version.findings
    if not findings:
        wrong = [one for check in checks for one in check.findings(judging, files) if one.severity is Severity.ERROR]
        reasons = {one.message.replace(MARK, ""): one.span for one in reversed(wrong)}
        findings = [cannot_run(base.commit, place, why) for why, place in reversed(reasons.items())]
    if findings:
        return JudgedByBase(lowered=lowered, findings=tuple(findings))
    made = {step_id(step): step for step in make_artifacts(judging, facts, files).steps}
    return JudgedByBase(lowered=_merged(lowered, made, version.asked))


def cannot_run(commit: str, place: Span, why: str) -> Diagnostic:
    """The finding that the gates of a base revision cannot judge the working tree."""
    said = f"the gates as reviewed in {commit[:12]} cannot judge this change: {why}"
    return BASE_CANNOT_RUN.at(place, said, help=_HELP)


@dataclass(kw_only=True)
class _Version:
    """The working tree's graph with the base's gates, their evaluations and rows in place of its own."""

    now: ResourceGraph
    base: BaseRevision
    files: Reader
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])
    asked: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Gate to the services of the working tree that its base version must let pass."""

    def graph(self) -> ResourceGraph:
        replaced = ("Gate", "Evaluation", "Service")
        kept = {name: node for name, node in self.now.nodes.items() if node.kind not in replaced}
        judged: dict[ResourceId, ResourceNode] = {}
        for node, gate in self.base.graph.of(Gate):
            subject = self._subject(node, gate)
            if subject is not None:
                judged[node.id] = replace(node, resource=self._gate(node, gate))
                for one in self._evaluation(gate, subject):
                    if one.id in judged and judged[one.id].resource != one.resource:
                        self._cannot(node, f"services that gate `{node.name}` judged as one are different systems now")
                    judged[one.id] = one
        return replace(self.now, nodes=dict(sorted({**kept, **judged}.items())))

    def _subject(self, node: ResourceNode, gate: Gate) -> Subject | None:
        """What the gate has to measure now; None where nothing of it is left, or nobody can say."""
        before = [one.name for one, service in self.base.graph.of(Service) if node.name in service.spec.gates]
        services = {one.name: service for one, service in self.now.of(Service)}
        self.asked[node.name] = [name for name in before if name in services]
        subjects = [served_by(services[name]) for name in self.asked[node.name]]
        if not before:
            evaluation = self.now.get(Evaluation, gate.spec.evaluation)
            return evaluation.spec.subject if evaluation is not None else None
        gone = [name for name in before if name not in services]
        if gone and (heirs := self._heirs(gone, self.asked[node.name])):
            listed = ", ".join(f"`{name}`" for name in gone)
            self._cannot(node, f"gate `{node.name}` judged service {listed}, which is gone while {heirs}")
        if not subjects:
            return None
        if any(one != subjects[0] for one in subjects):
            self._cannot(node, f"services that gate `{node.name}` judged as one are different systems now")
        return subjects[0]

    def _heirs(self, gone: Sequence[str], asked: Sequence[str]) -> str:
        """What may be a service that is gone under another name, in words; empty where nothing is.

        A new service counts whatever it serves, since models and prompts can be renamed with it. One that was there
        counts where it took over a model or prompt of those gone, and the gate does not judge it anyway.
        """
        before = {one.name: service.spec for one, service in self.base.graph.of(Service)}
        left = [before[name] for name in gone]
        now = {one.name: service.spec for one, service in self.now.of(Service) if one.name not in asked}
        new = [f"`{name}` is new" for name in now if name not in before]
        took = [
            f"`{name}` took over its model or prompt"
            for name, spec in now.items()
            if name in before and any(_took_over(spec, before[name], one) for one in left)
        ]
        return " and ".join([*new, *took])

    def _gate(self, node: ResourceNode, gate: Gate) -> Gate:
        """The base's gate, with a kept record read from the base where it differs."""
        criteria = [self._criterion(node, one) for one in gate.spec.criteria]
        return gate.model_copy(update={"spec": gate.spec.model_copy(update={"criteria": criteria})})

    def _criterion(self, node: ResourceNode, criterion: Criterion) -> Criterion:
        baseline = criterion.baseline
        if baseline is None or baseline.constant is not None:
            return criterion
        if baseline.model is not None and self.now.get(Model, baseline.model) is None:
            self._cannot(node, f"gate `{node.name}` compares with model `{baseline.model}`, which is gone")
        if baseline.record is None or self._same_file(baseline.record, baseline.record):
            return criterion
        bar = "better_than" if criterion.better_than is not None else "non_inferior_to"
        return criterion.model_copy(update={bar: Baseline(record=self._of_base(baseline.record))})

    def _evaluation(self, gate: Gate, subject: Subject) -> Iterator[ResourceNode]:
        """The gate's evaluation in the base, of what would be served now; and its dataset, where that differs."""
        node, evaluation = _found(self.base.graph, Evaluation, gate.spec.evaluation)
        rows_node, rows = _found(self.base.graph, Dataset, evaluation.spec.dataset)
        name = evaluation.spec.dataset
        if not self._same_rows(evaluation, gate, rows):
            name += MARK
            splits = {split: self._split(node, one) for split, one in rows.spec.splits.items()}
            spec = rows.spec.model_copy(update={"splits": splits})
            metadata = rows.metadata.model_copy(update={"name": name})
            yield replace(rows_node, name=name, resource=rows.model_copy(update={"metadata": metadata, "spec": spec}))
        edges = tuple(replace(one, name=name) if one.kind == "Dataset" else one for one in node.edges)
        measured = evaluation.spec.model_copy(update={"subject": subject, "dataset": name})
        yield replace(node, resource=evaluation.model_copy(update={"spec": measured}), edges=edges)

    def _same_rows(self, evaluation: Evaluation, gate: Gate, rows: Dataset) -> bool:
        """Whether the evaluation would read the same from the working tree's dataset; its other splits do not count."""
        here = self.now.get(Dataset, evaluation.spec.dataset)
        constant = any(one.baseline is not None and one.baseline.constant for one in gate.spec.criteria)
        read = [*evaluation.spec.splits, *(["train"] if constant else [])]
        if here is None or any(split not in here.spec.splits for split in read):
            return False
        return _read_from(here) == _read_from(rows) and all(
            _counts(here, split) == _counts(rows, split)
            and self._same_file(here.spec.splits[split].path or LOCK_FILE, rows.spec.splits[split].path or LOCK_FILE)
            for split in read
        )

    def _split(self, node: ResourceNode, split: Split) -> Split:
        if split.path is None:
            self._cannot(node, f"the rows of evaluation `{node.name}` are not in Git, and `{LOCK_FILE}` is another one")
            return split
        return split.model_copy(update={"path": self._of_base(split.path)})

    def _same_file(self, here: str, there: str) -> bool:
        now, base = self.files.fact(here), self.files.fact(self._of_base(there))
        return now is not None and base is not None and now.digest == base.digest

    def _of_base(self, path: str) -> str:
        return f"{self.base.commit}:{path}"

    def _cannot(self, node: ResourceNode, why: str) -> None:
        self.findings.append(cannot_run(self.base.commit, node.span(), why))


def served_by(service: Service) -> Subject:
    """The system that a service runs, as an evaluation would name it."""
    spec = service.spec
    assert spec.prompt is not None  # a service without one is refused by checks and by the targets
    return Subject(
        model=spec.model,
        prompt=spec.prompt,
        guardrails=spec.guardrails,
        engine=spec.engine,
        requests=spec.requests,
    )


def _took_over(now: ServiceSpec, before: ServiceSpec, left: ServiceSpec) -> bool:
    prompt = now.prompt is not None and now.prompt == left.prompt != before.prompt
    return prompt or now.model == left.model != before.model


def _read_from(rows: Dataset) -> Json:
    return rows.spec.model_dump(mode="json", exclude={"splits", "licence"})


def _counts(rows: Dataset, split: str) -> tuple[Json, bool]:
    one = rows.spec.splits[split]
    return one.model_dump(mode="json", exclude={"path"}), one.file.endswith(".csv")


def _found(graph: ResourceGraph, kind: type[R], name: str) -> tuple[ResourceNode, R]:
    node, resource = graph.node(kind, name), graph.get(kind, name)
    assert node is not None, resource_id(kind.KIND, name)  # the graph is sound
    assert resource is not None, name
    return node, resource


# --- steps


def _merged(lowered: Lowered, made: Mapping[StepId, ArtifactStep], asked: Mapping[str, Sequence[str]]) -> Lowered:
    """The steps with those of the base's version that they do not have, before the first step that acts."""
    own = {step_id(step): step for step in lowered.steps}
    by_key = {step.key: name for name, step in own.items() if isinstance(step, ArtifactStep)}
    wanted = _closure([f"decide/{gate}" for gate in asked if f"decide/{gate}" in made], made)
    names = {name: by_key.get(made[name].key) or _free_name(made[name], own) for name in made if name in wanted}
    added = [
        step.model_copy(update={"name": names[name].partition("/")[2], "needs": [names[one] for one in step.needs]})
        for name, step in made.items()
        if name in wanted and step.key not in by_key
    ]
    required = {
        service: [names[f"decide/{gate}"] for gate, services in asked.items() if service in services]
        for service in sorted({one for services in asked.values() for one in services})
    }
    making = [step for step in lowered.steps if isinstance(step, ArtifactStep)]
    acting = [_requiring(step, required) for step in lowered.steps if not isinstance(step, ArtifactStep)]
    return replace(lowered, steps=(*making, *added, *acting))


def _closure(names: Sequence[StepId], made: Mapping[StepId, ArtifactStep]) -> set[StepId]:
    found: set[StepId] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += made[name].needs
    return found


def _free_name(step: ArtifactStep, own: Mapping[StepId, Step]) -> StepId:
    name = step_id(step)
    return f"{name}{MARK}" if isinstance(step, Evaluate | Decide) or name in own else name


def _requiring(step: Step, required: Mapping[str, Sequence[StepId]]) -> Step:
    """A step that acts, with the gates that its service must pass too."""
    more = required.get(step.name, ())
    if isinstance(step, RollOut):
        gates, needs = _unique([*step.gates, *more]), _unique([*step.needs, *more])
        return step.model_copy(update={"gates": gates, "needs": needs})
    if isinstance(step, Provision):
        return step.model_copy(update={"needs": _unique([*step.needs, *more])})
    return step


def _unique(ids: Sequence[StepId]) -> list[StepId]:
    return list(dict.fromkeys(ids))
