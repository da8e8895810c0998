"""Sending a journal's entries to a store, from where the store last acknowledged.

Sending twice changes nothing: metrics carry the time of their entry, which MLflow treats as part of
their identity; params and tags have one value; artifacts overwrite themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seglock.errors import TrackingError
from seglock.files import sha256_file
from seglock.tracking.journal import Acknowledged, Entry, Journal, RunHeader
from seglock.tracking.limits import (
    BATCH_METRICS,
    BATCH_PARAMS_AND_TAGS,
    PARAM_LENGTH,
    TAG_LENGTH,
    number_to_store,
    safe_name,
    shortened,
)
from seglock.tracking.store import RejectedError, Store

PREVIOUS = "seglock.previous_run_id"
LOCAL_PREFIX = "local-"
_LIGHT = ("metrics", "params", "tags")


def resolve_run(store: Store, header: RunHeader, run_id: str | None) -> tuple[str, dict[str, str]]:
    """The store's run for ``run_id`` and the params it has.

    A run the store knows is taken up. One it does not know (made elsewhere, or begun without a
    store) becomes a run tagged with the old id, and the same one the next time.
    """
    tags = dict(header.tags)
    experiment = store.experiment(header.experiment)
    if run_id is not None:
        if not run_id.startswith(LOCAL_PREFIX):
            params = store.params_of(run_id)
            if params is not None:
                return run_id, params
        if found := store.find_tagged(experiment, PREVIOUS, run_id):
            return found, store.params_of(found) or {}
        tags[PREVIOUS] = run_id
    return store.create_run(experiment, header.name, tags, header.started), {}


@dataclass
class _Group:
    """Entries that go out, and are acknowledged, together."""

    entries: list[Entry] = field(default_factory=list)
    end: int = 0


def _groups(journal: Journal, offset: int) -> Iterator[_Group]:
    group = _Group()
    for entry, end in journal.entries(offset):
        light = entry["kind"] in _LIGHT
        if group.entries and (not light or len(group.entries) >= BATCH_METRICS):
            yield group
            group = _Group()
        group.entries.append(entry)
        group.end = end
        if not light:
            yield group
            group = _Group()
    if group.entries:
        yield group


class Delivery:
    """Sends one journal to one store. ``refused`` lists what the store would not take."""

    def __init__(self, journal: Journal, store: Store) -> None:
        self.journal = journal
        self.store = store
        self.refused: list[str] = []
        self._params: dict[str, str] | None = None

    def adopt(self, store_run_id: str, params: dict[str, str]) -> None:
        """Note that the run is ``store_run_id`` in the store and has ``params`` there."""
        self._params = params
        known = self.journal.acknowledged
        if (known.store, known.run_id) != (self.store.shown, store_run_id):
            self.journal.acknowledged = Acknowledged(self.store.shown, store_run_id, 0)

    def send(self) -> int:
        """Send all that is not acknowledged; returns the number of entries sent.

        Raises TrackingError when the store is away; what was acknowledged before stays so.
        """
        sent = 0
        with self.journal.sending():
            if self._params is None:
                run_id = self.journal.acknowledged.run_id
                self.adopt(
                    *resolve_run(self.store, self.journal.header, run_id or self.journal.run_id)
                )
            state = self.journal.acknowledged
            for group in _groups(self.journal, state.offset):
                self._send_group(str(state.run_id), group.entries)
                state = Acknowledged(state.store, state.run_id, group.end)
                self.journal.acknowledged = state
                sent += len(group.entries)
        return sent

    def _send_group(self, run_id: str, entries: list[Entry]) -> None:
        kind = entries[0]["kind"]
        if kind in _LIGHT:
            self._send_batch(run_id, entries)
        elif kind == "artifact":
            self._send_artifact(run_id, entries[0])
        elif kind == "dataset":
            self._try("dataset", lambda: self._send_dataset(run_id, entries[0]))
        elif kind == "status":
            self._try("status", lambda: self._send_status(run_id, entries[0]))

    def _send_batch(self, run_id: str, entries: list[Entry]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [
            Metric(safe_name(name), number_to_store(value), entry["time"], entry["step"])
            for entry in entries
            if entry["kind"] == "metrics"
            for name, value in entry["metrics"].items()
        ]
        params, tags = self._params_and_tags(run_id, entries)
        labels = [Param(*item) for item in params.items()]
        labels += [RunTag(*item) for item in tags.items()]
        for part in _chunks(metrics, BATCH_METRICS):
            self._log_batch(run_id, part)
        for part in _chunks(labels, BATCH_PARAMS_AND_TAGS):
            self._log_batch(run_id, part)
        assert self._params is not None
        self._params |= params

    def _params_and_tags(
        self, run_id: str, entries: list[Entry]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """New params, and tags. MLflow's params never change: a changed one becomes a tag."""
        known = self._params or {}
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        for entry in entries:
            for name, whole in entry.get("params", {}).items():
                name, file = safe_name(name), f"params/{safe_name(name).replace('/', '_')}.txt"
                value = shortened(whole, PARAM_LENGTH, file)
                if value != whole:
                    with self.store.calls() as client:
                        client.log_text(run_id, whole, file)
                if (known | params).get(name, value) == value:
                    params[name] = value
                else:
                    tags[name] = shortened(whole, TAG_LENGTH, file)
            for name, value in entry.get("tags", {}).items():
                tags[safe_name(name)] = shortened(value, TAG_LENGTH, "journal")
        return {n: v for n, v in params.items() if n not in known}, tags

    def _log_batch(self, run_id: str, items: list[Any]) -> None:
        """One request; where the store rejects it, one for each item, to lose only the bad ones."""
        from mlflow.entities import Metric, Param

        metrics = [item for item in items if isinstance(item, Metric)]
        params = [item for item in items if isinstance(item, Param)]
        tags = [item for item in items if not isinstance(item, Metric | Param)]
        try:
            with self.store.calls() as client:
                client.log_batch(run_id, metrics=metrics, params=params, tags=tags)
        except RejectedError as error:
            if len(items) == 1:
                self.refused.append(f"{items[0].key}: {error.got}")
                return
            for item in items:
                self._log_batch(run_id, [item])

    def _try(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except RejectedError as error:
            self.refused.append(f"{what}: {error.got}")

    def _send_artifact(self, run_id: str, entry: Entry) -> None:
        file = self._artifact_file(entry)
        if file is None:
            self.refused.append(f"artifact {entry['file']}: its file is gone")
            return
        folder = Path(entry["file"]).parent.as_posix()
        with self.store.calls() as client:
            client.log_artifact(run_id, str(file), None if folder == "." else folder)
        with contextlib.suppress(OSError):
            self.journal.kept_copy(entry["file"]).unlink(missing_ok=True)

    def _artifact_file(self, entry: Entry) -> Path | None:
        for file in (self.journal.kept_copy(entry["file"]), Path(entry["source"])):
            if file.is_file() and sha256_file(file) == entry["sha256"]:
                return file
        return None

    def _send_dataset(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = entry["source"] or entry["name"]
        dataset = Dataset(entry["name"], entry["digest"][:36], "local", source)
        tags = [InputTag("mlflow.data.context", entry["use"])] if entry["use"] else []
        with self.store.calls() as client:
            client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])

    def _send_status(self, run_id: str, entry: Entry) -> None:
        with self.store.calls() as client:
            if entry["status"] == "RUNNING":
                client.update_run(run_id, status="RUNNING")
            else:
                client.set_terminated(run_id, entry["status"], entry["time"])


def send_quietly(journal: Journal, store: Store) -> None:
    """Send what an earlier journal still holds, where that works."""
    with contextlib.suppress(TrackingError):
        Delivery(journal, store).send()


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
