"""Numbers of params.yaml: each has an end, wherever it stands and whoever writes it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from seglock.config import Params, check_params, load_params, override
from seglock.config.load import read_yaml
from seglock.errors import ConfigError

ROOT = Path(__file__).parents[2]
ENDLESS = (math.inf, -math.inf, math.nan, 10**400)


def numbers(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers are in a file's values."""
    if isinstance(values, dict):
        entries = list(values.items())
    else:
        entries = list(enumerate(values)) if isinstance(values, list | tuple) else []
    for name, value in entries:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*place, name)
        yield from numbers(value, (*place, name))


def full() -> dict[str, Any]:
    """The shipped file with a number wherever there may be one."""
    values = read_yaml(ROOT / "params.yaml")
    values["data"]["val_split"] = 64
    values["locks"]["ffx-4"]["ffx_divisor"] = 999
    values["train"] |= {"clip_grad_norm": 1.0, "average": 0.99}
    values["search"]["resources"]["memory_gib"] = 1.0
    values["search"]["space"] |= {
        "lr": {"low": 0.1, "high": 0.5}, "weight_decay": [0.1], "epochs": [12], "image_side": [64],
        "refuse": [0, 0.1],
    }  # fmt: skip
    values["locks"]["np-4"]["refuse"] = {
        "weight": 0.2, "ramp_epochs": 1, "batch_statistics": 0.5, "every": 1,
        "shares": {"plain": 0.5, "wrong": 0.5, "near": 0.0},
    }  # fmt: skip
    return values


FULL = full()
PLACES = list(numbers(FULL))


def test_the_file_has_every_number_that_params_know() -> None:
    known = check_params(FULL).model_dump()
    by_weight = ("locks", "np-8-refuse", "refuse")  # its parts are those of the other lock
    assert {place for place in numbers(known) if place[:3] != by_weight} <= set(PLACES)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_number_without_an_end_is_refused_by_its_name(place: tuple[Any, ...]) -> None:
    for value in ENDLESS:
        values = deepcopy(FULL)
        section = values
        for part in place[:-1]:
            section = section[part]
        section[place[-1]] = value
        with pytest.raises(ConfigError) as caught:
            check_params(values)
        text = str(caught.value)
        assert ".".join(map(str, place)) in text
        assert len(text) < 1000


def test_every_count_has_bounds_on_both_sides() -> None:
    def check(schema: Any, place: str) -> None:
        if isinstance(schema, list):
            for part in schema:
                check(part, place)
        if not isinstance(schema, dict):
            return
        by_rule = ".fraction." in place  # of numbers and a word: its own rule has the bounds
        if schema.get("type") == "integer" and not by_rule:
            assert {"minimum", "exclusiveMinimum"} & set(schema), place
            assert {"maximum", "exclusiveMaximum"} & set(schema), place
        for name, part in schema.items():
            check(part, f"{place}.{name}")

    for name, section in Params.model_json_schema()["$defs"].items():
        check(section, name)


def test_infinity_says_what_to_write_instead(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("locks: {baseline: {steps: []}}\nattack: {seconds: .inf}\n")
    with pytest.raises(ConfigError, match="finite number, got inf; write one so large that"):
        load_params(path)
    path.write_text(path.read_text().replace(".inf", ".nan"))
    with pytest.raises(ConfigError, match=r"finite number, got nan$"):
        load_params(path)


@pytest.mark.parametrize("value", ENDLESS)
def test_options_of_commands_are_held_to_the_same(value: float) -> None:
    params = check_params({"locks": {"baseline": {"steps": []}}})
    for section, name in (
        ("attack", "seconds"),
        ("search", "max_drop"),
        ("search", "thief.seconds"),
    ):
        with pytest.raises(ConfigError, match=name):
            override(params, section, {name: value})


@pytest.mark.parametrize(
    "text", [f"a: {'9' * 5000}", "a: 2024-13-45", "a: !!float x", "a: !!int x"]
)
def test_what_no_number_or_date_can_be_read_from_is_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="must be readable YAML"):
        read_yaml(path)


def test_a_share_may_be_written_in_percent() -> None:
    values = deepcopy(FULL)
    values["search"] |= {"max_drop": "2.9%", "max_regained": "5 %"}
    values["search"]["space"]["fraction"] = ["published", "75%"]
    values["train"]["flip"] = "50%"
    values["attack"]["labelled"] = ["12.5%", 25]
    read = check_params(values)
    assert (read.search.max_drop, read.search.max_regained) == (0.029, 0.05)
    assert (read.search.space.fraction, read.train.flip) == (["published", 75], 0.5)
    assert read.attack.labelled == [12.5, 25.0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2, "must be less than or equal to 1, got 2; write 2% for so many percent"),
        ("x%", "must be a valid number, got 'x%'"),
        ("-1%", "must be greater than or equal to 0"),
        ("nan%", "must be a finite number"),
    ],
)
def test_a_share_that_is_none_is_refused(value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        override(check_params(FULL), "search", {"max_drop": value})
    assert said in str(refused.value)
