"""A plan is found in every form a careless program would give it, and chance is no finding."""

from __future__ import annotations

import base64
import json
import math
import pickle
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from seglock.audit.decode import buffers
from seglock.audit.needles import (
    Needle,
    NotedKey,
    image_needles,
    key_needles,
    plan_needles,
    too_short,
)
from seglock.audit.searcher import Searcher
from seglock.keys import SecretKey
from seglock.steps import has_one_plan, parse_step
from seglock.transforms import Transform, compose
from seglock.transforms.recipe import inverse_tables
from tests.audit.project import SECRET, npy, npz, png, savetxt

KEY = SecretKey.from_bytes(SECRET)
OTHER = SecretKey.from_bytes(SECRET[16:] + SECRET[:16])
LOCKS = (
    ("np-4",), ("np-4-f25",), ("np-8",), ("np-16-f3",), ("shf-4",), ("shf-16",), ("shf-8-f50",),
    ("ffx-2",), ("ffx-4",), ("np-4", "shf-4"), ("np-8-f25", "shf-8"), ("np-4", "ffx-4", "shf-4"),
)  # fmt: skip
LIKE_OTHERS = (("ffx-2",), ("np-4", "shf-4"))
TINY = (("np-1",), ("np-2",), ("shf-1",), ("shf-2",), ("np-2", "shf-2"), ("np-8-f1",),
        ("np-8-f99",), ("np-8-f0",), ("np-4-f100",), ("shf-8-f1",))  # fmt: skip


def lock_needles(steps: Sequence[str], key: SecretKey) -> list[Needle]:
    noted = NotedKey(key)
    transform = compose(steps, noted.as_key)
    name = "+".join(steps)
    return [*noted.needles(transform, name), *plan_needles(transform, name)]


@lru_cache
def searcher(key: int = 0) -> Searcher:
    which = (KEY, OTHER)[key]
    needles = [needle for steps in LOCKS + TINY for needle in lock_needles(steps, which)]
    return Searcher([*key_needles(which), *needles])


def found(data: bytes, key: int = 0) -> set[tuple[str, str]]:
    return {hit for _, buffer in buffers(data) for hit in searcher(key).find(buffer)}


