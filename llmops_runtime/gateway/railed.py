"""One request through the rails and the engine: what both of the gateway's endpoints do.

Promises: nothing of a request reaches the engine, and nothing of an answer the caller, before every rail of that
stage has let it through. Callers have no say in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from llmops_runtime.gateway.engine_client import Completion, EngineClient
from llmops_runtime.rails.chain import Chain, Event, RailFailure, ServiceRails
from llmops_runtime.serving.errors import ApiError
from llmops_runtime.serving.replies import Usage
from llmops_runtime.serving.requests import ChatRequest

SKIPPED_HEADER: Final = "X-LLMOps-Rails-Skipped"
"""Names the rails that erred and are open."""


class Refused(Exception):  # noqa: N818  # it is an answer, not an error
    """A rail refused what came in. Carries the refusal text."""


@dataclass(kw_only=True)
class Passage:
    """The way of one request. Collects what rails did on it."""

    rails: ServiceRails
    count: Callable[[Event], None]
    events: list[Event] = field(default_factory=list)

    async def admit(self, text: str) -> str:
        """The text as the input rails leave it.

        Raises:
            Refused: a rail caught something.
            ApiError: 503, a closed rail erred.
        """
        text, allowed = await self._run(self.rails.input, text)
        if not allowed:
            raise Refused(text)
        return text

    async def admit_messages(self, request: ChatRequest) -> ChatRequest:
        """The request with every message as the input rails leave it.

        All roles are tried: the caller writes system and assistant messages too, and would hide in them.
        """
        if not self.rails.input.rails:
            return request
        messages = [replace(one, content=await self.admit(one.content)) for one in request.messages]
        return replace(request, messages=tuple(messages))

    async def release(self, completion: Completion) -> Completion:
        """The answer as the output rails leave it, or the refusal in its place.

        Raises:
            ApiError: 503, a closed rail erred.
        """
        text, allowed = await self._run(self.rails.output, completion.text)
        finish_reason = completion.finish_reason if allowed else "content_filter"
        return replace(completion, text=text, finish_reason=finish_reason)

    async def answer(self, engine: EngineClient, request: ChatRequest) -> Completion:
        """The released answer to an admitted request."""
        return await self.release(await engine.complete(replace(request, stream=False)))

    def headers(self) -> dict[str, str]:
        skipped = [event.rail for event in self.events if event.outcome == "skipped"]
        return {SKIPPED_HEADER: ", ".join(skipped)} if skipped else {}

    def told(self) -> list[dict[str, str]]:
        """What rails did, as callers may know it."""
        return [{"rail": event.rail, "outcome": event.outcome} for event in self.events]

    async def _run(self, chain: Chain, text: str) -> tuple[str, bool]:
        if not chain.rails:
            return text, True
        try:
            verdict = await chain.run(text)
        except RailFailure as failure:
            self.count(failure.event)
            raise ApiError(503, str(failure), code="guardrail_unavailable") from failure
        for event in verdict.events:
            self.count(event)
        self.events += verdict.events
        return verdict.text, verdict.allowed


def refusal(text: str) -> Completion:
    """The answer to a request that a rail refused: a normal answer to a client, marked as filtered."""
    return Completion(text=text, finish_reason="content_filter", usage=Usage())
