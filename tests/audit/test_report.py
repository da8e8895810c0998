"""Every kind of leak is planted in a real project and found; a clean project is clean."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from typer.testing import CliRunner

from seglock.audit import Leak
from seglock.data import PreparedData
from seglock.errors import SeglockError
from seglock.keys import (
    KeyStore,
    Passphrase,
    SealedKey,
    SecretKey,
    demonstration_key,
    public_half,
)
from seglock.normalisation import IMAGENET
from seglock.stages.audit import run_audit
from seglock.stages.key_file import export_key
from seglock.transforms import compose
from tests.audit.project import (
    LOCKS,
    SECRET,
    SIDE,
    TEST,
    TRAIN,
    VAL,
    commit,
    encrypted,
    make_project,
    npy,
    npz,
    png,
    run,
    transform,
)

KEY = SecretKey.from_bytes(SECRET)
OTHER = SecretKey.from_bytes(bytes(reversed(SECRET)))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root, keys = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("keys")
    make_project(root, keys)
    return root, keys


@pytest.fixture
def project(clean: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root, keys = clean
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(keys))
    return Path(shutil.copytree(root, tmp_path / "project", symlinks=True))


def found(root: Path) -> list[Leak]:
    findings = run_audit(root).findings
    text = "\n".join([*map(str, findings), *map(repr, findings)])
    for secret in (SECRET.hex(), base64.b64encode(SECRET).decode()[:40], repr(SECRET)[2:-1]):
        assert secret not in text
    return findings


def test_a_clean_project_is_clean_and_everything_was_looked_at(project: Path) -> None:
    report = run_audit(project)
    assert report.findings == []
    assert [text for text in report.skipped if "public demonstration key" not in text] == [
        "plan of ffx-2: chance gives its mask of 9.9 bits",
        "plan of np-1: chance gives its mask of 1.6 bits",
        "plan of np-2: chance gives its mask of 9.9 bits",
        "plan of shf-1: chance gives its order of 2.6 bits",
        "plan of shf-2: chance gives its order of 28.8 bits",
    ]
    assert report.exposures == []
    assert report.keys == [f"main ({KEY.id})"]
    assert report.images >= (len(LOCKS) - 1) * (TRAIN + VAL + TEST)
    searched = {place.place: place for place in report.searched}
    assert list(searched) == ["git", "dvc", "mlflow", "records"]
    assert searched["git"].files > 10
    prepared = sum(p.stat().st_size for p in (project / "data" / "prepared").iterdir())
    assert searched["dvc"].size >= prepared


SPELLINGS: dict[str, bytes] = {
    "raw": SECRET,
    "hex": SECRET.hex().encode(),
    "HEX": SECRET.hex().upper().encode(),
    "base64": base64.b64encode(SECRET),
    "base64 after one byte": base64.b64encode(b"x" + SECRET + b"yz"),
    "base64 after two bytes": base64.b64encode(b"xy" + SECRET + b"z"),
    "urlsafe": base64.urlsafe_b64encode(SECRET),
    "urlsafe after two bytes": base64.urlsafe_b64encode(b"xy" + SECRET),
}


def test_a_key_is_found_in_every_spelling(project: Path) -> None:
    for name, spelled in SPELLINGS.items():
        (project / f"{name}.txt").write_bytes(b"before " + spelled + b" after")
    commit(project, "notes")
    findings = found(project)
    where = {finding.where for finding in findings}
    assert [name for name in SPELLINGS if f"{name}.txt" not in where] == []
    assert all(KEY.id in finding.owner for finding in findings)


def test_an_export_is_no_finding_and_what_was_in_it_is(
    project: Path, clean: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(shutil.copytree(clean[1], tmp_path / "keys"))
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(store.folder))
    words = Passphrase(b"four stones under a quiet bridge")
    export_key("main", project / "words.key", to=None, words=lambda: words)
    export_key("main", project / "box.key", to=public_half(store.machine()), words=lambda: words)
    commit(project, "exports")
    assert found(project) == []
    opened = SealedKey.from_bytes((project / "words.key").read_bytes()).by(words)
    assert opened == KEY
    (project / "opened.txt").write_bytes(SPELLINGS["hex"])
    (project / "machine.txt").write_bytes((store.folder / ".machine" / "secret").read_bytes())
    commit(project, "opened")
    where = {finding.where for finding in found(project)}
    assert {"opened.txt", "machine.txt"} <= where


def leak_in_a_removed_file(root: Path) -> None:
    (root / "removed.txt").write_bytes(SPELLINGS["hex"])
    commit(root, "oops")
    (root / "removed.txt").unlink()
    commit(root, "remove")


def leak_on_another_branch(root: Path) -> None:
    run(root, "git", "checkout", "-q", "-b", "side")
    (root / "branch.txt").write_bytes(SPELLINGS["HEX"])
    commit(root, "side")
    run(root, "git", "checkout", "-q", "main")


def leak_in_a_message(root: Path) -> None:
    run(root, "git", "commit", "-q", "--allow-empty", "-m", f"key {SECRET.hex()}")


def leak_in_an_author(root: Path) -> None:
    author = f"a <{SECRET.hex()}@example.org>"
    run(root, "git", "commit", "-q", "--allow-empty", "-m", "by", "--author", author)


def leak_in_a_note(root: Path) -> None:
    run(root, "git", "notes", "add", "-m", base64.b64encode(SECRET).decode())


def leak_in_a_stash(root: Path) -> None:
    (root / "stashed.txt").write_text(str([*SECRET]))
    run(root, "git", "add", "stashed.txt")
    run(root, "git", "stash", "push", "-q", "stashed.txt")


def leak_in_a_branchs_name(root: Path) -> None:
    run(root, "git", "branch", f"try/{SECRET.hex()}")


def leak_in_a_files_name_in_history(root: Path) -> None:
    path = root / "notes" / base64.b64encode(SECRET).decode()
    path.parent.mkdir(parents=True)
    path.mkdir(parents=True) if "/" in path.name else path.write_text("")
    path.is_dir() and (path / "x").write_text("")
    commit(root, "a name")
    shutil.rmtree(root / "notes")
    commit(root, "no name")


def leak_in_a_remotes_address(root: Path) -> None:
    run(root, "git", "remote", "add", "server", f"https://{SECRET.hex()}@example.org/x")


def leak_in_an_untracked_file(root: Path) -> None:
    (root / "new folder").mkdir()
    (root / "new folder" / "key.json").write_text(json.dumps([*SECRET], indent=4))


def leak_in_a_link(root: Path) -> None:
    (root / "link").symlink_to(f"/home/{SECRET.hex()}")


def leak_in_a_tag(root: Path) -> None:
    run(root, "git", "tag", "-a", "v1", "-m", SECRET.hex())


def leak_in_an_earlier_dvc_output(root: Path) -> None:
    (root / "data" / "prepared" / "earlier.bin").write_bytes(SECRET)
    run(root, "dvc", "commit", "-q", "-f")
    commit(root, "with the leak")
    (root / "data" / "prepared" / "earlier.bin").unlink()


def leak_in_a_dvc_output(root: Path) -> None:
    (root / "data" / "prepared" / "now.bin").write_bytes(b"now" + SECRET)
    run(root, "dvc", "commit", "-q", "-f")
    commit(root, "with another leak")


def leak_in_an_artifact(root: Path) -> None:
    path = root / "mlruns" / "artifacts" / "run" / "artifacts" / "x.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(SECRET)


def leak_in_the_database(root: Path) -> None:
    leak_cut_by_sqlite(root / "mlruns" / "mlflow.db")


def leak_cut_by_sqlite(path: Path) -> None:
    """In a text so long that SQLite cuts the key in two, on different pages."""
    for before in range(2000, 10_000, 32):
        path.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE params (key TEXT, value TEXT)")
            value = "x" * before + SECRET.hex() + "x" * (10_000 - before)
            database.execute("INSERT INTO params VALUES ('p', ?)", (value,))
        if SECRET.hex().encode() not in path.read_bytes():
            return
    pytest.fail("SQLite never cut it")


def leak_in_a_record(root: Path) -> None:
    path = root / ".seglock" / "runs" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"params": {"key": "' + SPELLINGS["base64"] + b'"}}\n')


def leak_in_a_study(root: Path) -> None:
    path = root / ".seglock" / "search" / "tradeoff" / "study.db"
    path.parent.mkdir(parents=True)
    leak_cut_by_sqlite(path)


def leak_in_an_uncommitted_change(root: Path) -> None:
    with (root / "params.yaml").open("ab") as file:
        file.write(b"# " + SPELLINGS["hex"])


def leak_in_the_index(root: Path) -> None:
    (root / "staged.txt").write_bytes(b"staged " + SPELLINGS["hex"])
    run(root, "git", "add", "staged.txt")
    (root / "staged.txt").unlink()


CACHED = r"\.dvc/cache/files/md5/[0-9a-f/]*"
PLACES = {
    leak_in_a_removed_file: "git blob [0-9a-f]* removed.txt",
    leak_on_another_branch: "git blob [0-9a-f]* branch.txt",
    leak_in_a_message: "git commit [0-9a-f]*",
    leak_in_a_tag: "git tag [0-9a-f]* v1",
    leak_in_an_earlier_dvc_output: f"dvc data/prepared/earlier.bin in {CACHED}",
    leak_in_a_dvc_output: f"dvc data/prepared/now.bin in {CACHED}",
    leak_in_an_artifact: "mlruns/artifacts/run/artifacts/x.bin",
    leak_in_the_database: "mlflow.db table params",
    leak_in_a_record: ".seglock/runs/run.json",
    leak_in_a_study: ".seglock/search/tradeoff/study.db table params",
    leak_in_an_uncommitted_change: "params.yaml",
    leak_in_the_index: "git blob [0-9a-f]* staged.txt",
}


PLACES |= {
    leak_in_an_author: "git commit [0-9a-f]*",
    leak_in_a_note: "git blob [0-9a-f]* [0-9a-f]*",
    leak_in_a_stash: "git blob [0-9a-f]* stashed.txt",
    leak_in_a_branchs_name: "git names of refs",
    leak_in_a_files_name_in_history: "git names of files in history",
    leak_in_a_remotes_address: "git names in its configuration",
    leak_in_an_untracked_file: "new folder/key.json",
    leak_in_a_link: "link",
}


def test_a_key_is_found_in_every_place(project: Path) -> None:
    for leak in PLACES:
        leak(project)
    where = {finding.where for finding in found(project)}
    assert [
        n.__name__ for n, w in PLACES.items() if not any(re.fullmatch(w, x) for x in where)
    ] == []
    others = {x for x in where if not any(re.fullmatch(w, x) for w in PLACES.values())}
    assert all(re.match("git (blob|tree|names in the reflogs)", x) for x in others)


def test_a_name_that_is_the_secret_is_not_shown(project: Path) -> None:
    (project / f"{SECRET.hex()}.txt").write_bytes(SECRET)
    (project / SECRET.hex()).mkdir()
    (project / SECRET.hex() / "x.txt").write_text(str([*SECRET]))
    commit(project, "names")
    places = {finding.where for finding in found(project)}  # which holds that none shows it
    assert "a file whose name holds the secret" in places
    assert "git names of files" in places
    assert any(re.fullmatch("git blob [0-9a-f]{12}", place) for place in places)


def test_what_nobody_else_gets_is_no_finding(project: Path) -> None:
    (project / "data" / "mine.txt").write_bytes(SPELLINGS["hex"])
    (project / "data" / "encrypted" / "key.bin").write_bytes(SECRET)  # not cached
    run(project, "dvc", "commit", "-q", "-f")
    commit(project, "private things")
    assert found(project) == []


def test_a_commit_with_a_broken_pipeline_hides_no_other(project: Path) -> None:
    leak_in_an_earlier_dvc_output(project)
    whole = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(whole + "\nstages: 3\n")
    commit(project, "a broken pipeline")
    (project / "dvc.yaml").write_text(whole)
    commit(project, "a mended one")
    report = run_audit(project)
    (finding,) = report.findings
    assert re.fullmatch(f"dvc data/prepared/earlier.bin in {CACHED}", finding.where)
    (*_, skipped) = report.skipped
    assert re.fullmatch(r"dvc: commits whose pipeline DVC cannot read: [0-9a-f]{7}", skipped)


def test_a_broken_pipeline_here_is_an_error(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: 3\n")
    with pytest.raises(SeglockError, match="dvc must be able to read the pipeline"):
        run_audit(project)


def to_8_bits(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    return np.rint(images * (255 / transform("ffx-4").max_value)).astype(np.uint8)


def as_pixels(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(to_8_bits(image).transpose(1, 2, 0))


def sheet(images: np.ndarray) -> bytes:
    """A picture among others in a larger one, off any grid."""
    canvas = np.full((SIDE * 2 + 13, SIDE * 3, 3), 255, np.uint8)
    canvas[7 : 7 + SIDE, 5 : 5 + SIDE] = as_pixels(images[3])
    canvas[9 + SIDE : 9 + 2 * SIDE, 41 : 41 + SIDE] = 77
    return png(canvas)


def normalised(images: np.ndarray) -> np.ndarray:
    top = 255 if images.dtype == np.uint8 else transform("ffx-4").max_value
    mean = np.array(IMAGENET.mean).reshape(3, 1, 1)
    std = np.array(IMAGENET.std).reshape(3, 1, 1)
    return ((images / top - mean) / std).astype(np.float32)


def scaled(images: np.ndarray) -> np.ndarray:
    top = 255 if images.dtype == np.uint8 else transform("ffx-4").max_value
    return (images / top).astype(np.float32)


HTML = b'<img src="data:image/png;base64,%s">'
FORMS: dict[str, Callable[[np.ndarray], bytes]] = {
    "bytes, channel first": lambda a: b"head" + a[2].tobytes(),
    "bytes, channel last": lambda a: b"x" + np.ascontiguousarray(a.transpose(0, 2, 3, 1)).tobytes(),
    "PNG": lambda a: png(as_pixels(a[5])),
    "PNG three times as large": lambda a: png(as_pixels(a[5]).repeat(3, 0).repeat(3, 1)),
    "part of a larger PNG": sheet,
    "PNG in HTML": lambda a: HTML % base64.b64encode(png(as_pixels(a[1]))),
    "npy of int32": lambda a: npy(a[:1].astype(np.int32)),
    "npy in 0..1": lambda a: npy(scaled(a[4:6])),
    "npz": lambda a: npz(a[:4]),
    "npz, channel last": lambda a: npz(np.ascontiguousarray(a[7].transpose(1, 2, 0))),
    "gzip": lambda a: gzip.compress(npy(a)),
    "safetensors, normalised": lambda a: save({"x": normalised(a[:2])}),
    "safetensors, normalised, half": lambda a: save({"x": normalised(a[:2]).astype(np.float16)}),
}


def test_an_encrypted_image_is_found_in_every_form(project: Path) -> None:
    written = set()
    for lock in LOCKS:
        for name, write in FORMS.items() if lock != "baseline" else ():
            if lock == "ffx-4" and "half" in name:
                continue  # 0..999 does not survive float16
            (project / f"{lock} {name}.bin").write_bytes(write(encrypted(project, lock)))
            written.add((f"{lock} {name}.bin", f"lock {lock}, key {KEY.id}"))
    commit(project, "pictures")
    findings = found(project)
    assert {(re.sub("^git blob [0-9a-f]+ ", "", f.where), f.owner) for f in findings} == written
    assert {(f.where, f.owner) for f in findings} >= written


def test_plain_images_and_those_of_other_keys_are_no_finding(project: Path) -> None:
    plain = np.asarray(PreparedData.open(project / "data" / "prepared").test.images)
    sources = {"plain": plain, "negative": 255 - plain}
    for lock in LOCKS:
        if lock != "baseline":
            sources[f"demonstration {lock}"] = encrypted(project, lock, demonstration_key())
            sources[f"other {lock}"] = encrypted(project, lock, OTHER)
    for source, images in sources.items():
        for form, write in FORMS.items():
            (project / f"{source} {form}.bin").write_bytes(write(images))
    commit(project, "pictures that may be shown")
    assert found(project) == []


def test_a_folded_plan_is_said_to_be_in_its_weights(project: Path) -> None:
    (project / "params.yaml").write_text(
        "model: {initial_weights: baseline}\n"
        "locks: {baseline: {steps: []}, folded: {steps: [np-2], fold: only}}\n"
    )
    said = "plan of folded: its weights beside the plain network's give it"
    assert said in run_audit(project).skipped


def test_images_that_the_public_key_gives_as_well_are_not_looked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = compose(["np-1"], demonstration_key())
    keys = (SecretKey.from_bytes(hashlib.sha256(bytes([i])).digest()) for i in range(99))
    twin = next(key for key in keys if compose(["np-1"], key).same_plan(public))
    monkeypatch.setattr("seglock.keys.load_key", lambda name, store: twin)
    (project / "params.yaml").write_text("locks: {baseline: {steps: []}, np-1: {steps: [np-1]}}\n")
    (project / "picture.png").write_bytes(
        png(as_pixels(np.asarray(public.encrypt(encrypted(project, "np-2")))[0]))
    )
    report = run_audit(project)
    assert report.findings == []
    assert "images of np-1: the public demonstration key gives the same" in report.skipped


def test_artifacts_of_a_store_outside_mlruns_are_searched(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, named = tmp_path / "store", tmp_path / "named"
    for folder in (store / "artifacts" / "run", named):
        folder.mkdir(parents=True)
        (folder / "x.bin").write_bytes(SECRET)
    with contextlib.closing(sqlite3.connect(store / "x.db")) as database, database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        for place in (named.as_uri(), "s3://bucket/x"):
            database.execute("INSERT INTO experiments VALUES (?)", (place,))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'x.db'}")
    report = run_audit(project)
    assert {finding.where for finding in report.findings} == {
        str(store / "artifacts" / "run" / "x.bin"), str(named / "x.bin")
    }  # fmt: skip
    assert report.skipped[-1] == "mlflow: s3://bucket/x is not on this machine"


def test_a_secret_that_cannot_be_loaded_is_said_not_passed_over(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "nowhere"))
    report = run_audit(project)
    assert report.keys == []
    assert any(text.startswith("key main") for text in report.skipped)
    assert report.proves_nothing
    from seglock.cli.app import app

    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["audit"])
    assert result.exit_code == 1
    assert result.output.startswith("this project's key main is not at hand, so nothing of it")
    assert (report.searched, "searching" in result.output) == ([], False)


def test_a_project_without_locks_has_nothing_to_leak(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seglock.cli.app import app

    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "nowhere"))
    (project / "params.yaml").write_text("locks: {baseline: {steps: []}}\n")
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["audit"])
    assert result.exit_code == 0, result.output
    assert "no lock has a key" in result.output
    result = CliRunner().invoke(app, ["audit", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["clean"]) == (0, True)


def test_help_says_what_is_looked_for_and_what_cannot_be_found() -> None:
    from seglock.cli.app import app

    text = " ".join(CliRunner().invoke(app, ["audit", "--help"]).output.split())
    assert "Looks through git's history" in text
    assert "Cannot find keys that are not on this machine" in text


def test_a_remote_store_is_said_not_to_be_searched(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:pass@mlflow.example.org")
    assert any("https://mlflow.example.org" in text for text in run_audit(project).skipped)


def test_the_command_exits_1_with_findings_and_0_without(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seglock.cli.app import app

    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["audit"])
    assert result.exit_code == 0, result.output
    assert "nothing found" in result.output
    leak_in_a_record(project)
    result = CliRunner().invoke(app, ["audit"])
    assert result.exit_code == 1
    assert "LEAK .seglock/runs/run.json: key in base64" in result.output
    assert SPELLINGS["base64"].decode()[:40] not in result.output
    result = CliRunner().invoke(app, ["audit", "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["clean"] is False
    (found,) = told["findings"]
    assert found["where"] == ".seglock/runs/run.json"
    assert SPELLINGS["base64"].decode()[:40] not in result.output