def number_forms(values: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Integers as people store and print them."""
    for dtype in ("u1", "i2", ">i2", "u2", "i4", ">u4", "i8", ">i8", "f4", "f8"):
        if dtype[-2:] != "u1" or values.max() < 256:
            typed = values.astype(dtype)
            yield f"bytes of {dtype}", b"\1head" + typed.tobytes() + b"tail"
            yield f"npy of {dtype}", npy(typed)
    yield "npz", npz(values)
    yield "safetensors", save({"plan": values.astype(np.int32)})
    yield "pickled array", pickle.dumps(values)
    yield "JSON", json.dumps({"plan": values.tolist()}, indent=4).encode()
    yield "JSON object", json.dumps(dict(enumerate(values.tolist()))).encode()
    yield "YAML", yaml.safe_dump(values.tolist()).encode()
    yield "CSV", "\n".join(f"{i},{v}" for i, v in enumerate(values.tolist())).encode()
    yield "savetxt", savetxt(values)
    yield "bytes in base64", base64.encodebytes(b"x" + values.astype("<i4").tobytes())
    yield "bytes in hexadecimal", values.astype("<i2").tobytes().hex(" ").encode()
    with np.printoptions(threshold=10_000):
        yield "repr", repr(values).encode()


def mask_forms(mask: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """A mask of bool as people store and print it."""
    side = math.isqrt(len(mask) // 3)
    for dtype in ("bool", "u1", "i2", ">i2", "i4", ">i4", "i8", ">i8"):
        typed = mask.astype(dtype)
        yield f"bytes of {dtype}", b"\1\0\1head" + typed.tobytes() + b"tail\1"
        yield f"npy of {dtype}", npy(typed)
    yield "after a 1", b"\1" + mask.astype("<i2").tobytes() + b"\1"
    yield "npy of floats", npy(mask.astype(np.float32))
    yield "npy of 0 and 255", npy(mask.astype(np.uint8) * 255)
    yield "npy, channels first", npy(mask.reshape(side, side, 3).transpose(2, 0, 1).copy())
    yield "npz", npz(mask)
    yield "safetensors", save({"mask": mask})
    yield "pickled array", pickle.dumps(mask)
    yield "bits", npy(np.packbits(mask))
    yield "bits, little", json.dumps(np.packbits(mask, bitorder="little").tolist()).encode()
    yield "digits", "".join("01"[bit] for bit in mask.tolist()).encode()
    yield "PNG", png(mask.reshape(side, -1).astype(np.uint8) * 255)
    yield "RGB PNG", png(mask.reshape(side, side, 3).astype(np.uint8) * 255)
    yield "JSON of bool", json.dumps(mask.tolist()).encode()
    yield "JSON", json.dumps(mask.astype(int).tolist()).encode()
    yield "CSV", "\n".join(f"{i};{int(v)}" for i, v in enumerate(mask)).encode()
    yield "savetxt", savetxt(mask)
    yield "bytes in base64", base64.b64encode(b"xy" + mask.tobytes())
    with np.printoptions(threshold=10_000):
        yield "repr", repr(mask.reshape(side, side, 3)).encode()


def leaks(transform: Transform, least: int = 2) -> Iterator[tuple[str, bytes]]:
    """Every array of a lock's plan, in every form; masks of which there are so many."""
    plan = transform._plan
    if any(step.method == "shf" for step in transform.steps):
        arrays = {"order": plan.permutation, "inverse order": np.argsort(plan.permutation)}
    else:
        arrays = {}
    masks = [plan.selector == row for row in range(len(plan.tables))]
    masks = [mask for mask in masks if math.comb(plan.size, int(mask.sum())) >= least]
    for row, mask in enumerate(masks):
        yield from ((f"mask {row} as {name}", form) for name, form in mask_forms(mask))
        arrays[f"positions {row}"] = np.flatnonzero(mask)
    if transform.dtype_name == "int16":
        table = plan.tables[plan.tables.max(axis=1) > 255][0]
        arrays |= {"table": table, "inverse table": inverse_tables(table[None])[0]}
    for name, array in arrays.items():
        yield from ((f"{name} as {form}", data) for form, data in number_forms(array))


@pytest.mark.parametrize("steps", [lock for lock in LOCKS if lock not in LIKE_OTHERS])
def test_a_plan_is_found_in_every_form_and_another_keys_is_not(steps: tuple[str, ...]) -> None:
    for key, mine in ((KEY, True), (OTHER, False)):
        forms = dict(leaks(compose(steps, key), 1 << 32))
        assert len(forms) > 20
        forms = dict(list(forms.items())[:: 1 if mine else 4])
        owners = {name: {owner for _, owner in found(form)} for name, form in forms.items()}
        assert [name for name in forms if ("+".join(steps) in owners[name]) != mine] == []


@pytest.mark.parametrize("steps", TINY)
def test_a_plan_that_chance_gives_is_not_looked_for(steps: tuple[str, ...]) -> None:
    forms = dict(leaks(compose(steps, KEY)))
    assert [name for name, form in forms.items() if found(form)] == []
    assert bool(too_short(compose(steps, KEY))) != has_one_plan([*map(parse_step, steps)], "fixed")


def test_counting_is_no_finding() -> None:
    for counted in (np.arange(768), np.arange(768)[::-1], np.zeros(768, int), np.ones(768, int)):
        assert not any(found(form) for _, form in number_forms(counted))


def test_no_needle_is_less_rare_than_said() -> None:
    """Among all masks and orders of a block, a needle's share is below 2**-32."""
    for steps in LOCKS + TINY:
        for needle in lock_needles(steps, KEY):
            (window,) = needle.windows
            assert len(window) >= 6
            if max(window) <= 1 and len(window) >= 32:
                assert math.log2(math.comb(len(window), sum(window))) > 32, steps
            elif len(window) < 8:
                assert math.log2(math.comb(48, 12)) > 32


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=10)
def test_what_planning_draws_is_found_under_whatever_label(secret: bytes) -> None:
    try:
        key = SecretKey.from_bytes(secret)
    except ValueError:  # constant or printable: no key
        return
    noted = NotedKey(key)
    transform = compose(["np-4", "ffx-4"], noted.as_key)
    drawn = list(noted._uses.values())
    assert len(drawn) == 3
    search = Searcher([*noted.needles(transform, "lock")])
    for subkey in drawn:
        data = base64.b64encode(b"?" + subkey)
        assert ("subkey or FFX password", "lock") in {
            hit for _, buffer in buffers(data) for hit in search.find(buffer)
        }
    assert secret.hex() not in repr([noted, search, *noted.needles(transform, "lock")])


