"""Stage ``key``: data/keys follows the locks, and no record is ever written over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seglock.config import Params, check_params
from seglock.errors import KeyRefusedError
from seglock.keys import KeyStore
from seglock.stages.key import publish_keys


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys"


def params(*, create_missing: bool = True, **locks: dict[str, object]) -> Params:
    locks = {"baseline": {"steps": []}} | {name.replace("_", "-"): v for name, v in locks.items()}
    return check_params({"keys": {"create_missing": create_missing}, "locks": locks})


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


SHF = {"steps": ["shf-4"]}
OTHER = {"steps": ["np-4"], "key": "other"}


def test_writes_a_record_per_key_and_a_file_per_lock(store: KeyStore, folder: Path) -> None:
    published = publish_keys(params(shf_4=SHF, shf_again=SHF, np_4=OTHER), folder, store)
    assert published.created == ("main", "other")
    assert {name: r.id for name, r in published.records.items()} == {
        name: store.load(name).id for name in ("main", "other")
    }
    written = tree(folder)
    assert written["main.json"] == store.record_bytes("main")
    assert written["other.json"] == store.record_bytes("other")
    notes = {k: json.loads(v) for k, v in written.items() if k.startswith("locks/")}
    main = {"key": "main", "id": store.record("main").id, "derivation": 2}
    assert notes == {
        "locks/baseline.json": {"key": None},
        "locks/shf-4.json": main,
        "locks/shf-again.json": main,
        "locks/np-4.json": {"key": "other", "id": store.record("other").id, "derivation": 2},
    }


def test_a_second_run_changes_nothing(store: KeyStore, folder: Path) -> None:
    publish_keys(params(shf_4=SHF), folder, store)
    before = tree(folder)
    assert publish_keys(params(shf_4=SHF), folder, store).created == ()
    assert tree(folder) == before


def test_the_file_of_a_removed_lock_goes_its_key_s_record_stays(store, folder: Path) -> None:
    publish_keys(params(shf_4=SHF, np_4=OTHER), folder, store)
    publish_keys(params(shf_4=SHF), folder, store)
    assert set(tree(folder)) == {
        "main.json",
        "other.json",
        "locks/baseline.json",
        "locks/shf-4.json",
    }


def test_another_key_changes_only_its_lock_s_file(store: KeyStore, folder: Path) -> None:
    publish_keys(params(shf_4=SHF, np_4={"steps": ["np-4"]}), folder, store)
    before = tree(folder)
    publish_keys(params(shf_4=SHF, np_4=OTHER), folder, store)
    after = tree(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"other.json", "locks/np-4.json"}


def test_the_baseline_alone_needs_no_key(store: KeyStore, folder: Path) -> None:
    assert publish_keys(params(), folder, store).records == {}
    assert store.names() == []
    assert set(tree(folder)) == {"locks/baseline.json"}


def test_no_key_is_made_where_params_forbid_it(store: KeyStore, folder: Path) -> None:
    with pytest.raises(KeyRefusedError, match="seglock key new main"):
        publish_keys(params(create_missing=False, shf_4=SHF), folder, store)
    assert store.names() == []


def test_someone_without_the_secret_is_told_the_id(store, folder: Path, tmp_path: Path) -> None:
    publish_keys(params(shf_4=SHF), folder, store)
    before = tree(folder)
    elsewhere = KeyStore(tmp_path / "elsewhere")
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {store.record('main').id}"):
        publish_keys(params(shf_4=SHF), folder, elsewhere)
    assert elsewhere.names() == []
    assert tree(folder) == before


@pytest.mark.parametrize("place", ["", "locks"])
def test_nothing_behind_a_link_is_written_or_deleted(
    store: KeyStore, folder: Path, tmp_path: Path, place: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "package.json").write_text('{"key": null}')
    folder.parent.mkdir(parents=True, exist_ok=True)
    if place:
        folder.mkdir()
    (folder / place).symlink_to(mine)
    with pytest.raises(KeyRefusedError, match="must be a folder of the project, got a link"):
        publish_keys(params(shf_4=SHF), folder, store)
    assert [path.name for path in mine.iterdir()] == ["package.json"]


def test_a_linked_file_is_replaced_and_only_files_of_its_own_go(
    store: KeyStore, folder: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text('{"key": null}')
    (folder / "locks").mkdir(parents=True)
    for name in ("baseline", "gone"):
        (folder / "locks" / f"{name}.json").symlink_to(mine)
    (folder / "locks" / "notes.json").write_text('{"mine": 1}')
    (folder / "locks" / "old.json").write_text('{"key": null}')
    (folder / "main.json").symlink_to(tmp_path / "nowhere")
    publish_keys(params(shf_4=SHF), folder, store)
    assert mine.read_text() == '{"key": null}'
    assert not (folder / "locks" / "baseline.json").is_symlink()
    assert not (folder / "main.json").is_symlink()
    assert not (tmp_path / "nowhere").exists()
    left = {path.name for path in (folder / "locks").iterdir()}
    assert {"baseline.json", "gone.json", "notes.json"} <= left
    assert "old.json" not in left


def test_a_record_that_leads_out_of_the_project_is_refused(store, folder: Path) -> None:
    store.new("main")
    folder.mkdir(parents=True)
    (folder / "main.json").symlink_to(store.path("main") / "record.json")
    with pytest.raises(KeyRefusedError, match="a link that leads elsewhere"):
        publish_keys(params(shf_4=SHF), folder, store)
