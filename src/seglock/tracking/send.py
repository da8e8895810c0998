"""The requests that tell a store of a run.

Sending twice changes nothing: a figure carries the time when it was told, which MLflow treats as
part of its identity; params and tags have one value; artifacts overwrite themselves. What a store
refuses costs only itself: it is returned, in words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seglock.tracking.limits import BATCH, PARAM_LENGTH, TAG_LENGTH, safe_name, shortened
from seglock.tracking.store import RejectedError, Store


class Figure(NamedTuple):
    """One value of a metric; ``time`` in milliseconds; ``again``: the run may have it already."""

    name: str
    value: float
    time: int
    step: int
    again: bool


def figures(store: Store, run_id: str, told: list[Figure]) -> list[str]:
    """Send figures; of those that the run may have, what it lacks or has otherwise."""
    from mlflow.entities import Metric

    there = _figures_there(store, run_id, told) if any(f.again for f in told) else {}
    lacking = [
        Metric(safe_name(f.name), f.value, f.time, f.step)
        for f in told
        if not (f.again and str(there.get((safe_name(f.name), f.step))) == str(f.value))
    ]
    return _send_batches(store, run_id, "metrics", lacking)


def _figures_there(store: Store, run_id: str, told: list[Figure]) -> dict[Any, float]:
    """The run's latest values by name and step. A figure without steps costs no request."""
    curves = {safe_name(figure.name) for figure in told if figure.again and figure.step}
    with store.calls() as client:
        latest = client.get_run(run_id).data.metrics
        there = {(name, 0): value for name, value in latest.items() if name not in curves}
        for name in curves:
            points = client.get_metric_history(run_id, name)
            for point in sorted(points, key=lambda point: point.timestamp):
                there[name, point.step] = point.value
    return there


def params(store: Store, run_id: str, settings: dict[str, str], known: dict[str, str]) -> list[str]:
    """Send settings that are not ``known``, which gets them. MLflow's never change: a changed one
    becomes a tag."""
    from mlflow.entities import Param

    fitted = {}
    for whole_name, whole in settings.items():
        name = safe_name(whole_name)
        file = f"params/{name.replace('/', '_')}.txt"
        fitted[name] = shortened(whole, PARAM_LENGTH, file)
        if fitted[name] not in (whole, known.get(name)):
            with store.calls() as client:
                client.log_text(run_id, whole, file)
    changed = {name: v for name, v in fitted.items() if known.get(name, v) != v}
    new = {name: v for name, v in fitted.items() if name not in known}
    refused = _send_batches(store, run_id, "params", [Param(*item) for item in new.items()])
    known |= new
    return refused + tags(store, run_id, changed)


def tags(store: Store, run_id: str, told: dict[str, str]) -> list[str]:
    """Set tags, over older values."""
    from mlflow.entities import RunTag

    fitted = {safe_name(name): shortened(v, TAG_LENGTH, "params.yaml") for name, v in told.items()}
    return _send_batches(store, run_id, "tags", [RunTag(*item) for item in fitted.items()])


def _send_batches(store: Store, run_id: str, kind: str, items: list[Any]) -> list[str]:
    """Few requests; where the store rejects one, one for each item, to lose only the bad ones."""
    refused = []
    for start in range(0, len(items), BATCH[kind]):
        part = items[start : start + BATCH[kind]]
        try:
            with store.calls() as client:
                client.log_batch(run_id, **{kind: part})
        except RejectedError as error:
            if len(part) == 1:
                refused.append(f"{part[0].key}: {error.got}")
            else:
                for item in part:
                    refused += _send_batches(store, run_id, kind, [item])
    return refused


def dataset(store: Store, run_id: str, about: dict[str, str]) -> list[str]:
    """Send what the run used: a dataset's name, digest, source and use."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = about["source"] or about["name"]
    used = Dataset(about["name"], about["digest"][:36], "local", source)
    context = [InputTag("mlflow.data.context", about["use"])] if about["use"] else []
    try:
        with store.calls() as client:
            client.log_inputs(run_id, datasets=[DatasetInput(used, context)])
    except RejectedError as error:
        return [f"dataset: {error.got}"]
    return []
