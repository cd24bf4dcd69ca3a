"""What `/metrics` reports, in Prometheus's text format."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from nmt.server.job_queue import JobQueue
from nmt.server.jobs import Unit

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Instruments:
    """Counters and histograms of one server; any thread may use them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "nmt_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "nmt_request_seconds",
            "Time from the head of a request to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._queue = Gauge(
            "nmt_queue_load",
            "Waiting or in translation, in source pieces times beam size",
            ["model"],
            registry=self.registry,
        )
        self._batch_texts = Histogram(
            "nmt_batch_texts", "Texts in a batch", ["model"], buckets=_SENTENCES, registry=self.registry
        )
        self._batch_seconds = Histogram(
            "nmt_batch_seconds",
            "Time to translate a batch",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._work = Counter(
            "nmt_translated",
            "Translated, in source pieces times beam size",
            ["model"],
            registry=self.registry,
        )
        self._cancelled = Counter(
            "nmt_cancelled", "Texts given up, as their clients left", ["model"], registry=self.registry
        )

    def watch(self, model: str, queue: JobQueue) -> None:
        """Report the load of a queue."""
        self._queue.labels(model).set_function(lambda: queue.load)

    def batch(self, model: str, units: Sequence[Unit], seconds: float) -> None:
        """Count a batch."""
        self._batch_texts.labels(model).observe(len(units))
        self._batch_seconds.labels(model).observe(seconds)
        self._work.labels(model).inc(sum(unit.cost for unit in units))
        self._cancelled.labels(model).inc(sum(unit.job.cancelled() for unit in units))

    def text(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(self.registry)
