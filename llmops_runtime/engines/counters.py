"""What an engine counts for Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from llmops_runtime.serving.replies import Usage


class EngineCounters:
    def __init__(self, load: Callable[[], tuple[int, int]]) -> None:
        """`load` gives the requests that are decoded, and that wait."""
        self.registry = CollectorRegistry()
        self._requests = Counter("llmops_engine_requests", "Requests finished", ["finish"], registry=self.registry)
        self._tokens = Counter("llmops_engine_tokens", "Tokens read and written", ["kind"], registry=self.registry)
        running = Gauge("llmops_engine_running_requests", "Requests in the batch", registry=self.registry)
        running.set_function(lambda: load()[0])
        queued = Gauge("llmops_engine_queued_requests", "Requests that wait", registry=self.registry)
        queued.set_function(lambda: load()[1])

    def finished(self, finish: str, usage: Usage) -> None:
        self._requests.labels(finish).inc()
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)

    def text(self) -> bytes:
        return generate_latest(self.registry)
