"""The model registry: a package as a logged model and a version, its aliases, and its end.

A version's end is told by tags, which every client and server of it reads: ``seglock.retired``,
why, and ``seglock.expires``, an ISO 8601 time with its zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.address import tracking_uri
from seglock.errors import ModelError
from seglock.tracking.store import UNKNOWN, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seglock.config import TrackingParams

RETIRED, EXPIRES, REPLACED_BY = "seglock.retired", "seglock.expires", "seglock.replaced_by"
SCHEME = "models:/"
_SECONDS = 10.0


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    name: str
    number: str

    @property
    def address(self) -> str:
        """What ``--model`` takes."""
        return f"{SCHEME}{self.name}/{self.number}"


class Registry:
    """The registry of a project's tracking store.

    Every method raises TrackingError, in bounded time, when it is away.
    """

    def __init__(self, root: Path, params: TrackingParams | None = None) -> None:
        seconds = params.timeout_seconds if params else _SECONDS
        self._store = Store(tracking_uri(root), timeout=seconds, required=True)

    def register(
        self,
        package: Path,
        name: str,
        *,
        run_id: str,
        description: str,
        tags: Mapping[str, str],
    ) -> Version:
        """Log a package's folder as a model of a run, and make it the next version of ``name``.

        It replaces the retired versions that nothing has replaced, and they say so.
        """
        with self._store.calls() as client:
            run = client.get_run(run_id)
            model = client.create_logged_model(
                run.info.experiment_id, name, source_run_id=run_id, tags=dict(tags)
            )
            client.log_model_artifacts(model.model_id, str(package))
            client.finalize_logged_model(model.model_id, "READY")
            if not any(found.name == name for found in client.search_registered_models()):
                client.create_registered_model(name)
            made = client.create_model_version(
                name,
                source=model.artifact_location,
                run_id=run_id,
                tags=dict(tags),
                description=description,
                model_id=model.model_id,
            )
            for one in _versions(client, name):
                if RETIRED in one.tags and REPLACED_BY not in one.tags:
                    client.set_model_version_tag(name, one.version, REPLACED_BY, made.version)
        return Version(name, str(made.version))

    def point(self, alias: str, version: Version) -> None:
        """Have an alias name this version, and no other."""
        with self._store.calls() as client:
            client.set_registered_model_alias(version.name, alias, version.number)

    def versions(self, name: str) -> tuple[Version, ...]:
        """The versions of a model that are in use, oldest first; none where there is no model."""
        with self._store.calls() as client:
            found = [one for one in _versions(client, name) if RETIRED not in one.tags]
        return tuple(Version(name, str(n)) for n in sorted(int(one.version) for one in found))

    def retire(self, version: Version, why: str) -> None:
        """Mark a version as retired: nobody opens it from here on; its aliases are taken away."""
        with self._store.calls() as client:
            client.set_model_version_tag(version.name, version.number, RETIRED, why)
            aliases = dict(client.get_registered_model(version.name).aliases)
            for alias, number in aliases.items():
                if str(number) == version.number:
                    client.delete_registered_model_alias(version.name, alias)

    def fetch(self, address: str) -> Path:
        """The folder of ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``, on this machine.

        Raises ModelError for an address of another form, an unknown version or alias, and one that
        is retired or has expired.
        """
        name, number, alias = parse_address(address)
        with self._store.calls() as client:
            found = _found(client, address, name, number, alias)
            check_open(address, found.tags)
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(found.source, tracking_uri=self._store.uri))


def parse_address(address: str) -> tuple[str, str | None, str | None]:
    """Name, version and alias of an address, one of the last two None.

    >>> parse_address("models:/shf-4@champion"), parse_address("models:/shf-4/2")
    (('shf-4', None, 'champion'), ('shf-4', '2', None))
    """
    rest = address.removeprefix(SCHEME)
    name, _, alias = rest.partition("@")
    if address.startswith(SCHEME) and name and alias and "/" not in rest:
        return name, None, alias
    name, _, number = rest.partition("/")
    if address.startswith(SCHEME) and name and number.isdecimal():
        return name, number, None
    raise ModelError(
        "a model of the registry must be models:/NAME@ALIAS or models:/NAME/VERSION",
        got=address,
        fix="`seglock package` says the address of each version that it makes",
    )


def check_open(address: str, tags: Mapping[str, str], now: datetime | None = None) -> None:
    """Raise ModelError for a version whose tags say that it is retired or has expired."""
    if RETIRED in tags:
        other = tags.get(REPLACED_BY)
        raise ModelError(
            f"{address} must be in use",
            got=f"a retired version: {tags[RETIRED]}",
            fix=f"use version {other}" if other else "ask its owner for the one that replaced it",
        )
    if (until := tags.get(EXPIRES)) is None:
        return
    try:
        ended = datetime.fromisoformat(until) <= (now or datetime.now(UTC))
    except (ValueError, TypeError):
        ended = True
    if ended:
        raise ModelError(
            f"{address} must be in use",
            got=f"a version with {EXPIRES}={until}",
            fix="ask its owner for a later one, or, as its owner, change that tag",
        )


def _versions(client: Any, name: str) -> Iterable[Any]:
    found: Iterable[Any] = client.search_model_versions(f"name = '{name}'")
    return found


def _found(client: Any, address: str, name: str, number: str | None, alias: str | None) -> Any:
    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, number)
    except Exception as error:
        if getattr(error, "error_code", "") in UNKNOWN:
            raise ModelError(
                f"{address} must be in the registry",
                got="no such model, version or alias",
                fix="see the Models page of `mlflow ui`, or make it with `seglock package`",
            ) from None
        raise
