"""Stage ``attack@LOCK``: what thieves of each tier get out of a trained lock.

Each attack's result is kept as soon as it is there: a run that was stopped goes on with the first
attack that is not finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import __version__, files
from seglock.config import (
    FOLDED,
    AttackParams,
    ModelParams,
    Params,
    load_params,
    override,
)
from seglock.errors import AttackError
from seglock.keys import demonstration_key
from seglock.results.attack import ATTACKS, FIGURES, AttackResult
from seglock.results.standing import most_beyond, strongest
from seglock.results.training import MODELS, Training
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.outputs import sole_writer
from seglock.stages.summary import summarise_lock
from seglock.stages.tell import tell_attacks
from seglock.stages.trained_run import trained_run
from seglock.stages.weights import WEIGHTS_FOLDER

if TYPE_CHECKING:
    from torch import nn

    from seglock.attacks import Analysis, Attack, Scene
    from seglock.data import PreparedData
    from seglock.transforms import Transform

Progress = Callable[[str, int, int], None]


def attack_lock(
    lock: str,
    root: Path,
    *,
    only: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[AttackResult]:
    """Attack one lock and write data/attacks/LOCK, one JSON an attack; returns what is published.

    The owner's figures, how much of the plan each had, go to .seglock/attacks/exact/LOCK.

    only: names of attacks; the other results of the lock stay as they are. Without it, those of
    params.yaml that apply to the lock. overrides: values of the ``attack`` section for this run.

    Raises AttackError for an unknown attack, or one of ``only`` that does not apply; what
    ``evaluate`` raises for a lock without a trained model or key; ConfigError for a bad budget.
    """
    params = override(load_params(root / "params.yaml"), "attack", overrides or {})
    opened = open_lock(lock, params, root)
    key = opened.key
    if key is None:
        return _baseline(lock, root, only)
    training = read_training(opened, root)

    from seglock.data import PreparedData

    data = PreparedData.open(root / "data" / "prepared")
    scene = open_scene(opened, params, data, root)
    attacks = chosen(scene, list(only))
    private = root / ".seglock" / "attacks"
    work, exact = private / f"{lock}-{_digest(params, training, data)}", private / "exact" / lock
    with (
        sole_writer(root, "attacks", lock),
        trained_run(lock, params, data, opened.record, training, root) as tracker,
    ):
        files.private_folder(work)
        files.private_folder(exact)
        results = list(attack_results(lock, scene, attacks, work, exact, key.derive, progress))
        written = _write(root, lock, tracker.run_id, results, keep=bool(only))
        tell_attacks(tracker, written)
        summarise_lock(lock, params, root, {tracker.run_id, training.run_id}).tell(tracker)
    for path in exact.glob("*.json"):
        if not (written / path.name).exists():
            path.unlink()
    for attack in attacks:  # what an earlier run has of others stays
        (work / f"{attack.name}.json").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        work.rmdir()
    return results


def open_scene(lock: OpenLock, params: Params, data: PreparedData, root: Path) -> Scene:
    """A lock with its trained network, attacked with the images that ``attack.images`` names, and
    with another customer's network where it was folded."""
    from seglock.attacks import Scene
    from seglock.models import load_model

    attacker = data.val if params.attack.images == "val" else data.train
    network = load_model(root / MODELS / lock.name / WEIGHTS, params.model, data.num_classes)
    scene = Scene(network, lock.transform(), data, params, attacker, data.test)
    public = published_start(params.model, data.num_classes, root)
    return replace(scene, public=public, colluder=_colluder(lock, params, data, root))


def published_start(model: ModelParams, num_classes: int, root: Path) -> nn.Module | None:
    """The network with the published weights that training began with, or the plain network that
    it began with, of the baseline or in a file; None where neither did."""
    from seglock.models import build_model, fetch_weights, load_initial_weights
    from seglock.models.initial import PUBLISHED

    start = model.initial_weights
    if start not in (*PUBLISHED, "none"):
        start = model.baseline_weights
    if start not in PUBLISHED:
        return None
    network, weights = build_model(model, num_classes), root / WEIGHTS_FOLDER
    with tempfile.TemporaryDirectory() as folder:
        if start != model.initial_weights:  # data/weights has what the plain network came to
            weights = Path(folder)
            fetch_weights(model.model_copy(update={"initial_weights": start}), weights)
        load_initial_weights(network, weights)
    return network


def _colluder(
    lock: OpenLock, params: Params, data: PreparedData, root: Path
) -> tuple[nn.Module, Transform] | None:
    """Another customer's network and plan: folded from what the lock was folded from, under the
    demonstration key. None for a lock that was not."""
    if lock.params.fold not in FOLDED:
        return None

    from seglock.models import build_model, load_initial_weights
    from seglock.training import fold

    network = build_model(params.model, data.num_classes)
    load_initial_weights(network, root / WEIGHTS_FOLDER)
    transform = replace(lock, key=demonstration_key()).transform()
    fold(network, transform)
    return network, transform


