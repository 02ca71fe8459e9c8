"""Runs rails in order over a text, and proves them before the first request.

Called by the gateway. Promises: a rail that raises or is late never lets a text through unless its `onError` says
`open`; a text that a rail refuses goes no further; rails see the text as the rails before left it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic.alias_generators import to_camel

from llmops_runtime.failures import TaskFailed
from llmops_runtime.rails.builtin import validator_of
from llmops_runtime.rails.threads import RailThreads
from llmops_runtime.rails.validator import Caught, Judgement, Passed, Validator
from llmops_spec.guardrail import GuardrailSpec, Rail

Stage = Literal["input", "output"]
_PROOF_SECONDS: Final = 60.0
"""The first call of a validator may load its model: canaries get this long, whatever the rail's own limit."""


@dataclass(frozen=True, kw_only=True)
class ReadyRail:
    """One rail of the service, ready to judge."""

    name: str
    """Where it stands: guardrail and rail counted from 1, such as `1.input.2 personalData`."""
    rail: Rail
    validator: Validator
    refusal: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a rail did, where it did anything."""

    rail: str
    outcome: Literal["refused", "redacted", "skipped", "failed"]
    """`skipped`: it erred and is open; `failed`: it erred and is closed."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    text: str
    """What goes on: as it came, or corrected. Where it was refused, the refusal."""
    allowed: bool
    events: tuple[Event, ...] = ()


class RailFailure(Exception):  # noqa: N818  # the failure of a rail
    """A closed rail raised or was late: the text may not go on."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"the guardrail {event.rail} could not judge")
        self.event = event


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The rails of one stage, in order."""

    rails: tuple[ReadyRail, ...]
    threads: RailThreads
    log: Callable[[str], None]
    """Takes why a rail acted, in a line without the text itself."""

    async def run(self, text: str) -> Verdict:
        """Judge a text.

        Raises:
            RailFailure: a closed rail raised or was late.
        """
        events: list[Event] = []
        for one in self.rails:
            started = time.perf_counter()
            try:
                judgement = await self._judge(one, text)
            except Exception as error:  # plug-in boundary: whatever it is, onError decides
                event = self._erred(one, error, time.perf_counter() - started)
                if event.outcome == "failed":
                    raise RailFailure(event) from error
                events.append(event)
                continue
            match judgement:
                case Passed():
                    continue
                case Caught(reason, corrected):
                    redacted = one.rail.on_fail == "redact" and corrected is not None
                    outcome = "redacted" if redacted else "refused"
                    events.append(Event(rail=one.name, outcome=outcome, seconds=time.perf_counter() - started))
                    self.log(f"guardrail {one.name} {outcome}: {reason}")
                    if corrected is None or not redacted:
                        return Verdict(text=one.refusal, allowed=False, events=tuple(events))
                    text = corrected
        return Verdict(text=text, allowed=True, events=tuple(events))

    async def _judge(self, one: ReadyRail, text: str) -> Judgement:
        timeout_seconds = one.rail.timeout_milliseconds / 1000
        if not one.validator.quick(text):
            return _sound(await self.threads.run(lambda: one.validator.judge(text), timeout_seconds))
        started = time.perf_counter()
        judgement = one.validator.judge(text)
        if time.perf_counter() - started > timeout_seconds:
            raise TimeoutError
        return _sound(judgement)

    def _erred(self, one: ReadyRail, error: Exception, seconds: float) -> Event:
        why = "was late" if isinstance(error, TimeoutError) else f"raised {type(error).__name__}"
        self.log(f"guardrail {one.name} {why}; it is {one.rail.on_error}")
        return Event(rail=one.name, outcome="skipped" if one.rail.on_error == "open" else "failed", seconds=seconds)


def _sound(judgement: object) -> Judgement:
    """A validator that answers anything else has not judged."""
    if isinstance(judgement, Passed | Caught):
        return judgement
    raise TypeError(f"a judgement is expected, not {type(judgement).__name__}")


@dataclass(frozen=True, kw_only=True)
class ServiceRails:
    input: Chain
    output: Chain


def build_rails(guardrails: Sequence[GuardrailSpec], log: Callable[[str], None]) -> ServiceRails:
    """Construct every validator of the service.

    Raises:
        TaskFailed: a validator cannot be used as it is written.
        ModuleNotFoundError: a library is not installed.
    """
    threads = RailThreads()
    return ServiceRails(
        input=Chain(rails=_ready(guardrails, "input"), threads=threads, log=log),
        output=Chain(rails=_ready(guardrails, "output"), threads=threads, log=log),
    )


def _ready(guardrails: Sequence[GuardrailSpec], stage: Stage) -> tuple[ReadyRail, ...]:
    return tuple(
        ReadyRail(
            name=f"{number}.{stage}.{place} {to_camel(rail.validator)}",
            rail=rail,
            validator=validator_of(rail),
            refusal=guardrail.refusal,
        )
        for number, guardrail in enumerate(guardrails, start=1)
        for place, rail in enumerate(guardrail.input if stage == "input" else guardrail.output, start=1)
    )


async def prove(rails: ServiceRails) -> None:
    """See that every rail catches its canary and lets its benign text through unchanged.

    Raises:
        TaskFailed: naming the rail that does not.
    """
    for one in (*rails.input.rails, *rails.output.rails):
        for text, wanted in ((one.rail.canary, "catch its canary"), (one.rail.benign, "let its benign text through")):
            if text is not None:
                await _prove(rails.input.threads, one, text, wanted)


async def _prove(threads: RailThreads, one: ReadyRail, text: str, wanted: str) -> None:
    try:
        judgement = _sound(await threads.run(lambda: one.validator.judge(text), _PROOF_SECONDS))
    except Exception as error:  # plug-in boundary
        raise TaskFailed(
            "bad-data", f"the guardrail {one.name} did not {wanted}: it raised {type(error).__name__}: {error}"
        ) from error
    if isinstance(judgement, Caught) != (text == one.rail.canary):
        raise TaskFailed(
            "bad-data", f"the guardrail {one.name} did not {wanted}", "correct the rail, or the text that tries it"
        )
