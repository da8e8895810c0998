"""Whatever spells bytes in text is read, however laid out; other text gives nothing up."""

from __future__ import annotations

import base64
import io
import json
import pprint
import textwrap
import urllib.parse
from collections.abc import Callable

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.audit import text
from seglock.audit.decode import buffers

secrets = st.binary(min_size=32, max_size=32)
prose = st.text(st.characters(codec="utf-8"), max_size=40)


def lines(encoded: str, width: int, before: str = "", after: str = "") -> str:
    """A text in lines, each between the same marks."""
    parts = [encoded[i : i + width] for i in range(0, len(encoded), width)]
    return "\n".join(before + part + after for part in parts)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def savetxt(data: bytes) -> str:
    file = io.StringIO()
    np.savetxt(file, np.frombuffer(data, np.uint8))
    return file.getvalue()


SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "hex": lambda s: s.hex(),
    "HEX": lambda s: s.hex().upper(),
    "hex with colons": lambda s: s.hex(":"),
    "HEX with dashes": lambda s: s.hex("-").upper(),
    "hex in words": lambda s: s.hex(" ", 4),
    "hex in lines": lambda s: lines(s.hex(), 16, "    "),
    "hex in quoted lines": lambda s: lines(s.hex(), 20, '  "', '\\n",'),
    "C array": lambda s: "{" + ", ".join(f"0x{b:02X}" for b in s) + "}",
    "hex numbers": lambda s: " ".join(hex(b) for b in s),
    "escapes": lambda s: "".join(f"\\x{b:02x}" for b in s),
    "octal escapes": lambda s: "".join(f"\\{b:03o}" for b in s),
    "percent": lambda s: "".join(f"%{b:02X}" for b in s),
    "URL": lambda s: urllib.parse.quote_from_bytes(s),
    "repr": lambda s: repr(s),
    "JSON string": lambda s: json.dumps(s.decode("latin-1")),
    "JSON string, UTF-8": lambda s: json.dumps(s.decode("latin-1"), ensure_ascii=False),
    "JSON in JSON": lambda s: json.dumps(json.dumps({"key": s.decode("latin-1")})),
    "JSON list": lambda s: json.dumps([*s]),
    "tight JSON list": lambda s: json.dumps([*s], separators=(",", ":")),
    "indented JSON list": lambda s: json.dumps({"key": {"bytes": [*s]}}, indent=8),
    "JSON object": lambda s: json.dumps({str(i): b for i, b in enumerate(s)}),
    "JSON of strings": lambda s: json.dumps([str(b) for b in s]),
    "YAML": lambda s: yaml.safe_dump({"key": [*s]}),
    "flow YAML": lambda s: yaml.safe_dump([*s], default_flow_style=True),
    "YAML binary": lambda s: yaml.safe_dump({"key": s}),
    "CSV row": lambda s: ";".join(map(str, s)),
    "CSV column": lambda s: "\n".join(f"{i},{b}" for i, b in enumerate(s)),
    "CSV among columns": lambda s: "\n".join(f"a,{i},{b},0.5,{i * i}" for i, b in enumerate(s)),
    "with dashes": lambda s: "-".join(map(str, s)),
    "signed": lambda s: repr(np.frombuffer(s, np.int8).tolist()),
    "tuple": lambda s: pprint.pformat(tuple(s), width=30),
    "NumPy": lambda s: repr(np.frombuffer(s, np.uint8)),
    "NumPy scalars": lambda s: repr([*np.frombuffer(s, np.uint8)]),
    "NumPy floats": lambda s: repr(np.frombuffer(s, np.uint8).astype(float)),
    "NumPy words": lambda s: repr(np.frombuffer(s, "<u4").tolist()),
    "NumPy big words": lambda s: repr(np.frombuffer(s, ">i8").tolist()),
    "savetxt": savetxt,
    "number": lambda s: str(int.from_bytes(b"\x80" + s, "big")),
    "little number": lambda s: str(int.from_bytes(s + b"\x80", "little")),
    "base64": b64,
    "base64 in a word": lambda s: "key_" + b64(s),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s).decode(),
    "base64 in a URL": lambda s: urllib.parse.quote(b64(s), safe=""),
    "base64 in JSON": lambda s: json.dumps(b64(s)).replace("/", "\\/"),
    "MIME": lambda s: base64.encodebytes(b"before it " * 9 + s + b"behind " * 9).decode(),
    "PEM, indented": lambda s: textwrap.indent(lines(b64(bytes(50) + s + bytes(70)), 64), " " * 9),
    "base64 in quotes": lambda s: lines(b64(bytes(51) + s), 76, '    "', '\\n"'),
    "base64 literals": lambda s: lines(b64(bytes(52) + s), 40, "    b'", "'"),
    "base64 sums": lambda s: lines(b64(s), 11, '  "', '" +'),
    "base64 in comments": lambda s: lines(b64(s), 13, "// "),
    "base64 in a list": lambda s: lines(b64(s), 12, "- "),
    "wrapped base64 in JSON": lambda s: json.dumps(base64.encodebytes(bytes(99) + s).decode()),
    "base64 twice": lambda s: b64(b64(bytes(7) + s).encode()),
    "hex in base64": lambda s: b64(s.hex().encode()),
}


