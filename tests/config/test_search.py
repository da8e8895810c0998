"""The search section: every rule names its place, value and fix, and none hides another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import (
    Params,
    RangeParams,
    check_params,
    load_params,
    load_profile,
    override,
)
from seglock.config.search_locks import LockChoice, enqueued_locks, parse_lock, published_locks
from seglock.config.search_rules import hide_password, storage_faults
from seglock.errors import ConfigError, TransformError
from seglock.methods import METHODS
from seglock.steps import check_sequence, parse_step

ROOT = Path(__file__).parents[2]
LOCKS: dict[str, Any] = {"baseline": {"steps": []}, "shf-4": {"steps": ["shf-4"]}}


def checked(search: dict[str, Any], **sections: Any) -> Params:
    return check_params({"locks": LOCKS, "search": search, **sections})


def faults(search: Any, **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        checked(search, **sections)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_a_file_without_the_section_searches_nothing_and_is_valid_at_any_side() -> None:
    for side in (1, 7, 24, 250, 256):
        params = check_params({"locks": {"baseline": {"steps": []}}, "data": {"image_side": side}})
        assert params.search.trials == 0
        assert params.search.space.block_size is None


def test_the_demos_study_has_room_and_tries_the_pipelines_locks_first() -> None:
    params = load_params(ROOT / "params.yaml")
    assert 0 < params.search.trials <= 16
    entries = params.search.enqueue
    assert isinstance(entries, list)
    known = [(list(lock.steps), lock.refuse) for lock in map(parse_lock, entries)]
    for lock in params.locks.values():
        weight = lock.refuse.weight if lock.refuse else 0.0
        assert not lock.steps or (lock.steps, weight) in known
    assert len(entries) + params.search.confirm < params.search.trials


@pytest.mark.parametrize(
    "name",
    [
        "paper",
        "camvid",
        "camvid-small",
        "voc-animals",
        "voc-animals-small",
        "camvid-pretrained",
        "voc-animals-pretrained",
    ],
)
def test_other_profiles_have_a_study_of_the_papers_locks_that_nobody_starts(name: str) -> None:
    params = load_profile(ROOT / "profiles" / f"{name}.yaml")
    assert params.search.trials == 0
    assert params.search.enqueue == "published"
    assert params.search.space.ffx_password == params.locks["ffx-4"].ffx_password


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"samplr": "tpe"}, "search.samplr: no such parameter; did you mean 'sampler'?"),
        ({"sampler": "tpa"}, "did you mean 'tpe'?"),
        ({"wrong_keys": 7}, "search.wrong_keys: must be greater than or equal to 8, got 7"),
        ({"trials": -1}, "search.trials: must be greater than or equal to 0, got -1"),
        ({"trials": True}, "search.trials: must be a valid integer, got True"),
        ({"study": "My study"}, "search.study: a name must be lower-case"),
        ({"resources": {"gpu": 1.0}}, "search.resources.gpu: no such parameter; did you mean 'gpu"),
        ({"enqueue": "publish"}, "search.enqueue must be published or a list of locks such as np-"),
        ({"enqueue": ["np4"]}, "search.enqueue.0: a step must read METHOD-BLOCK"),
        ({"enqueue": [4]}, "search.enqueue.0: an enqueued lock must be steps joined by +, got 4"),
        ({"enqueue": ["np-4", "np-4+shf-8"]}, "search.enqueue.1: the steps of one lock must share"),
        ({"enqueue": ["np-4-f25+shf-4"]}, "search.enqueue.0: the steps of an enqueued lock must t"),
        ({"enqueue": ["+".join(["shf-4"] * 5)]}, "search.enqueue.0: an enqueued lock must have at"),
        ({"enqueue": ["np-3"]}, "search.enqueue: np-3: block_size must divide the image side, got"),
        ({"space": {"setps": ["np"]}}, "search.space.setps: no such parameter; did you mean 'step"),
        ({"space": {"steps": ["nq"]}}, "search.space.steps.0: a lock to try must be methods joine"),
        ({"space": {"steps": ["ffx+np"]}}, "got 'ffx+np'; write np+ffx"),
        ({"space": {"steps": ["ffx+ffx"]}}, "search.space.steps.0: a lock may have at most one FF"),
        ({"space": {"steps": ["np+shf+np+shf+np"]}}, "search.space.steps.0: a lock to try must ha"),
        ({"space": {"steps": []}}, "search.space.steps: list should have at least 1 item"),
        ({"space": {"steps": ["np", "np"]}}, "search.space.steps must name each choice once, got"),
        ({"space": {"block_size": [2, 3]}}, "search.space.block_size: block_size must divide the"),
        ({"space": {"block_size": [0]}}, "search.space.block_size.0: must be greater than or equa"),
        ({"space": {"fraction": [0]}}, "search.space.fraction.0: a fraction must be 1 to 100 (per"),
        ({"space": {"fraction": ["publishd"]}}, "search.space.fraction.0: a fraction must be 1 to"),
        ({"space": {"fraction": [True]}}, "(percent of positions) or published, got True"),
        ({"space": {"lr": []}}, "search.space.lr: list should have at least 1 item"),
        ({"space": {"lr": [0.1, "x"]}}, "search.space.lr.1: must be a valid number, got 'x'"),
        ({"space": {"lr": 0.1}}, "search.space.lr: must be a valid list, got 0.1"),
        ({"space": {"lr": {"low": 0.1, "hihg": 1}}}, "search.space.lr.hihg: no such parameter; di"),
        ({"space": {"lr": {"low": 0.2, "high": 0.1}}}, "search.space.lr: low must be less than hi"),
        ({"space": {"lr": {"low": 0.00001, "high": 0.1}}}, "search.space.lr: train.min_lr must be"),
        ({"space": {"lr": {"low": 0.0, "high": 0.1}}}, "search.space.lr.low: must be greater than"),
        ({"space": {"lr": {"low": 0.2, "high": 0.2}}}, "low must be less than high, got 0.2 and 0"),
        ({"space": {"lr": [0, 0.1]}}, "search.space.lr must be above 0, got 0.0"),
        ({"space": {"lr": [0.1, 0.1]}}, "search.space.lr must name each choice once, got [0.1, 0."),
        ({"space": {"refuse": []}}, "search.space.refuse: list should have at least 1 item"),
        ({"space": {"refuse": [0.1, -1]}}, "search.space.refuse.1: must be greater than or equal"),
        ({"space": {"refuse": [11]}}, "search.space.refuse.0: must be less than or equal to 10, g"),
        ({"space": {"refuse": ["x"]}}, "search.space.refuse.0: must be a valid number, got 'x'"),
        ({"space": {"refuse": [None, 0]}}, "search.space.refuse must name each choice once, got"),
        ({"enqueue": ["np-4 refuse x"]}, "search.enqueue.0: the weight of a refusal must be a nu"),
        ({"enqueue": ["np-4 refuse 11"]}, "search.enqueue.0: the weight of a refusal must be a n"),
        ({"enqueue": ["np-4 refuse nan"]}, "search.enqueue.0: the weight of a refusal must be a"),
        ({"enqueue": ["np-4 refuse"]}, "search.enqueue.0: a step must read METHOD-BLOCK"),
        ({"min_key_bits": -1}, "search.min_key_bits: must be greater than or equal to 0, got -1"),
        ({"min_key_bits": 257}, "search.min_key_bits: must be less than or equal to 256, got 2"),
        ({"space": {"ffx_password": "mine"}}, "search.space.ffx_password: must be 'from_key' or '"),
        ({"thief": {"tier": "T4"}}, "search.thief.tier: must be 'T0', 'T1', 'T2' or 'T3', got 'T"),
        ({"thief": {"teir": "T1"}}, "search.thief.teir: no such parameter; did you mean 'tier'?"),
        ({"thief": {"attacks": "some"}}, "search.thief.attacks must be all or a list of attacks'"),
        ({"thief": {"attacks": []}}, "search.thief.attacks must be all or a list of attacks'"),
        ({"thief": {"attacks": [3]}}, "search.thief.attacks must be all or a list of attacks'"),
        ({"thief": {"attacks": ["plain", "plain"]}}, "search.thief.attacks must be all or a list "),
        ({"thief": {"queries": 0}}, "search.thief.queries: must be greater than or equal to 1"),
        ({"thief": {"seconds": 0}}, "search.thief.seconds: must be greater than 0, got 0"),
        ({"thief": {"labelled": 101}}, "search.thief.labelled: must be less than or equal to 100"),
        ({"pruner": "median"}, "search.pruner median must have search.objective: scalar, got pare"),
        ({"storage": "studies.db"}, "search.storage must be the URL of a database, got 'studies.d"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(search: dict[str, Any], expected: str) -> None:
    listed = [line for line in faults(search) if "must be given" not in line]
    assert expected in listed[0]
    assert len(listed) == 1


def test_every_epochs_must_be_longer_than_the_warm_up() -> None:
    listed = faults({"space": {"epochs": [4, 2, 9]}}, train={"warmup_epochs": 4})
    assert listed == [
        "search.space.epochs: train.warmup_epochs must be less than train.epochs, got 4 of 4; "
        "lower train.warmup_epochs or train longer",
        "search.space.epochs: train.warmup_epochs must be less than train.epochs, got 4 of 2; "
        "lower train.warmup_epochs or train longer",
    ]


def test_the_recipes_own_fault_is_told_once() -> None:
    listed = faults({"space": {"epochs": [8, 9]}}, train={"batch_size": 10, "accumulate": 3})
    assert len(listed) == 1


def test_an_unreadable_image_side_makes_no_fault_of_the_space() -> None:
    space = {"steps": ["shf"], "fraction": [34]}  # of a block of one pixel: a single position
    listed = faults({"space": space}, data={"image_side": "x"})
    assert len(listed) == 1
    assert listed[0].startswith("data.image_side: must be a valid integer")


def test_a_block_must_divide_every_side_that_is_searched() -> None:
    space = {"image_side": [32, 48], "block_size": [16, 32]}
    listed = faults({"space": space})
    assert len(listed) == 1
    assert "got block_size=32, side=32x48; use one of 2, 4, 8, 16" in listed[0]


@pytest.mark.parametrize(
    ("search", "shown"),
    [
        ({"space": {"steps": ["np"], "fraction": [100, 50], "block_size": [4]}}, "got np-4-f100;"),
        ({"space": {"steps": ["shf"], "fraction": [5], "block_size": [2]}}, "got shf-2-f5;"),
        ({"space": {"steps": ["np"], "fraction": [100]}}, "np-16-f100 and 2 more;"),
        (
            {"space": {"steps": ["shf"], "fraction": [100]}, "enqueue": ["np-4-f50"]},
            "search.space (and search.enqueue, which widens it) must hold only locks with more",
        ),
        ({"space": {"steps": ["ffx"], "fraction": [100], "ffx_password": "fixed"}}, "ffx-2-f100"),
    ],
)
def test_every_lock_that_could_be_drawn_has_a_wrong_key(search: dict[str, Any], shown: str) -> None:
    listed = faults(search)
    assert len(listed) == 1
    assert shown in listed[0]


def test_ffx_of_all_positions_is_fine_while_its_password_is_the_keys() -> None:
    checked({"space": {"steps": ["ffx", "np+shf"], "fraction": [100]}})


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_optunas_pruners_need_one_objective(pruner: str) -> None:
    assert checked({"pruner": pruner, "objective": "scalar"}).search.pruner == pruner
    assert len(faults({"pruner": pruner})) == 1


@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_a_grid_needs_lists(name: str) -> None:
    listed = faults({"sampler": "grid", "space": {name: {"low": 0.01, "high": 0.1}}})
    assert listed == [
        f"search.space.{name} must be a list for search.sampler: grid, got a range; "
        "write the values to try"
    ]
    checked({"sampler": "grid", "space": {name: [0.01, 0.1]}})


def test_numbers_are_a_list_or_a_range() -> None:
    space = checked({"space": {"lr": [1, 0.5], "weight_decay": {"low": 1, "high": 2}}}).search.space
    assert space.lr == [1.0, 0.5]
    assert space.weight_decay == RangeParams(low=1.0, high=2.0)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@host/studies",
        "postgresql://host:5432/studies",
        "postgresql://me:@host/studies",
        "postgresql://me:$PASSWORD@host/studies",
        "postgresql+psycopg://me:${PASSWORD}@host/studies?sslmode=require",
        "postgresql://host/studies?password=$PASSWORD",
        "postgresql://host/studies?sslpassword=$PASSWORD&passfile=/home/me/.pgpass",
        "sqlite:///studies.db",
        "$SEGLOCK_STORAGE",
    ],
)
def test_a_storage_without_its_password_is_fine(url: str) -> None:
    assert storage_faults(url) == []
    assert checked({"storage": url}).search.storage == url
    assert hide_password(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/studies",
        "postgresql://me:a$b@hunter2@host/studies",
        "postgresql://me:hunter2/x@host/studies",
        "postgresql://me:$A-hunter2@host/studies",
        "postgresql://host/studies?sslmode=require&password=hunter2",
        "postgresql://host/studies?PASSWORD=hunter2&x=1",
        "postgresql://host/studies?sslmode=require&sslpassword=hunter2&x=1",
        "mysql://host/studies?passwd=hunter2",
        "mysql://host/studies?ssl_key_passphrase=hunter2",
        "mysql://:hunter2@host/studies",
    ],
)
def test_a_password_in_params_is_refused_and_never_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked({"storage": url})
    error: BaseException | None = caught.value
    assert "search.storage must not hold a password" in str(error)
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__


def test_what_is_no_url_is_shown_without_what_may_be_a_password() -> None:
    listed = faults({"storage": "me:hunter2@host/studies"})
    assert "search.storage must be the URL of a database, got '***@host/studies'" in listed[0]


def test_one_value_of_a_part_can_be_overridden() -> None:
    params = checked({"thief": {"tier": "T0", "queries": 7}})
    thief = override(params, "search", {"thief.tier": "T2"}).search.thief
    assert (thief.tier, thief.queries) == ("T2", 7)
    assert override(params, "search", {"thief.tier": None}).search.thief.tier is None
    with pytest.raises(ConfigError, match=r"search\.thief\.tier: must be .*'T3', got 'T9'"):
        override(params, "search", {"thief.tier": "T9"})


def test_overrides_keep_the_same_rules() -> None:
    params = checked({"trials": 3})
    changed = override(params, "search", {"trials": 9, "max_drop": 0.1})
    assert (changed.search.trials, changed.search.max_drop) == (9, 0.1)
    assert params.search.trials == 3
    assert override(params, "search", {}) == params
    with pytest.raises(ConfigError, match=r"search has 1 fault:\n  search\.pruner median must"):
        override(params, "search", {"pruner": "median"})


def test_one_bad_value_hides_no_rule_between_the_others() -> None:
    listed = faults(
        {
            "trials": -1,
            "pruner": "median",
            "storage": "db",
            "enqueue": ["np-5"],
            "sampler": "grid",
            "space": {
                "steps": ["nq", "np"],
                "block_size": [3],
                "fraction": [100],
                "lr": {"low": 0.00001, "high": 1.0},
                "epochs": [0],
            },
        },
        train={"epochs": "x"},
    )
    expected = [
        "train.epochs: must be a valid integer",
        "search.trials: must be greater",
        "search.pruner median",
        "search.storage must be the URL",
        "search.enqueue: np-5: block_size must divide",
        "search.space.steps.0: a lock to try",
        "search.space.block_size: block_size must divide",
        "search.space.lr must be a list",
        "search.space.lr: train.min_lr",
        "search.space.epochs.0: must be greater",
    ]
    for text in expected:
        assert len([line for line in listed if line.startswith(text)]) == 1, text
    assert len(listed) == len(expected), listed


@pytest.mark.parametrize("search", [None, 3, [], {"space": 3}, {"space": None}, {"enqueue": None}])
def test_a_section_of_the_wrong_shape_is_one_message(search: Any) -> None:
    assert faults(search)


patterns = st.lists(st.sampled_from([*METHODS]), min_size=1, max_size=4).map("+".join)


@given(patterns, st.integers(1, 64), st.none() | st.integers(0, 100), st.floats(0, 10))
def test_a_lock_reads_back_as_it_was_written(
    pattern: str, block: int, percent: int | None, weight: float
) -> None:
    lock = LockChoice(pattern, block, percent, refuse=weight)
    try:
        check_sequence(map(parse_step, lock.steps))
    except TransformError:
        with pytest.raises(ConfigError):
            parse_lock(str(lock))
    else:
        assert parse_lock(str(lock)) == lock
        assert [str(parse_step(step)) for step in lock.steps] == [*lock.steps]


def test_the_papers_locks() -> None:
    locks = published_locks([256])
    assert len(set(locks)) == 24
    assert {lock.block_size for lock in locks} == {2, 4, 8, 16, 32, 64, 128, 256}
    assert published_locks([64, 48]) == [lock for lock in locks if lock.block_size <= 16]
    assert published_locks([7]) == []
    assert enqueued_locks("published", [256]) == locks
    assert enqueued_locks(["np-4", "shf-2", "np-4"], [8]) == [
        LockChoice("np", 4, None),
        LockChoice("shf", 2, None),
    ]


def test_a_weight_of_null_or_0_is_none() -> None:
    space = checked({"space": {"refuse": [None, 0.1, 1]}}).search.space
    assert space.refuse == [0.0, 0.1, 1.0]
    assert checked({}).search.space.refuse is None


def test_steps_may_stand_as_tables_show_them() -> None:
    assert parse_lock("np-4 + shf-4 refuse 0.05") == LockChoice("np+shf", 4, None, refuse=0.05)
    assert parse_lock("np-4 refuse 0") == LockChoice("np", 4, None)
