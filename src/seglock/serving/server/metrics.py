"""What Prometheus may know: counts and seconds, by status and by nothing that clients send."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglock.serving.description import Description

PATHS = ("/predict", "/description", "/health", "/ready", "/metrics")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self, about: Description, inside: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        model = Gauge(
            "seglock_model", "The model that is served", ["lock", "key_id"], registry=registry
        )
        model.labels(about.lock, about.key_id or "").set(1)
        waiting = Gauge("seglock_requests_inside", "Requests not answered yet", registry=registry)
        waiting.set_function(inside)
        self._requests = Counter(
            "seglock_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "seglock_predict_seconds", "From request to answer", buckets=_SECONDS, registry=registry
        )
        self._sizes = Histogram(
            "seglock_batch_images", "Images in a batch", buckets=_SIZES, registry=registry
        )
        self._network = Histogram(
            "seglock_network_seconds", "The network, a batch", buckets=_SECONDS, registry=registry
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered; any path that is not the server's is ``other``."""
        path = path if path in PATHS else "other"
        self._requests.labels(path, status).inc()
        if path == "/predict" and status == 200:
            self._seconds.observe(seconds)

    def batch(self, images: int, seconds: float) -> None:
        """Count a batch that the network has answered."""
        self._sizes.observe(images)
        self._network.observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """Everything in Prometheus' text format, and the media type of that."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
