from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seglock.config import ModelParams
from seglock.data import Split
from seglock.errors import EvaluationError
from seglock.evaluation import AccessResult, access, batches, iou
from seglock.evaluation.access import KEYS_AT_ONCE
from seglock.evaluation.predict import Predictor
from seglock.keys import demonstration_key
from seglock.models import build_model
from seglock.results.evaluation import Floors, KeyScores, Score, Scores
from seglock.results.pictures import Pictures
from seglock.transforms import Transform, compose, identity, incorrect_transforms
from seglock.transforms.recipe import prepare

from .conftest import CLASSES, MakeSplit, judged

KEY = demonstration_key()
FLOORS = Floors(constant=0.1, prior=0.15, floor=0.15)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build_model(ModelParams(width=8), len(CLASSES)).train()
    with torch.no_grad():  # statistics that are not those of any input
        for _ in range(3):
            model(torch.randn(4, 3, 16, 16))
        model.get_submodule("classifier").weight.mul_(20)  # type: ignore[operator, union-attr]
    return model


class PixelsDecide(nn.Module):
    """A network whose answer at each pixel follows from that pixel of its input."""

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (B, 4, H, W): the three channels and zero."""
        return {"out": torch.cat([inputs.float(), torch.zeros_like(inputs[:, :1])], dim=1)}


def alike(one: Pictures, other: Pictures) -> bool:
    return all(np.array_equal(getattr(one, n), array) for n, array in vars(other).items())


def judge(test: Split, steps: list[str] | None, **changes: Any) -> AccessResult:
    rng = np.random.default_rng(9)
    options: dict[str, Any] = {
        "unlabelled": rng.integers(0, 256, (5, 3, 16, 16), dtype=np.uint8),
        "transform": compose(steps, KEY) if steps else None,
        "wrong": incorrect_transforms(steps, KEY, 3) if steps else [],
        "encrypted": None,
        "device": "cpu",
        "batch_size": 2,
        "bf16": None,
        "pictures": 2,
    } | changes
    return judged(options.pop("model", None) or network(), test, **options)


def predict(model: nn.Module, transform: Transform, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        logits = model.eval()(transform.to_input(torch.from_numpy(images)))["out"]
    answer: np.ndarray = logits.argmax(1).numpy()
    return answer


def reference(prediction: np.ndarray, target: np.ndarray) -> float:
    from sklearn.metrics import jaccard_score

    valid = target != 255
    labels = sorted(set(target[valid].tolist()))
    return float(
        jaccard_score(
            target[valid], prediction[valid], labels=labels, average="macro", zero_division=0
        )
    )


@pytest.mark.parametrize("steps", [["shf-4"], ["np-2"], ["ffx-4"], ["np-4", "shf-4"]])
def test_each_access_is_what_scikit_learn_says_of_its_predictions(
    make_split: MakeSplit, steps: list[str]
) -> None:
    test = make_split(5)
    result = judge(test, steps)
    model = network()
    right = predict(model, compose(steps, KEY), test.images)
    plain = predict(model, identity(), test.images)
    assert result.scores.correct is not None
    assert result.scores.incorrect is not None
    assert result.scores.correct.miou == pytest.approx(reference(right, test.masks))
    assert result.scores.plain.miou == pytest.approx(reference(plain, test.masks))
    for miou, other in zip(
        result.scores.incorrect.miou, incorrect_transforms(steps, KEY, 3), strict=True
    ):
        assert miou == pytest.approx(reference(predict(model, other, test.images), test.masks))
    one_by_one = [reference(right[i], test.masks[i]) for i in range(5)]
    assert result.scores.correct.per_image_mean == pytest.approx(np.mean(one_by_one))
    assert result.scores.correct.iou["blue"] is None
    named = [v for v in result.scores.correct.iou.values() if v is not None]
    assert result.scores.correct.miou == pytest.approx(np.mean(named))


@pytest.mark.parametrize("steps", [["shf-4"], ["np-4"], ["ffx-4"], ["np-4", "ffx-4", "shf-4"]])
def test_the_encrypted_split_gives_the_same_as_encrypting_here(
    make_split: MakeSplit, steps: list[str]
) -> None:
    test = make_split(5)
    lock = compose(steps, KEY)
    encrypted = lock.encrypt(test.images)
    inputs = lock.to_input(torch.from_numpy(test.images))
    assert torch.equal(lock.encrypted_to_input(torch.from_numpy(encrypted)), inputs)
    given, made = judge(test, steps, encrypted=encrypted), judge(test, steps)
    assert given == made
    assert alike(given.pictures, made.pictures)
    looks = {"model": PixelsDecide()}
    own = judge(test, steps, encrypted=encrypted, **looks)
    others = judge(test, steps, encrypted=lock.encrypt(test.images[::-1].copy()), **looks)
    assert own.scores.correct != others.scores.correct
    assert own.scores.plain == others.scores.plain


@pytest.mark.parametrize("batch_size", [1, 3, 4, 64])
def test_the_batch_size_changes_no_figure(make_split: MakeSplit, batch_size: int) -> None:
    test = make_split(7)
    steps = ["np-4"]
    unlabelled = test.images[:2]
    whole = judge(test, steps, batch_size=7, unlabelled=unlabelled, pictures=7)
    parts = judge(test, steps, batch_size=batch_size, unlabelled=unlabelled, pictures=7)
    assert parts.scores.correct == whole.scores.correct
    assert parts.scores.plain == whole.scores.plain
    assert parts.scores.incorrect == whole.scores.incorrect
    assert parts.scores.pictures == whole.scores.pictures


def test_the_baseline_has_plain_access_only(make_split: MakeSplit) -> None:
    result = judge(make_split(5), None)
    scores = result.scores.document()
    empty = ("correct", "plain_bn", "incorrect", "unauthorised", "regained")
    assert {scores[name] for name in empty} == {None}
    assert scores["owner_miou"] == scores["plain"]["miou"] == result.scores.plain.miou
    assert (result.pictures.correct, result.pictures.incorrect) == (None, None)
    assert scores["pictures"][0]["correct"] is None


def test_the_scores_are_json_as_agreed(make_split: MakeSplit) -> None:
    test = make_split(5)
    test.masks[2] = 255  # a picture without any label
    scores = judge(test, ["np-2"], pictures=5).scores.document()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert list(scores) == [
        "floors", "correct", "plain", "plain_bn", "incorrect",
        "owner_miou", "unauthorised", "regained", "refused", "pictures",
    ]  # fmt: skip
    assert set(scores["correct"]) == {
        "miou", "iou", "per_image_mean", "refused", "confusion",
    }  # fmt: skip
    matrix = np.array(scores["plain"]["confusion"])
    assert matrix.sum() == (test.masks != 255).sum()
    assert iou.mean_iou(matrix) == scores["plain"]["miou"]
    assert set(scores["correct"]["iou"]) == set(CLASSES)
    assert scores["incorrect"]["keys"] == len(scores["incorrect"]["miou"]) == 3
    assert scores["pictures"][2]["plain"] is None
    assert scores["pictures"][0]["id"] == "test-0"


def test_pictures_are_spread_then_worst_and_best_and_scored_as_shown(make_split: MakeSplit) -> None:
    test = make_split(9)
    result = judge(test, ["shf-4"], pictures=3)
    pictures = result.pictures
    right = predict(network(), compose(["shf-4"], KEY), test.images)
    ranking = np.argsort([reference(right[i], test.masks[i]) for i in range(9)])
    rows = [1, 4, 7, *ranking[:2], *ranking[:-3:-1]]
    assert [s.rank for s in result.scores.pictures] == [None] * 3 + ["worst"] * 2 + ["best"] * 2
    assert pictures.ids.tolist() == [s.id for s in result.scores.pictures]
    assert pictures.ids.tolist() == [f"test-{row}" for row in rows]
    assert np.array_equal(pictures.images, test.images[rows])
    assert np.array_equal(pictures.target, test.masks[rows])
    assert np.array_equal(pictures.correct, right[rows])
    first_wrong = incorrect_transforms(["shf-4"], KEY, 3)[0]
    shown = predict(network(), first_wrong, test.images[rows])
    assert np.array_equal(pictures.incorrect, shown)
    assert all(getattr(pictures, n).dtype == np.uint8 for n in ("plain", "correct", "incorrect"))
    for index, score in enumerate(result.scores.pictures):
        for name in ("correct", "plain", "incorrect"):
            expected = reference(getattr(pictures, name)[index], pictures.target[index])
            assert getattr(score, name) == pytest.approx(expected)


def test_no_picture_is_allowed(make_split: MakeSplit) -> None:
    result = judge(make_split(3), ["np-2"], pictures=0)
    assert result.scores.pictures == ()
    assert result.pictures.images.shape == (0, 3, 16, 16)


def test_plain_bn_is_plain_with_the_statistics_of_unlabelled_images(
    make_split: MakeSplit,
) -> None:
    test, unlabelled = make_split(5), make_split(4, seed=3).images
    result = judge(test, ["np-4"], unlabelled=unlabelled, batch_size=4)
    model = network()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(identity().to_input(torch.from_numpy(unlabelled)))
    expected = reference(predict(model, identity(), test.images), test.masks)
    assert result.scores.plain_bn is not None
    assert result.scores.plain_bn.miou == pytest.approx(expected)
    assert result.scores.plain_bn.miou != result.scores.plain.miou


def test_refused_is_the_share_that_gets_the_commonest_class_everywhere(
    make_split: MakeSplit,
) -> None:
    """Under shf-1, which exchanges the channels, an image of one colour is one of another."""
    test = make_split(6)
    test.masks[test.masks == 0] = 1
    test.images[:4] = 0
    test.images[:3, 1] = 255
    test.images[3, 0] = 255
    result = judge(test, ["shf-1"], model=PixelsDecide(), wrong=others(["shf-1"]), batch_size=4)
    scores = result.scores

    def share(transform: Transform) -> float:
        everywhere = predict(PixelsDecide(), transform, test.images) == 1
        return float(everywhere.all(axis=(1, 2)).mean())

    assert scores.plain.refused == share(identity()) == 0.5
    assert scores.plain_bn is not None
    assert scores.plain_bn.refused == 0.5
    assert scores.correct is not None
    assert scores.correct.refused == share(compose(["shf-1"], KEY))
    assert scores.incorrect is not None
    assert scores.incorrect.refused == pytest.approx(np.mean([*map(share, others(["shf-1"]))]))
    assert 0 < scores.incorrect.refused < 0.5
    assert scores.refused == scores.incorrect.refused
    assert judge(test, None).scores.refused is None


def others(steps: list[str]) -> Sequence[Transform]:
    return incorrect_transforms(steps, KEY, 5)


def test_what_was_judged_before_refusals_were_counted_still_reads(make_split: MakeSplit) -> None:
    values = judge(make_split(3), ["np-2"]).scores.document()
    del values["refused"]
    for name in ("correct", "plain", "plain_bn", "incorrect"):
        del values[name]["refused"]
    read = Scores.check(values)
    assert read.refused is None
    assert read.plain.refused is None


def test_unauthorised_is_the_largest_and_regained_its_share() -> None:
    def score(miou: float) -> Score:
        return Score(miou=miou, iou={}, per_image_mean=miou)

    def result(plain: float, plain_bn: float, wrong: float, correct: float) -> Scores:
        spread = dict.fromkeys(("mean", "p95", "max", "min"), wrong)
        keys = KeyScores(keys=3, std=0.0, miou=(wrong,) * 3, **spread)
        return Scores.of(FLOORS, score(plain), score(correct), score(plain_bn), keys)

    assert result(0.3, 0.2, 0.1, 0.7).unauthorised == 0.3
    assert result(0.1, 0.3, 0.2, 0.7).unauthorised == 0.3
    assert result(0.1, 0.2, 0.3, 0.7).unauthorised == pytest.approx(0.3)
    assert result(0.15, 0.1, 0.1, 0.7).regained == 0
    assert result(0.7, 0.1, 0.1, 0.7).regained == 1
    assert result(0.3, 0.1, 0.1, 0.75).regained == pytest.approx(0.25)
    assert result(0.05, 0.05, 0.05, 0.7).regained < 0  # type: ignore[operator]
    assert result(0.1, 0.1, 0.1, 0.15).regained is None


def test_all_plans_says_whether_other_plans_are_left(make_split: MakeSplit) -> None:
    steps = ["np-1"]  # one position of three
    every = judge(make_split(3), steps, wrong=incorrect_transforms(steps, KEY, 50)).scores.incorrect
    assert every is not None
    assert (len(every.miou), every.all_plans) == (2, True)
    some = judge(
        make_split(3), steps, wrong=incorrect_transforms(steps, KEY, 50)[:1]
    ).scores.incorrect
    assert some is not None
    assert not some.all_plans


def test_progress_reaches_its_total(make_split: MakeSplit) -> None:
    seen: list[tuple[int, int]] = []
    judge(make_split(5), ["np-2"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 18) for i in range(18)]  # 3 batches under 3 accesses and 3 keys


def test_memory_does_not_grow_with_the_keys(make_split: MakeSplit) -> None:
    test = make_split(24)
    one_key = [*incorrect_transforms(["np-4"], KEY, 1)]

    def peak(keys: int) -> int:
        tracemalloc.start()
        judge(test, ["np-4"], wrong=one_key * keys, batch_size=8)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # imports and caches
    few, many = peak(2), peak(200)
    predictions = 198 * test.masks.size  # what keeping each key's predictions as bytes would add
    assert many - few < predictions / 4


def test_memory_does_not_grow_with_keys_of_large_blocks(live_plans: Callable[[], int]) -> None:
    side, steps = 128, ["shf-128"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 3, side, side), dtype=np.uint8)
    masks = rng.integers(0, len(CLASSES), (2, side, side), dtype=np.uint8)
    test = Split("test", ("a", "b"), images, masks)
    plan = 5 * images[0].size  # bytes: a permutation in uint32 and its selector
    live: list[int] = []

    def peak(keys: int) -> int:
        prepare.cache_clear()
        live.clear()
        tracemalloc.start()
        judge(
            test,
            steps,
            wrong=incorrect_transforms(steps, KEY, keys),
            progress=lambda done, total: live.append(live_plans()),
        )
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(4)  # imports
    bound = prepare.cache_info().maxsize + KEYS_AT_ONCE + 4
    few = peak(8)
    assert max(live) <= bound
    many = peak(16)
    assert max(live) <= bound
    assert many - few < 4 * plan  # not 8 of them


@pytest.mark.parametrize("steps", [["shf-4"], ["np-4"], ["ffx-4"]])
def test_how_many_keys_are_held_changes_no_figure(
    make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    test = make_split(5)
    wrong = list(incorrect_transforms(steps, KEY, 6))
    expected = [reference(predict(network(), w, test.images), test.masks) for w in wrong]
    for held in (1, 4, 100):
        monkeypatch.setattr(access, "KEYS_AT_ONCE", held)
        for given in (wrong, incorrect_transforms(steps, KEY, 6)):
            found = judge(test, steps, wrong=given)
            assert found.scores.incorrect is not None
            assert found.scores.incorrect.miou == pytest.approx(expected)
            shown = predict(network(), wrong[0], found.pictures.images)
            assert np.array_equal(found.pictures.incorrect, shown)


def test_no_tensor_of_an_earlier_key_stays(make_split: MakeSplit) -> None:
    sizes: list[int] = []
    gc.collect()
    gc.freeze()  # to look through all that is there already takes seconds

    def measure(done: int, total: int) -> None:
        gc.collect()
        sizes.append(sum(t.nbytes for t in gc.get_objects() if type(t) is torch.Tensor))

    judge(
        make_split(4),
        ["np-2"],
        batch_size=4,
        progress=measure,
        wrong=[*incorrect_transforms(["np-2"], KEY, 1)] * 12,
    )
    gc.unfreeze()
    assert len(sizes) == 15
    assert len(set(sizes[5:])) == 1


@pytest.mark.parametrize(
    ("steps", "changes", "message"),
    [
        (["np-2"], {"wrong": []}, "at least one wrong key"),
        (["np-2"], {"encrypted": np.zeros((4, 3, 16, 16), np.uint8)}, r"\(4, 3, 16, 16\) and"),
        (None, {"wrong": [identity()]}, "plain access only"),
        (["np-2"], {"unlabelled": np.zeros((0, 3, 16, 16), np.uint8)}, "needs unlabelled images"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    make_split: MakeSplit, steps: list[str] | None, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        judge(make_split(5), steps, **changes)


def test_a_test_split_without_labels_is_refused(make_split: MakeSplit) -> None:
    test = make_split(3)
    test.masks[:] = 255
    with pytest.raises(EvaluationError, match="not void"):
        judge(test, ["np-2"])


def test_an_empty_test_split_is_refused(make_split: MakeSplit) -> None:
    with pytest.raises(EvaluationError, match="must have images"):
        judge(make_split(0), None)


@pytest.mark.parametrize("norm", ["batch", "frozen", "group"])
def test_bfloat16_is_near_float32(make_split: MakeSplit, norm: str) -> None:
    test = make_split(16)
    found = []
    for bf16 in (False, True):
        torch.manual_seed(0)
        model = build_model(ModelParams(width=8, norm=norm), len(CLASSES))
        found.append(judge(test, ["ffx-4"], model=model, bf16=bf16).scores)
    exact, near = found
    assert near != exact
    for name in ("correct", "plain", "plain_bn"):
        assert getattr(near, name).miou == pytest.approx(getattr(exact, name).miou, abs=2e-2)


def learnt(test: Split, steps: list[str]) -> Split:
    """The split whose masks are what the network sees under the key: the owner's score is 1."""
    masks = predict(network(), compose(steps, KEY), test.images).astype(np.uint8)
    return Split(test.name, test.ids, test.images, masks)


