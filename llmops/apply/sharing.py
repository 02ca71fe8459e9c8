"""Which evaluations one engine can answer: states of the same base weights under the same settings.

Called by the executor, which orders evaluations by it, and by `candidates`, which starts engines. Pure: from steps and
payloads alone. A step's own payload, and so its key, never says with whom it shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.plan import Action, Evaluate, PlannedStep, step_id
from llmops_spec.payloads.serving import EnginePayload, ServedState


def shares(one: EnginePayload, other: EnginePayload) -> bool:
    """Whether two engines are states of one: equal base weights, settings and libraries, and no name for two states."""
    return (
        one.weights.model == other.weights.model
        and one.transformers == other.transformers
        and one.versions == other.versions
        and (one.model_name != other.model_name or one.weights == other.weights)
    )


def shared_engine(first: EnginePayload, others: Iterable[EnginePayload]) -> EnginePayload:
    """The engine of `first` that answers for all those of the others, too, that are states of the same."""
    states: dict[str, ServedState] = {}
    for one in others:
        fits = shares(first, one) and one.model_name != first.model_name
        if fits and states.get(one.model_name, _state(one)) == _state(one):
            states[one.model_name] = _state(one)
    return first.model_copy(update={"others": list(states.values())})


def answers_for(engine: EnginePayload, wanted: EnginePayload) -> bool:
    """Whether a running engine holds the state that another one would."""
    return shares(engine, wanted) and _state(wanted) in (_state(engine), *engine.others)


def _state(engine: EnginePayload) -> ServedState:
    return ServedState(model_name=engine.model_name, weights=engine.weights)


def in_engine_order(steps: Sequence[PlannedStep]) -> list[PlannedStep]:
    """The steps in their order, but for evaluations: those that can follow on the same engine come right after it.

    No step comes before one that it needs.
    """
    waiting, ordered = list(steps), list[PlannedStep]()
    warm: EnginePayload | None = None
    while waiting:
        ready = [one for one in waiting if _is_ready(one, waiting)] or waiting[:1]
        chosen = next((one for one in ready if warm is not None and _fits(one, warm)), ready[0])
        warm = _engine(chosen) or warm
        waiting.remove(chosen)
        ordered.append(chosen)
    return ordered


def _is_ready(planned: PlannedStep, waiting: Iterable[PlannedStep]) -> bool:
    """Whether nothing that is still to be done makes what the step needs."""
    return not {step_id(one.step) for one in waiting}.intersection(planned.step.needs)


def sharers(step: Evaluate, waiting: Sequence[PlannedStep]) -> list[EnginePayload]:
    """The engines of the evaluations to come that one started for `step` can answer for: their weights are made."""
    mine = step.payload.engine
    engines = [_engine(one) for one in waiting if _is_ready(one, waiting)]
    return [one for one in engines if mine is not None and one is not None and shares(mine, one)]


def _fits(planned: PlannedStep, warm: EnginePayload) -> bool:
    engine = _engine(planned)
    return engine is not None and shares(warm, engine)


def _engine(planned: PlannedStep) -> EnginePayload | None:
    step = planned.step
    return step.payload.engine if isinstance(step, Evaluate) and planned.action is Action.RUN else None
