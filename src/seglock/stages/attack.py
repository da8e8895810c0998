"""Stage ``attack@LOCK``: what thieves of each tier get out of a trained lock.

Each attack's result is kept as soon as it is there: a run that was stopped goes on with the first
attack that is not finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import __version__, files
from seglock.config import AttackParams, Params, load_params, override_attack
from seglock.errors import AttackError
from seglock.results.attack import FIGURES, AttackResult
from seglock.stages.attack_record import record_results, write_results
from seglock.stages.locks import WEIGHTS, open_lock, read_training
from seglock.stages.outputs import sole_writer
from seglock.stages.trained_run import trained_run

if TYPE_CHECKING:
    from seglock.attacks import Analysis, Attack, Facts, Judge, Material
    from seglock.config import LockParams
    from seglock.data import PreparedData, Split
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
    params = load_params(root / "params.yaml")
    params = override_attack(params, **overrides) if overrides else params
    opened = open_lock(lock, params, root)
    key = opened.key
    if key is None:
        return _baseline(lock, root, only)
    training = read_training(opened, root)

    from seglock.data import PreparedData

    data = PreparedData.open(root / "data" / "prepared")
    weights = root / "data" / "models" / lock / WEIGHTS
    scene = Scene(lock, params, opened.params, opened.transform(), data, weights)
    attacks = scene.attacks(list(only))
    private = root / ".seglock" / "attacks"
    work, exact = private / f"{lock}-{_digest(params, training, data)}", private / "exact" / lock
    with (
        sole_writer(root, "attacks", lock),
        trained_run(lock, params, data, opened.record, training, root) as tracker,
    ):
        files.private_folder(work)
        files.private_folder(exact)
        results = list(attack_results(scene, attacks, work, exact, key.derive, progress))
        written = write_results(root, lock, tracker.run_id, results, keep=bool(only))
        record_results(tracker, written, results)
    for path in exact.glob("*.json"):
        if not (written / path.name).exists():
            path.unlink()
    for attack in attacks:  # what an earlier run has of others stays
        (work / f"{attack.name}.json").unlink(missing_ok=True)
        shutil.rmtree(work / f"{attack.name}.journal", ignore_errors=True)  # of earlier versions
    with contextlib.suppress(OSError):
        work.rmdir()
    return results


class Scene:
    """One trained lock with all that its attacks and their judge need, opened once."""

    def __init__(
        self,
        lock: str,
        params: Params,
        definition: LockParams,
        transform: Transform,
        data: PreparedData,
        weights: Path,
    ) -> None:
        from seglock.attacks import Facts
        from seglock.models import load_model, pick_device

        self.lock, self.params, self.data = lock, params, data
        self.device = pick_device(params.train.device)
        self.network = load_model(weights, params.model, data.num_classes)
        self.transform = transform
        self.facts: Facts = Facts(
            self.transform.steps,
            definition.ffx_password,
            definition.ffx_divisor,
            data.num_classes,
            data.image_side,
        )

    @property
    def attacker(self) -> Split:
        """The split that the attacker's images come from."""
        return self.data.val if self.params.attack.images == "val" else self.data.train

    @property
    def _bf16(self) -> bool | None:
        return self.params.train.bf16

    def attacks(self, only: list[str]) -> list[Attack | Analysis]:
        """The attacks and analyses to run; each of ``only`` must apply to the lock."""
        from seglock.attacks import ANALYSES, ATTACKS, applicable, check_applies, find_any

        for name in only:
            check_applies(find_any(name), self.facts)
        names = self.params.attack.names
        every = [*ATTACKS, *ANALYSES]
        return applicable(only or (every if names == "all" else names), self.facts)

    def material(self, attack: Attack) -> Material:
        """What a thief of the attack's tier has."""
        from seglock.attacks import hand_over

        return hand_over(
            attack.tier,
            facts=self.facts,
            network=self.network,
            split=self.attacker,
            encrypt=self.transform.encrypt,
            labelled_of=len(self.data.train),
            device=self.device,
            batch_size=self.params.evaluate.batch_size,
            bf16=self._bf16,
        )

    def judge(self) -> Judge:
        """Who measures on the test split, and knows the plan."""
        import numpy as np

        from seglock.attacks import Judge, Pairs, unseen
        from seglock.evaluation import floors

        data, plain = self.data, unseen(np.asarray(self.attacker.images))
        return Judge(
            self.network,
            self.transform,
            data.test,
            data.num_classes,
            floors(data.train.masks, data.test.masks, data.num_classes).floor,
            self.device,
            self.params.evaluate.batch_size,
            self._bf16,
            seen=Pairs(plain, self.transform.encrypt(plain)),
        )


def attack_results(
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
    from seglock.attacks import Analysis, Budget, run_analysis, run_attack

    settings: AttackParams = scene.params.attack
    shares = tuple(percent / 100 for percent in settings.labelled)
    budget = Budget(settings.queries, settings.seconds, shares)
    judge = scene.judge()
    correct = judge.correct()
    for attack in attacks:
        done = work / f"{attack.name}.json"
        if not done.is_file():
            common: dict[str, Any] = {
                "lock": scene.lock,
                "correct": correct,
                "seed": settings.seed,
                "progress": _named(progress, attack.name),
            }
            if isinstance(attack, Analysis):
                common["secret"] = derive(f"{attack.name}/{scene.lock}")
                verdict = run_analysis(attack, scene.facts, judge, budget, **common)
            else:
                verdict = run_attack(attack, scene.material(attack), judge, budget, **common)
            files.write_json(exact / done.name, verdict.exact, mode=files.PRIVATE)
            AttackResult(**verdict.published).write(done, mode=files.PRIVATE)
        yield AttackResult.read(done, error=AttackError, fix=f"remove {work}")


def _named(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(name, done, total)


def _digest(params: Params, training: Mapping[str, Any], data: PreparedData) -> str:
    """What the results are a function of, but for the attacks' names; and what they tell."""
    settings = params.attack.model_dump(mode="json", exclude={"names"})
    about = [
        __version__,
        FIGURES,
        settings,
        training["weights_sha256"],
        training["key_id"],
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
        write_results(root, lock, None, [], keep=False)
    return []