def table(result: AccessResult) -> list[float]:
    """Correct, plain, plain with new statistics, and each wrong key."""
    assert result.scores.correct is not None
    assert result.scores.plain_bn is not None
    assert result.scores.incorrect is not None
    single = [result.scores.correct.miou, result.scores.plain.miou, result.scores.plain_bn.miou]
    return [*single, *result.scores.incorrect.miou]


TOLERANCE = 3e-2  # of any mean IoU: 8 bits of significand decide pixels that are nearly ties


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("steps", [["shf-4"], ["np-4"], ["ffx-4"]])
def test_the_table_in_bfloat16_is_that_in_float32(
    make_split: MakeSplit, device: str, steps: list[str]
) -> None:
    test = learnt(make_split(16), steps)
    exact = table(judge(test, steps, bf16=False))
    near = table(judge(test, steps, bf16=True, device=device))
    assert exact[0] == 1
    assert max(exact[1:]) < 1 - 3 * TOLERANCE  # so that a wrong transform would be seen
    assert near != exact
    assert near == pytest.approx(exact, abs=TOLERANCE)


def test_what_a_gpu_does_instead_changes_no_figure(
    make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, steps = make_split(7), ["shf-4"]
    options = {"wrong": incorrect_transforms(steps, KEY, 9), "batch_size": 3, "pictures": 7}
    expected = judge(test, steps, **options)
    used: list[str] = []

    def spy(name: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            used.append(name)
            return function(*given)

        return call

    def groups(owner: Predictor, *others: Any) -> Any:
        class Owner:
            device, inputs = torch.device("cuda"), owner.inputs

        return grouped(Owner, *others)  # type: ignore[arg-type]

    grouped = access._groups
    monkeypatch.setattr(access, "_groups", groups)
    monkeypatch.setattr(access, "ahead", spy("ahead", access.ahead))
    monkeypatch.setattr(batches, "_fits", spy("resident", lambda *_: True))
    adding = spy("adding", iou._count_by_adding)
    monkeypatch.setattr(iou, "_count_by_bincount", adding)
    found = judge(test, steps, **options)
    assert set(used) == {"ahead", "resident", "adding"}
    assert found == expected
    assert alike(found.pictures, expected.pictures)


def test_one_group_of_keys_is_made_ahead_and_no_more() -> None:
    made: list[int] = []

    def make(item: int) -> int:
        made.append(item)
        if item == 7:
            raise EvaluationError("seven must not be", got="7")
        return 10 * item

    seen = []
    for value in access.ahead(make, range(5)):
        seen.append(value)
        assert len(made) <= len(seen) + 1
    assert seen == [0, 10, 20, 30, 40]
    with pytest.raises(EvaluationError, match="seven"):
        list(access.ahead(make, [6, 7, 8]))


def test_a_label_that_is_no_class_is_refused(make_split: MakeSplit) -> None:
    test = make_split(5)
    test.masks[4, 0, 0] = 9
    with pytest.raises(EvaluationError, match="a class from 0 to 3 or 255, got 9"):
        judge(test, ["np-2"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(make_split: MakeSplit) -> None:
    test = make_split(16)
    for steps in (["shf-4"], ["ffx-4"], None):
        cpu = judge(test, steps)
        same = judge(test, steps, device="cuda", bf16=False)
        assert same.scores.owner_miou == pytest.approx(cpu.scores.owner_miou, abs=5e-3)
        quick = judge(test, steps, device="cuda")
        assert quick.scores.owner_miou == pytest.approx(cpu.scores.owner_miou, abs=3e-2)
