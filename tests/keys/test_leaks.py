"""Every accidental way out of a secret, tried.

Secrets are module constants here, so that this file's own frames do not hold them as locals.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import gc
import inspect
import io
import json
import logging
import logging.handlers
import marshal
import pickle
import pprint
import queue
import string
import traceback
from collections.abc import Callable, Hashable
from pathlib import Path
from types import FunctionType, TracebackType

import argon2
import pytest
import rich.console
import rich.traceback
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import KeyRefusedError, SeglockError
from seglock.keys import (
    KeyExposureError,
    KeyStore,
    Passphrase,
    PublicRecord,
    SealedKey,
    SecretKey,
    load_key,
    public_half,
    publish_key,
)
from seglock.keys.secret_access import reveal

SECRET = bytes.fromhex("c3a1f06b9e5d27841f0be2d8766c93505ab47e190dc8f3a26f41be075d92e8cb")
TEXT = SECRET.hex()
KEY = SecretKey.from_bytes(SECRET)
OTHER = SecretKey.from_bytes(SECRET[::-1])
RECORD = PublicRecord.of(KEY)
WORDS = b"kvartz-oblong-wyvern-thimble-uqbar"


def shapes(secret: bytes) -> list[str]:
    """Pieces that betray ``secret``: every 8-byte window in the ways bytes are usually shown."""
    found = []
    for start in range(len(secret) - 7):
        window = secret[start : start + 8]
        found += [window.hex(), window.hex().upper(), window.hex(" "), repr(window)[2:-1]]
        found += [", ".join(map(str, window)), window.decode("latin-1")]
    for shift in range(3):
        whole = base64.b64encode(secret[shift:]).decode().rstrip("=")
        found += [whole[i : i + 12] for i in range(len(whole) - 11)]
    return [*found, *(f.replace("+", "-").replace("/", "_") for f in found[-100:])]


SHAPES = [piece for s in (SECRET, SECRET[::-1], WORDS) for piece in shapes(s)]


def assert_clean(text: str | bytes) -> None:
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    assert shown, "nothing was shown, so nothing was checked"
    hits = [piece for piece in SHAPES if piece in shown]
    assert not hits, "the secret shows"


@pytest.mark.parametrize(
    "shown",
    [repr(SECRET), TEXT, TEXT.upper(), SECRET, str(list(SECRET)), base64.b64encode(SECRET),
     base64.urlsafe_b64encode(SECRET[3:]), "x" + TEXT[10:40]],
)  # fmt: skip
def test_this_suite_would_notice(shown: str | bytes) -> None:
    with pytest.raises(AssertionError, match="the secret shows"):
        assert_clean(shown)


# Showing


def test_shown_by_its_id_only() -> None:
    assert repr(KEY) == str(KEY) == f"{KEY}" == f"{KEY!r}" == f"{KEY!s}" == "%s" % KEY  # noqa: UP031
    assert repr(KEY) == f"SecretKey(id={KEY.id})"
    assert_clean(repr(KEY))


@given(st.text(string.printable, max_size=6))
def test_no_format_spec_shows_more(spec: str) -> None:
    try:
        assert_clean(format(KEY, spec) or "empty")
    except (ValueError, MemoryError, OverflowError) as error:
        assert_clean(repr(error))


@pytest.mark.parametrize("show", [repr, ascii, pprint.pformat, "%r".__mod__, "{0!r:>60}".format])
@pytest.mark.parametrize("wrap", [lambda k: k, lambda k: [k], lambda k: {"key": (k,)}])
def test_no_way_of_showing_a_container_shows_more(show: Callable, wrap: Callable) -> None:
    assert_clean(show(wrap(KEY)) if show != "%r".__mod__ else show((wrap(KEY),)))


def test_attributes_hold_no_bytes() -> None:
    with pytest.raises(TypeError):
        vars(KEY)
    assert not hasattr(KEY, "__dict__")
    with pytest.raises(TypeError):
        dict(KEY)
    for name, value in inspect.getmembers(KEY):
        assert not isinstance(value, bytes), name
        assert_clean(repr(value))
        if isinstance(value, FunctionType):
            assert_clean(repr([*map(repr, value.__closure__ or ()), value.__defaults__]))
    for found in gc.get_referents(KEY):
        assert_clean(repr(found))


def test_rich_shows_its_id_only() -> None:
    out = io.StringIO()
    console = rich.console.Console(file=out, width=300)
    console.print(KEY, {"key": KEY})
    rich.inspect(KEY, console=console, all=True, help=True)
    assert KEY.id in out.getvalue()
    assert_clean(out.getvalue())


def test_attributes_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        KEY.id = "0" * 16  # type: ignore[misc]
    with pytest.raises(AttributeError):
        KEY.secret = SECRET  # type: ignore[attr-defined]


# Comparing


def test_equal_by_content_and_to_keys_only() -> None:
    assert SecretKey.from_bytes(SECRET) == KEY
    assert KEY != OTHER
    assert KEY != SECRET
    assert KEY != TEXT
    assert KEY.id != KEY


def test_equality_compares_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((len(a), len(b))))
    _ = KEY == OTHER
    assert compared == [(32, 32)]


def test_not_hashable_not_ordered_not_iterable() -> None:
    assert not isinstance(KEY, Hashable)
    for attempt in (hash, iter, len, sorted, int, lambda k: {k}, lambda k: k < OTHER):
        with pytest.raises(TypeError) as caught:
            attempt([KEY, OTHER] if attempt is sorted else KEY)
        assert_clean(str(caught.value))


# Copying and serialising


@dataclasses.dataclass
class Holder:
    name: str
    key: SecretKey


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda k: k, lambda k: [k], lambda k: Holder("main", k)])
def test_pickle_refuses_and_names_the_right_call(protocol: int, wrap: Callable) -> None:
    for pickler in (pickle.dumps, lambda o, p: pickle._Pickler(io.BytesIO(), p).dump(o)):
        with pytest.raises(KeyExposureError, match=r"seglock\.keys\.load_key\(name\)") as caught:
            pickler(wrap(KEY), protocol)
        assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "attempt",
    [
        copy.copy,
        copy.deepcopy,
        lambda key: copy.deepcopy({"key": [key]}),
        lambda key: dataclasses.asdict(Holder("main", key)),
        lambda key: dataclasses.astuple(Holder("main", key)),
    ],
)
def test_copy_refuses_and_names_the_right_call(attempt: Callable) -> None:
    with pytest.raises(KeyExposureError, match="share the same object"):
        attempt(KEY)


def test_bytes_refuses_and_names_the_right_call() -> None:
    with pytest.raises(KeyExposureError, match=r"\.derive\(use\)"):
        bytes(KEY)


@pytest.mark.parametrize(
    "attempt",
    [
        json.dumps,
        lambda key: json.dumps({"key": key}),
        marshal.dumps,
        bytearray,
        memoryview,
        lambda key: key.__getstate__(),
    ],
)
def test_other_serialisers_refuse(attempt: Callable) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        attempt(KEY)
    assert_clean(repr(caught.value))


def test_json_with_a_default_shows_the_id_only() -> None:
    assert_clean(json.dumps({"key": KEY}, default=str))


def test_logging_shows_the_id_only() -> None:
    out, waiting = io.StringIO(), queue.SimpleQueue()
    logger = logging.Logger("leaks")
    logger.addHandler(logging.StreamHandler(out))
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    logger.warning("key %s %r", KEY, [KEY], extra={"lock": KEY})
    try:
        load_refused()
    except SeglockError:
        logger.exception("refused", stack_info=True)
    assert KEY.id in out.getvalue()
    assert_clean(out.getvalue())
    while not waiting.empty():
        assert_clean(repr(vars(waiting.get())))


# Exceptions


def load_refused() -> None:
    RECORD.verify(OTHER)


def env_with(text: Callable[[], str]) -> Callable[[Path, pytest.MonkeyPatch], object]:
    def attempt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
        monkeypatch.setenv("SEGLOCK_KEY_MAIN", text())
        return load_key("main", store=KeyStore(folder / "store"))

    return attempt


def file_with(
    content: Callable[[], bytes], mode: int = 0o600
) -> Callable[[Path, pytest.MonkeyPatch], object]:
    def attempt(folder: Path, _: pytest.MonkeyPatch) -> object:
        path = folder / "secret"
        path.write_bytes(content())
        path.chmod(mode)
        return SecretKey.from_file(path)

    return attempt


def env_of_another_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", TEXT)
    target = folder / "main.json"
    target.write_bytes(PublicRecord.of(OTHER).to_bytes())
    return publish_key("main", target=target, create_missing=True)


def forged_record(folder: Path, _: pytest.MonkeyPatch) -> None:
    dataclasses.replace(PublicRecord.of(OTHER), id=KEY.id).verify(KEY)


def argon2_without_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argon2, "PasswordHasher", lambda **_: FailingHasher())
    PublicRecord.of(KEY)


def sealed(
    how: str = "words", damage: Callable[[bytes], bytes] = bytes
) -> Callable[[Path, pytest.MonkeyPatch], object]:
    """Sealing KEY and opening it again, where ``damage`` was done between."""

    def attempt(folder: Path, _: pytest.MonkeyPatch) -> object:
        if how == "box":
            made = SealedKey.to_recipient("main", KEY, RECORD, public_half(OTHER))
        else:
            made = SealedKey.by_passphrase("main", KEY, RECORD, Passphrase(WORDS))
        opened = SealedKey.from_bytes(damage(made.to_bytes()))
        return opened.of(KEY) if how == "box" else opened.by(Passphrase(WORDS[:-1]))

    return attempt


def sealed_with_another_inside(folder: Path, _: pytest.MonkeyPatch) -> object:
    made = SealedKey.by_passphrase("main", KEY, PublicRecord.of(OTHER), Passphrase(WORDS))
    return made.by(Passphrase(WORDS))


def box_with_another_inside(folder: Path, _: pytest.MonkeyPatch) -> object:
    made = SealedKey.to_recipient("main", KEY, PublicRecord.of(OTHER), public_half(OTHER))
    return made.of(OTHER)


def box_of_another_record(folder: Path, _: pytest.MonkeyPatch) -> object:
    made = SealedKey.to_recipient("main", KEY, RECORD, public_half(OTHER))
    return dataclasses.replace(made, name="second").of(OTHER)


def no_memory_for_a_passphrase(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr("seglock.keys.sealed._MEMORY", 1 << 60)
    return SealedKey.by_passphrase("main", KEY, RECORD, Passphrase(WORDS))


class FailingHasher:
    def hash(self, password: bytes) -> str:
        raise argon2.exceptions.HashingError("Memory allocation error")


def disk_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    def full(handle: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SecretKey, "generate", lambda: KEY)
    monkeypatch.setattr("os.write", full)
    return KeyStore(folder / "store").new("main")


FAILURES = {
    "short bytes": lambda f, m: SecretKey.from_bytes(SECRET[:31]),
    "long bytes": lambda f, m: SecretKey.from_bytes(SECRET + b"x"),
    "hexadecimal text": lambda f, m: SecretKey.from_bytes(TEXT),  # type: ignore[arg-type]
    "hexadecimal bytes": lambda f, m: SecretKey.from_bytes(TEXT[:32].encode()),
    "integers": lambda f, m: SecretKey.from_bytes([*SECRET]),  # type: ignore[arg-type]
    "short file": file_with(lambda: SECRET[:31]),
    "long file": file_with(lambda: SECRET + b"x"),
    "open file": file_with(lambda: SECRET, 0o644),
    "long hex in the environment": env_with(lambda: TEXT + "00"),
    "hex with a slip": env_with(lambda: TEXT[:-1] + "g"),
    "base64 with a slip": env_with(lambda: "!" + base64.b64encode(SECRET).decode()),
    "long base64": env_with(lambda: base64.b64encode(SECRET + b"xy").decode()),
    "not ASCII": env_with(lambda: "é" + TEXT),
    "environment key of another record": env_of_another_record,
    "wrong key for the record": lambda f, m: load_refused(),
    "forged record": forged_record,
    "no memory for the hash": argon2_without_memory,
    "full disk": disk_full,
    "wrong passphrase": sealed(),
    "short passphrase": lambda f, m: SealedKey.by_passphrase(
        "main", KEY, RECORD, Passphrase(WORDS[:11])
    ),
    "no memory for a passphrase": no_memory_for_a_passphrase,
    "truncated export": sealed(damage=lambda content: content[:-20]),
    "damaged export": sealed(damage=lambda content: content.replace(b"AA", b"AB").swapcase()),
    "sealed to another machine": sealed("box"),
    "sealed to no point": lambda f, m: SealedKey.to_recipient("main", KEY, RECORD, "0" * 64),
    "another key inside": sealed_with_another_inside,
    "another key in the box": box_with_another_inside,
    "box under another name": box_of_another_record,
    "reserved use": lambda f, m: KEY.derive("id"),
    "pickle": lambda f, m: pickle.dumps(KEY),
    "copy": lambda f, m: copy.deepcopy(KEY),
}


def caught_from(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[SeglockError, TracebackType]:
    with monkeypatch.context() as patch, pytest.raises(SeglockError) as caught:
        FAILURES[name](folder, patch)
    return caught.value, caught.tb


@pytest.mark.parametrize("name", FAILURES)
def test_messages_do_not_show_the_secret(name: str, tmp_path: Path, monkeypatch) -> None:
    error, _ = caught_from(name, tmp_path, monkeypatch)
    assert_clean(str(error) + repr(error) + repr(error.args) + repr(vars(error)))
    assert_clean("".join(traceback.format_exception(error)))
    assert_clean(pickle.dumps(error))


@pytest.mark.parametrize("name", FAILURES)
def test_a_rich_traceback_with_locals_does_not_show_it(
    name: str, tmp_path: Path, monkeypatch
) -> None:
    error, tb = caught_from(name, tmp_path, monkeypatch)
    shown = rich.traceback.Traceback.from_exception(
        type(error), error, tb, show_locals=True, locals_max_length=None,
        locals_max_string=None, locals_hide_dunder=False, locals_hide_sunder=False, width=400,
    )  # fmt: skip
    out = io.StringIO()
    rich.console.Console(file=out, width=400).print(shown)
    assert "locals" in out.getvalue()
    assert_clean(out.getvalue())


@pytest.mark.parametrize("name", FAILURES)
def test_no_frame_of_an_error_holds_it(name: str, tmp_path: Path, monkeypatch) -> None:
    """As cgitb and crash reporters do: every local, and every attribute of every local, of every
    frame below this file, in the error and in all it came from, shown or not."""
    error: BaseException | None = caught_from(name, tmp_path, monkeypatch)[0]
    seen = 0
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == __file__:
                continue
            for local, value in frame.f_locals.items():
                where = f"{frame.f_code.co_qualname}: {local}"
                assert value not in (SECRET, SECRET[::-1], TEXT), where
                assert_clean(repr(value) or "empty")
                if isinstance(value, SecretKey | PublicRecord | KeyStore):
                    assert_clean(repr(inspect.getmembers(value)))
                seen += 1
        error = error.__context__
    assert seen


def test_a_key_that_is_refused_leaves_no_trace_in_the_caller(tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError) as caught:
        KeyStore(tmp_path).load("main")
    assert_clean(str(caught.value))


def test_the_door_opens_when_asked() -> None:
    assert reveal(KEY) == SECRET