KINDS = st.one_of(
    st.binary(max_size=5000),
    st.text(max_size=3000).map(str.encode),
    st.lists(st.integers(0, 255), max_size=500).map(lambda v: json.dumps(v).encode()),
    st.lists(st.integers(0, 999), max_size=300).map(lambda v: npy(np.array(v))),
    st.permutations(range(48)).map(lambda v: json.dumps(v, indent=1).encode()),
    st.permutations(range(192)).map(lambda v: npy(np.array(v))),
    st.lists(st.booleans(), min_size=48, max_size=500).map(lambda v: bytes(v)),
    st.lists(st.booleans(), min_size=48, max_size=48).map(lambda v: npy(np.packbits(v))),
    st.sets(st.integers(0, 47), min_size=24, max_size=24).map(lambda v: str(sorted(v)).encode()),
    st.binary(min_size=32, max_size=32).map(lambda v: base64.encodebytes(v)),
    st.binary(min_size=32, max_size=32).map(lambda v: v.hex(":").encode()),
)  # fmt: skip


@given(st.lists(KINDS, max_size=4))
@settings(max_examples=40)
def test_data_without_a_secret_is_never_a_finding(parts: list[bytes]) -> None:
    assert found(b"\n".join(parts)) == set()


@given(st.binary(max_size=100), st.integers(0, 40))
@settings(max_examples=20)
def test_needles_are_found_across_the_searchers_own_parts(before: bytes, place: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seglock.audit.searcher.CHUNK", 512)
        mask = compose(["np-4"], KEY)._plan.selector.astype(np.int64)
        for secret in (SECRET, mask.tobytes(), mask.astype(np.uint8).tobytes()):
            for filler in (b"\0" * (512 - place), b"\1" * (512 - place), b"x" * (512 - place)):
                assert [*searcher().find(before + filler + secret + filler)]


@pytest.mark.parametrize("number", range(12))
def test_an_encrypted_image_is_never_taken_for_the_plain_one(number: int) -> None:
    """Channels in another order, as SHF at M = 1 gives them, are all in the plain image too."""
    key = SecretKey.from_bytes(SECRET).wrong(number)
    plain = np.random.default_rng(number).integers(0, 256, (1, 3, 32, 32)).astype(np.uint8)
    for step in ("shf-1", "np-1", "shf-2"):
        lock = compose([step], key)
        hidden = np.asarray(lock.encrypt(plain))
        needles = image_needles(
            plain[0], hidden[0], block=lock.block_size, top=255, owner=step, image="x"
        )
        search = Searcher(needles)
        for form in (plain, np.ascontiguousarray(plain.transpose(0, 2, 3, 1))):
            assert [*search.find(form.tobytes())] == []
        if step == "shf-2":
            assert [*search.find(hidden.tobytes())] == [("encrypted image x", step)]


def test_the_order_of_a_feature_map_is_found() -> None:
    noted = NotedKey(KEY)
    transform = compose(["np-4", "chp-layer2"], noted.as_key, channels={"layer2": 64})
    sought = Searcher([*noted.needles(transform, "it"), *plan_needles(transform, "it")])
    (plan,) = transform.features
    for form in (plan.order, np.argsort(plan.order)):
        for data in (json.dumps(form.tolist()).encode(), form.tobytes(), npy(form)):
            assert ("plan", "it") in {h for _, one in buffers(data) for h in sought.find(one)}
    other = json.dumps(np.random.default_rng(0).permutation(64).tolist()).encode()
    assert not [hit for _, one in buffers(other) for hit in sought.find(one)]