def spelled(data: bytes) -> bytes:
    """Everything that is found in a text."""
    return b"\n".join(found for _, found in buffers(data))


@pytest.mark.parametrize("name", SPELLINGS)
@given(secret=secrets, before=prose, after=prose)
@settings(max_examples=20)
def test_a_secret_is_read_in_every_spelling(
    name: str, secret: bytes, before: str, after: str
) -> None:
    written = f"{before}\n: {SPELLINGS[name](secret)} ;\n{after}".encode()
    forms = (secret, secret.decode("latin-1").encode())
    assert any(form in spelled(written) for form in forms)


@pytest.mark.parametrize("name", ["hex", "MIME", "JSON list", "indented JSON list", "repr"])
@given(secret=secrets, place=st.integers(0, 80))
@settings(max_examples=20)
def test_a_secret_on_a_border_of_parts_is_read(
    name: str, secret: bytes, place: int, monkeypatch_module: pytest.MonkeyPatch
) -> None:
    for part, size in (("CHUNK", 1 << 10), ("SOME", 1 << 10), ("OVERLAP", 1 << 10)):
        monkeypatch_module.setattr(text, part, size)
    filler = "one word after another\n" * 100
    written = filler[: 1024 - 10 * place] + " : " + SPELLINGS[name](secret) + "\n" + filler
    assert secret in spelled(written.encode())


@pytest.fixture(scope="module")
def monkeypatch_module() -> object:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@given(st.binary(max_size=300), st.binary(max_size=300), secrets)
@settings(max_examples=20)
def test_text_inside_other_bytes_is_read(before: bytes, after: bytes, secret: bytes) -> None:
    for separator in (b"\0", b"\xff"):
        assert secret in spelled(before + separator + secret.hex().encode() + separator + after)


@given(st.binary(max_size=2000))
@settings(max_examples=20)
def test_any_bytes_are_taken(data: bytes) -> None:
    assert spelled(data).startswith(data)


@given(st.lists(st.booleans(), min_size=36, max_size=60))
@settings(max_examples=20)
def test_masks_in_words_and_digits_become_bytes(mask: list[bool]) -> None:
    wanted = bytes(mask)
    digits = "".join("01"[bit] for bit in mask)
    for written in (repr(mask), json.dumps(mask), repr(np.array(mask)), digits, str([*wanted])):
        assert wanted in spelled(f"mask: {written}".encode())
    assert np.packbits(mask).tobytes() in spelled(str(np.packbits(mask).tolist()).encode())


@given(st.lists(st.integers(0, 999), min_size=12, max_size=300))
@settings(max_examples=20)
def test_larger_numbers_become_little_endian_words(values: list[int]) -> None:
    wanted = np.array(values).astype("<u2" if max(values) > 255 else "u1").tobytes()
    for written in (json.dumps(values), yaml.safe_dump(values), repr(dict(enumerate(values)))):
        assert wanted in spelled(written.encode())


@pytest.mark.parametrize(
    "written",
    ["9" * 5000, "1e999 " * 20, "-. " * 20, "0x " * 20, "1.5e9 " * 9, "-e38 -.e5 0.e1 9 " * 9],
)
def test_odd_numbers_are_no_fault(written: str) -> None:
    assert spelled(written.encode())


@given(st.text(alphabet="-+.eE0x9 ,", max_size=60))
@settings(max_examples=100)
def test_whatever_looks_like_a_number_is_no_fault(written: str) -> None:
    assert spelled(f"1 2 3 4 -e9 {written} 5".encode())
