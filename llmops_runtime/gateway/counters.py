"""What a gateway counts for Prometheus, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from llmops_runtime.rails.chain import Event

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class GatewayCounters:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "llmops_gateway_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "llmops_gateway_request_seconds", "Time to answer", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self._rails = Counter(
            "llmops_gateway_rail_events",
            "Texts that a rail did not just pass",
            ["rail", "outcome"],
            registry=self.registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """`path` is the route's pattern, not what the caller wrote."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def rail(self, event: Event) -> None:
        self._rails.labels(event.rail, event.outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
