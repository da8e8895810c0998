from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.access_control import CPU, CUDA, QUICK, main
from benchmarks.access_control_case import make_split
from benchmarks.access_control_loop import encrypt, open_loader, write_images
from seglock.keys import demonstration_key, derive_permutation
from seglock.transforms import compose


def test_the_quick_run_compares_ours_with_the_loop_and_the_limit(tmp_path: Path) -> None:
    main(["--quick", "--out", str(tmp_path)])

    (path,) = tmp_path.iterdir()
    rows = json.loads(path.read_text())["rows"]
    speeds = [row for row in rows if row["unit"] == "images/s"]
    assert path.name.startswith("access_control-")
    assert len(speeds) == len(QUICK[0].keys)
    assert all(row["ratio"] > 0 and row["share_of_limit"] > 0 for row in speeds)
    flat = [row for row in rows if row["reference"] == "2 keys"]
    assert [row["unit"] for row in flat] == ["ms", "MB"]
    assert all(row["value"] > 0 for row in rows)


@pytest.mark.parametrize("block", [2, 16])
def test_the_loop_encrypts_as_the_transforms_do(block: int) -> None:
    key, images = demonstration_key(), torch.randint(0, 256, (2, 3, 32, 16), dtype=torch.uint8)
    size = 3 * block * block
    permutation = torch.from_numpy(
        derive_permutation(key, f"plan/order/0/shf-{block}-{size}", size)
    )

    theirs = encrypt(images, permutation, block)

    assert torch.equal(theirs, compose([f"shf-{block}"], key).encrypt(images).float())


def test_the_loop_reads_back_what_was_written(tmp_path: Path) -> None:
    split = make_split({"images": 3, "side": 16, "classes": 4})
    write_images(tmp_path, split.images, split.masks)

    read = [*open_loader(tmp_path, 2, workers=0)]

    assert torch.equal(torch.cat([images for images, _ in read]), torch.from_numpy(split.images))
    masks = torch.cat([masks for _, masks in read])
    assert torch.equal(masks, torch.from_numpy(split.masks).long())


def test_every_case_has_blocks_that_divide_its_images() -> None:
    for case in (*QUICK, *CPU, *CUDA):
        assert case.side % case.block == 0
        assert case.keys == tuple(sorted(case.keys))
