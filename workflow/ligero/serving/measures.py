"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ligero_requests",
            "Requests answered, by path and status",
            ["path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "ligero_request_seconds",
            "Time from a request's head to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.items = Counter("ligero_items", "Items answered", registry=self.registry)
        self.tokens = Counter("ligero_tokens", "Tokens read by the model", registry=self.registry)
        self.truncated = Counter("ligero_truncated", "Items whose end was cut off", registry=self.registry)
        self.batch = Histogram(
            "ligero_batch_requests", "Requests answered together", buckets=_REQUESTS, registry=self.registry
        )
        self.waiting = Gauge("ligero_waiting_tokens", "Tokens of unanswered requests", registry=self.registry)

    def of_batch(self, requests: int, tokens: int) -> None:
        self.batch.observe(requests)
        self.tokens.inc(tokens)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)
