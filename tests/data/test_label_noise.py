"""Planted label noise: stated shares, the same boxes every time, and an evaluation split nobody touched."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_noise import Noise, disturbed, plant  # pyright: ignore[reportMissingImports]
from yolograft.data.convert import convert
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.source import open_dataset
from yolograft.errors import DataError

NAMES = ("disc", "square", "triangle")
BCCD = Path(__file__).resolve().parents[2].parent / "shared/datasets/bccd"


def record(name: str, size: tuple[int, int], boxes: int, *, crowd: int = 0) -> ImageRecord:
    """A record of boxes inside an image of (height, width); the first ``crowd`` are ignore regions."""
    height, width = size
    rng = np.random.default_rng(len(name) + 31 * boxes)
    low = rng.uniform(0, 0.5, (boxes, 2)) * (width, height)
    xyxy = np.concatenate([low, low + rng.uniform(0.1, 0.5, (boxes, 2)) * (width, height)], axis=1)
    labels = np.arange(boxes, dtype=np.int64) % len(NAMES)
    marks = np.arange(boxes) < crowd
    area = 0.7 * (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    per_class = tuple(np.bincount(labels, minlength=len(NAMES)).tolist())
    return ImageRecord(name, Path(name), height, width, xyxy, labels, marks, area, boxes, per_class)


RECORDS = [
    record("train/a.png", (33, 71), 9),
    record("train/empty.png", (48, 64), 0),
    record("train/crowd.png", (101, 37), 4, crowd=4),
    record("train/b.png", (90, 160), 12, crowd=2),
    record("train/one.png", (17, 19), 1),
]
USABLE = 9 + 10 + 1


def alike(one: ImageRecord, other: ImageRecord) -> bool:
    fields = ("boxes", "labels", "crowd", "area")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in fields)


@given(st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.3), st.integers(0, 5))
def test_as_many_boxes_are_hit_as_was_said(drop: float, relabel: float, shift: float, seed: int) -> None:
    noisy, counts = disturbed(RECORDS, Noise(drop, relabel, shift, seed=seed), classes=3)
    assert sum(counts.values()) == USABLE
    for word, share in (("drop", drop), ("relabel", relabel), ("shift", shift)):
        assert abs(counts[word] - share * USABLE) <= 1
    kept = changed = moved = 0
    for before, after in zip(RECORDS, noisy, strict=True):
        assert np.array_equal(before.boxes[before.crowd], after.boxes[after.crowd])
        assert after.rows == len(after.boxes) == sum(after.rows_per_class)
        kept += int((~after.crowd).sum())
        if not drop:
            changed += int((before.labels != after.labels).sum())
            moved += int((before.boxes != after.boxes).any(axis=1).sum())
        size = np.tile((after.width, after.height), 2)
        assert (after.boxes >= 0).all() and (after.boxes <= size).all()
        assert ((after.boxes[:, 2:] - after.boxes[:, :2]) > 0).all()
        assert set(after.labels.tolist()) <= {0, 1, 2}
    assert kept == USABLE - counts["drop"]
    if not drop:
        assert (changed, moved) == (counts["relabel"], counts["shift"])


def test_the_same_seed_hits_the_same_boxes_and_a_larger_share_those_and_more() -> None:
    def hit(shift: float, seed: int = 0) -> set[tuple[str, int]]:
        noisy, _ = disturbed(RECORDS, Noise(shift=shift, seed=seed), classes=3)
        return {
            (before.image_id, int(row))
            for before, after in zip(RECORDS, noisy, strict=True)
            for row in np.flatnonzero((before.boxes != after.boxes).any(axis=1))
        }

    assert hit(0.2) == hit(0.2) and len(hit(0.2)) == 4
    assert hit(0.2) < hit(0.5) < hit(1.0)
    assert hit(0.5, seed=1) != hit(0.5)


def test_a_box_moves_by_the_stated_part_of_its_sides_and_its_area_with_it() -> None:
    middle = dataclasses.replace(RECORDS[0], boxes=RECORDS[0].boxes / 4 + 20, height=101, width=103)
    (after,), _ = disturbed([middle], Noise(shift=1.0, by=0.3), classes=3)
    sides = middle.boxes[:, 2:] - middle.boxes[:, :2]
    way = (after.boxes - middle.boxes) / np.tile(sides, 2)
    assert np.allclose(np.hypot(way[:, 0], way[:, 1]), 0.3) and np.allclose(way[:, :2], way[:, 2:])
    assert np.allclose(after.area, middle.area) and np.array_equal(after.labels, middle.labels)


def test_no_noise_changes_no_bit_and_no_image_is_no_fault() -> None:
    same, counts = disturbed(RECORDS, Noise(), classes=3)
    assert all(map(alike, RECORDS, same)) and counts["keep"] == USABLE
    assert disturbed([], Noise(drop=0.5), classes=3)[0] == []


def test_what_cannot_be_meant_is_refused() -> None:
    for shares in ((-0.1, 0, 0), (0.5, 0.4, 0.2), (float("nan"), 0, 0)):
        with pytest.raises(ValueError, match="shares"):
            Noise(*shares)
    with pytest.raises(ValueError, match="by"):
        Noise(shift=0.1, by=0)
    with pytest.raises(ValueError, match="one class"):
        disturbed(RECORDS[:1], Noise(relabel=0.1), classes=1)


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_only_train_differs_in_the_copy_and_the_dataset_is_as_it_was(tmp_path: Path, form: str) -> None:
    clean = tmp_path / "clean"
    convert(on_disk(tmp_path / "raw"), to=form, out=clean, images="copy")
    before = contents(clean)
    told = plant(clean, tmp_path / "noisy", Noise(drop=0.25, shift=0.25))
    assert contents(clean) == before
    assert told["same ground truth"] == {"val": True} and told["boxes"]["drop"] == 3
    one, other = open_dataset(clean), open_dataset(tmp_path / "noisy")
    assert one.fingerprint("val") == other.fingerprint("val") and one.names == other.names
    assert one.fingerprint("train") != other.fingerprint("train")
    boxes = [sum(len(r.boxes) for r in data.split("train")) for data in (one, other)]
    assert boxes[0] - boxes[1] == 3
    with pytest.raises(DataError, match="YG353"):
        plant(clean, clean / "inside", Noise(drop=0.25))
    again = plant(clean, tmp_path / "again", Noise(drop=0.25, shift=0.25))
    assert again == told and contents(tmp_path / "again") == contents(tmp_path / "noisy")


def on_disk(folder: Path) -> Dataset:
    """Two training images with boxes, one without, and one to evaluate on, of odd sizes."""
    folder.mkdir()

    def written(name: str, size: tuple[int, int], boxes: int) -> ImageRecord:
        path = folder / name
        image = np.full((*size, 3), 7 * boxes, np.uint8)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        return dataclasses.replace(record(name, size, boxes), path=path)

    train = (written("a.png", (33, 71), 9), written("none.png", (17, 19), 0), written("b.png", (64, 65), 3))
    return Dataset(folder, "coco", NAMES, {"train": train, "val": (written("v.png", (101, 37), 5),)})


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.datasets
@pytest.mark.skipif(not BCCD.is_dir(), reason="the dataset is not there")
def test_runs_on_bccd_and_on_its_noisy_copy_are_judged_on_one_split(tmp_path: Path) -> None:
    told = plant(BCCD, tmp_path / "noisy", Noise(shift=0.2))
    assert told["same ground truth"] == {"val": True, "test": True}
    assert told["boxes"]["shift"] == 561