def chosen(scene: Scene, only: Iterable[str] = ()) -> list[Attack | Analysis]:
    """The attacks and analyses to run; each of ``only`` must apply to the lock."""
    from seglock.attacks import ANALYSES, ATTACKS, check_applies, find_any

    for name in only:
        check_applies(find_any(name), scene.facts)
    names = scene.params.attack.names
    every = [*ATTACKS, *ANALYSES]
    attacks = [find_any(name) for name in only or (every if names == "all" else names)]
    return [attack for attack in attacks if attack.why_not(scene.facts) is None]


def attack_results(
    lock: str,
    scene: Scene,
    attacks: Iterable[Attack | Analysis],
    work: Path,
    exact: Path,
    derive: Callable[[str], bytes],
    progress: Progress | None = None,
) -> Iterator[AttackResult]:
    """The published result of each attack in turn, kept in ``work`` as soon as it is there.

    What ``work`` has already is not done again. The owner's figures are written to ``exact``.
    derive: 32 bytes of the owner's key for a use, which analyses draw from.
    """
    from seglock.attacks import Analysis, Budget, Judge, run_analysis, run_attack
    from seglock.evaluation import floors

    settings: AttackParams = scene.params.attack
    shares = tuple(percent / 100 for percent in settings.labelled)
    data = scene.data
    floor = floors(data.train.masks, data.test.masks, data.num_classes).floor
    judge = Judge(scene, floor, scene.seen())
    correct = judge.correct()
    for attack in attacks:
        done = work / f"{attack.name}.json"
        if not done.is_file():
            queries = settings.queries * (settings.with_labels if attack.tier == "T1" else 1)
            budget = Budget(queries, settings.seconds, shares)
            common: dict[str, Any] = {
                "lock": lock,
                "correct": correct,
                "seed": settings.seed,
                "progress": progress and partial(progress, attack.name),
            }
            if isinstance(attack, Analysis):
                common["secret"] = derive(f"{attack.name}/{lock}")
                verdict = run_analysis(attack, scene.facts, judge, budget, **common)
            else:
                verdict = run_attack(attack, scene.material(attack.tier), judge, budget, **common)
            files.write_json(exact / done.name, verdict.exact, mode=files.PRIVATE)
            AttackResult(**verdict.published).write(done, mode=files.PRIVATE)
        yield AttackResult.read(done, error=AttackError, fix=f"remove {work}")


def _write(
    root: Path, lock: str, run_id: str | None, results: Sequence[AttackResult], *, keep: bool
) -> Path:
    """Write data/attacks/LOCK/NAME.json and data/attacks/LOCK.json; returns the folder.

    keep: the results of other attacks that are there stay.
    """
    target = root / ATTACKS / lock
    before = sorted(target.glob("*.json")) if keep else []
    with files.replacing_folder(target) as out:
        for path in before:
            shutil.copyfile(path, out / path.name)
        for result in results:
            values = result.document() | ({"run_id": run_id} if run_id else {})
            AttackResult.check(values).write(out / f"{result.attack}.json")
        if not any(out.iterdir()):
            files.write_text(out / "README.txt", "No attack of params.yaml applies to this lock.\n")
    written = sorted(target.glob("*.json"))
    found = [AttackResult.read(path, error=AttackError, fix="run dvc repro") for path in written]
    files.write_json(root / ATTACKS / f"{lock}.json", _headline(found))
    return target


def _headline(results: Sequence[AttackResult]) -> dict[str, float]:
    """For ``dvc metrics``, what a lock is judged by: what the strongest of T0 regained, and what T1
    has beyond training from scratch."""
    thief, line = strongest("T0", results), most_beyond(results)
    found = {"T0": thief.lost} if thief else {}
    return found | ({"beyond": line.beyond} if line else {})


def _digest(params: Params, training: Training, data: PreparedData) -> str:
    """What the results are a function of, but for the attacks' names; and what they tell."""
    settings = params.attack.model_dump(mode="json", exclude={"names"})
    about = [
        __version__,
        FIGURES,
        settings,
        training.weights_sha256,
        training.key_id,
        data.digest,
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _baseline(lock: str, root: Path, only: Iterable[str]) -> list[AttackResult]:
    """No lock, nothing to attack: a note for the pipeline, an error for who asks for an attack."""
    if list(only):
        raise AttackError(
            "an attack needs a lock",
            got=f"{lock}, which has none: its plain images are the right ones",
            fix="name another lock of params.yaml",
        )
    with sole_writer(root, "attacks", lock):
        _write(root, lock, None, [], keep=False)
    return []
