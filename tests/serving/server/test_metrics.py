"""What Prometheus is told has no label that a client could choose."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from seglock.serving.server.metrics import PATHS, Metrics
from tests.serving.test_description import made


def test_labels_are_of_fixed_sets() -> None:
    metrics = Metrics(made(key=None), lambda: 3)
    metrics.request("/predict", 200, 0.01)
    metrics.request("/canary", 404, 0.01)
    metrics.batch(4, 0.002)
    text, kind = metrics.text()
    assert kind.startswith("text/plain")
    found = {
        (sample.name, sample.labels.get("path"), sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert {path for _, path, _ in found if path} <= {*PATHS, "other"}
    assert found["seglock_requests_total", "other", None] == 1
    assert found["seglock_batch_images_sum", None, None] == 4
    assert found["seglock_requests_inside", None, None] == 3
    assert found["seglock_predict_seconds_count", None, None] == 1
