"""Stage ``search``: the trade-off study of params.yaml, in data/search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.config import Params, load_params, override
from seglock.results.study import STUDY_FILE, Study
from seglock.results.study_files import write_study_files
from seglock.stages.outputs import sole_writer

if TYPE_CHECKING:
    from seglock.search.executor import Executor
    from seglock.search.observer import Observer

SEARCH_FOLDER = STUDY_FILE.parent
PARETO_PAGE = "pareto.html"


def run_study(
    root: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    ray: str | None = None,
    observer: Observer | None = None,
) -> Study:
    """Bring the study of the project at ``root`` to its trials, and write data/search.

    ``overrides`` replace values of the ``search`` section for this run; ``ray`` is the address of
    a cluster that computes the trials. With ``trials: 0`` nothing is computed: what the study has
    is written. A study that is stopped leaves data/search as it was.

    Raises ConfigError before anything is computed, and what ``run_search`` raises.
    """
    from seglock.search.coordinator import read_study, run_search

    params = search_params(root, overrides)
    if params.search.trials == 0:
        outcome = read_study(params, root)
        write_study(outcome, root)
        return outcome
    return run_search(
        params,
        root,
        executor=_executor(params, root, ray),
        observer=observer,
        finish=lambda outcome: write_study(outcome, root),
    )


def show_study(root: Path, *, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study as it stands; computes and writes nothing."""
    from seglock.search.coordinator import read_study

    return read_study(search_params(root, overrides), root)


def search_params(root: Path, overrides: Mapping[str, Any] | None = None) -> Params:
    """params.yaml with ``overrides`` in its ``search`` section, checked by the same rules."""
    params = load_params(root / "params.yaml")
    return override(params, "search", overrides or {})


def _executor(params: Params, root: Path, ray: str | None) -> Executor:
    """Where the trials are computed: a cluster, worker processes, or this process."""
    from seglock.address import project_root
    from seglock.search.settings import study_folder, study_settings

    search = params.search
    if ray is not None:
        from seglock.search.cluster import RayExecutor

        # One worker is the default of a single machine, not a wish to use one node of a cluster.
        limit = search.workers if search.workers > 1 else None
        return RayExecutor(ray, resources=search.resources, limit=limit, storage=search.storage)

    from seglock.search.in_process import InProcessExecutor
    from seglock.search.workers import LocalExecutor

    scratch = study_folder(project_root(), study_settings(params, root).name) / "work"
    if search.workers > 1:
        return LocalExecutor(search.workers, scratch=scratch, resources=search.resources)
    return InProcessExecutor(scratch=scratch)


def write_study(study: Study, root: Path) -> Path:
    """Write data/search, whole or not at all: the study's tables and its figures."""
    from seglock.report.pareto import draw_pareto
    from seglock.report.pareto_html import write_pareto_html
    from seglock.report.searchcharts import draw_hypervolume

    target = root / SEARCH_FOLDER
    with sole_writer(root, "search"), files.replacing_folder(target) as out:
        write_study_files(study, out)
        draw_pareto(study, out / "pareto.png")
        draw_hypervolume(study, out / "hypervolume.png")
        write_pareto_html(study, out / PARETO_PAGE)
    return target
