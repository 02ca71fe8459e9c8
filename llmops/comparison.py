"""What a change does to an environment: resources, steps and gates, against a base revision's spec.

Called by `plan --against`. Gates are compared by name, so that lowering a bar, dropping a criterion or a gate, or
measuring on other rows is said in as many words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compiler.pipeline import CompiledEnvironment
from compiler.plan import ArtifactStep, Decide, Evaluate, Step, step_id
from llmops_spec.digests import Json
from policies.gates.from_spec import criterion_rule


@dataclass(frozen=True, kw_only=True)
class Changes:
    base: str
    """Commit of the base revision."""
    resources: Mapping[str, str]
    """Id to `added`, `removed` or `changed`."""
    invalidated: tuple[str, ...]
    """Steps that the base has with another key: their results no longer count."""
    gates: tuple[str, ...]
    """A sentence for each way in which a gate asks for something else."""

    def lines(self) -> list[str]:
        """A line for each difference, for people; none where there is no difference."""
        lines = [f"{change} {name}" for name, change in self.resources.items()]
        lines += [f"runs again: {name}" for name in self.invalidated]
        return [*lines, *(f"gate changed, review it as one: {sentence}" for sentence in self.gates)]

    def to_json(self) -> dict[str, Json]:
        return {
            "base": self.base,
            "resources": dict(self.resources),
            "invalidated": list(self.invalidated),
            "gates": list(self.gates),
        }


def compare(base: CompiledEnvironment | None, now: CompiledEnvironment, commit: str) -> Changes:
    """`base` is None where the environment did not exist, or its spec was not sound, at that revision."""
    old, new = _steps(base), _steps(now)
    return Changes(
        base=commit,
        resources=dict(_resources(base, now)),
        invalidated=tuple(
            name
            for name, step in new.items()
            if isinstance(step, ArtifactStep) and isinstance(was := old.get(name), ArtifactStep) and was.key != step.key
        ),
        gates=tuple(_gates(old, new)),
    )


def _steps(compiled: CompiledEnvironment | None) -> dict[str, Step]:
    lowered = compiled.lowered if compiled is not None else None
    return {step_id(step): step for step in lowered.steps} if lowered is not None else {}


def _resources(base: CompiledEnvironment | None, now: CompiledEnvironment) -> Iterator[tuple[str, str]]:
    old = {str(one.id): dict(one.document) for one in base.graph.nodes.values()} if base is not None else {}
    new = {str(one.id): dict(one.document) for one in now.graph.nodes.values()}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield name, "added" if name not in old else "removed" if name not in new else "changed"


def _gates(old: Mapping[str, Step], new: Mapping[str, Step]) -> Iterator[str]:
    for name, was in old.items():
        if not isinstance(was, Decide):
            continue
        step = new.get(name)
        if not isinstance(step, Decide):
            yield f"`{was.name}` is gone"
            continue
        before = {criterion_rule(one).text() for one in was.payload.spec.criteria}
        after = {criterion_rule(one).text() for one in step.payload.spec.criteria}
        yield from (f"`{was.name}` no longer asks for `{one}`" for one in sorted(before - after))
        yield from (f"`{was.name}` now asks for `{one}`" for one in sorted(after - before))
        if _rest(was) != _rest(step):
            yield f"`{was.name}` decides otherwise: alpha, limits, or how criteria combine"
        if _rows(was, old) != _rows(step, new):
            yield f"`{was.name}` measures on other rows"


def _rest(step: Decide) -> Mapping[str, object]:
    return step.payload.spec.model_dump(exclude={"criteria", "evaluation"})


def _rows(step: Decide, steps: Mapping[str, Step]) -> object:
    """The rows that a gate's evaluation reads, as store names: they hold the rows' digests."""
    for name in step.needs:
        measured = steps.get(name)
        if isinstance(measured, Evaluate) and "@" not in measured.name:
            return {split: rows.ref for split, rows in measured.payload.splits.items()}
    return None
