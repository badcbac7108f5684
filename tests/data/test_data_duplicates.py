"""Near-duplicates: copies are found, different pictures are not, on drawn and on real images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolograft.data.duplicates import duplicate_findings, duplicate_groups, matches
from yolograft.data.images import decode_file
from yolograft.data.likeness import alike, looks_of
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.errors import DataError
from yolograft.rng import stream
from yolograft.study.planning.warnings import data_warnings

SETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
real = pytest.mark.skipif(not SETS.is_dir(), reason="the shared datasets folder is not here")


def scene(number: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A smooth ground with hard-edged discs, different for every number."""
    rng = stream("likeness", number)
    ground = rng.integers(40, 215, (5, 6, 3)).astype(np.uint8)
    image = cv2.resize(ground, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        cv2.circle(image, centre, int(rng.integers(8, 40)), rng.integers(20, 235, 3).tolist(), -1)
    return np.asarray(image, np.uint8)


def save(path: Path, image: np.ndarray, quality: int = 92) -> ImageRecord:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    path.write_bytes(cv2.imencode(path.suffix, image, options)[1].tobytes())
    none = np.zeros(0)
    return ImageRecord(
        image_id=path.relative_to(path.parents[1]).as_posix(),
        path=path,
        height=image.shape[0],
        width=image.shape[1],
        boxes=none.reshape(0, 4),
        labels=none.astype(np.int64),
        crowd=none.astype(np.bool_),
        area=none,
        rows=0,
        rows_per_class=(0,),
    )


def dataset(root: Path, **splits: list[ImageRecord]) -> Dataset:
    return Dataset(root, "yolo", ("thing",), {name: tuple(records) for name, records in splits.items()})


def copies(image: np.ndarray) -> Iterator[tuple[str, np.ndarray, int]]:
    h, w = image.shape[:2]
    yield "half", cv2.resize(image, (w // 2, h // 2), interpolation=cv2.INTER_AREA), 92
    yield "coarse", image, 30
    yield "bright", np.clip(image.astype(float) * 1.15 + 10, 0, 255).astype(np.uint8), 92
    yield "mirror", np.ascontiguousarray(image[:, ::-1]), 92
    yield "square", cv2.resize(image, (208, 208), interpolation=cv2.INTER_AREA), 85


def test_every_kind_of_copy_is_found_and_named(tmp_path: Path) -> None:
    root = tmp_path / "训练 数据(1)"
    train = [save(root / "train" / f"图 {n}.jpg", scene(n)) for n in range(6)]
    val = [save(root / "val" / f"{kind}.jpg", copy, q) for kind, copy, q in copies(scene(3))]
    val += [save(root / "val" / f"other{n}.jpg", scene(n)) for n in range(100, 110)]
    found = duplicate_findings(dataset(root, train=train, val=val))
    assert [(f.file, f.code, f.action) for f in found] == [
        (f"val/{kind}.jpg", "YG350", "kept") for kind in ("half", "coarse", "bright", "mirror", "square")
    ]
    assert all("train/图 3.jpg of train" in f.message and f.file in f.message for f in found)
    assert ["mirrored" in f.message for f in found] == [False, False, False, True, False]


def test_equal_bytes_are_said_apart_and_need_no_contrast(tmp_path: Path) -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    train = [save(tmp_path / "train" / "sky.png", plain), save(tmp_path / "train" / "a.png", scene(1))]
    val = [save(tmp_path / "val" / "sky.png", plain), save(tmp_path / "val" / "grey.jpg", plain + 1)]
    found = duplicate_findings(dataset(tmp_path, train=train, val=val))
    assert [f.message for f in found] == ["val/sky.png of val is byte for byte train/sky.png of train"]


def test_plain_and_damaged_images_are_like_no_other(tmp_path: Path) -> None:
    rng = stream("plain")
    blank = [rng.normal(200, 1.0, (96, 96, 3)).astype(np.uint8) for _ in range(4)]
    train = [save(tmp_path / "train" / f"{n}.png", image) for n, image in enumerate(blank[:2])]
    val = [save(tmp_path / "val" / f"{n}.png", image) for n, image in enumerate(blank[2:])]
    files = {"none.png": None, "text.png": b"no image", "empty.png": b""}
    for name, content in files.items():
        if content is not None:
            (tmp_path / "val" / name).write_bytes(content)
        val.append(dataclasses.replace(val[0], path=tmp_path / "val" / name, image_id=f"val/{name}"))
    assert duplicate_findings(dataset(tmp_path, train=train, val=val)) == ()
    assert duplicate_groups(val) == list(range(5))


def test_one_thing_moved_before_a_fixed_camera_is_another_picture() -> None:
    ground = np.asarray(cv2.resize(scene(7), (64, 64), interpolation=cv2.INTER_AREA)[..., 1], np.uint8)
    one, other = ground.copy(), ground.copy()
    cv2.circle(one, (16, 40), 4, 255, -1)
    cv2.circle(other, (48, 20), 4, 255, -1)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9
    assert not alike(one, other)
    noisy = np.clip(one + stream("noise").normal(0, 3, one.shape), 0, 255).astype(np.uint8)
    assert alike(one, one) and alike(one, noisy) and alike(noisy, one)


def test_splits_without_images_or_counterpart(tmp_path: Path) -> None:
    train = [save(tmp_path / "train" / "a.png", scene(1))]
    assert duplicate_findings(dataset(tmp_path, train=train)) == ()
    assert duplicate_findings(dataset(tmp_path, train=train, val=[])) == ()
    assert duplicate_findings(dataset(tmp_path, train=[], val=train)) == ()
    assert duplicate_groups([]) == []


def test_every_pair_of_splits_is_compared_whatever_they_are_called(tmp_path: Path) -> None:
    train = [save(tmp_path / "train" / "a.jpg", scene(1))]
    val = [save(tmp_path / "val" / "b.jpg", scene(2)), save(tmp_path / "val" / "c.jpg", scene(1), 60)]
    test = [save(tmp_path / "test" / "d.jpg", scene(2), 60)]
    found = duplicate_findings(dataset(tmp_path, test=test, val=val, train=train))
    assert [f.message for f in found] == [
        "val/c.jpg of val is nearly the picture train/a.jpg of train",
        "val/b.jpg of val is nearly the picture test/d.jpg of test",
    ]
    # A set without train, as benchmarks come, is compared all the same.
    assert len(duplicate_findings(dataset(tmp_path, val=val, test=test))) == 1
    assert duplicate_findings(dataset(tmp_path, instances=val)) == ()
    assert duplicate_findings(dataset(tmp_path)) == ()
    with pytest.raises(DataError, match="YG304"):
        duplicate_findings(dataset(tmp_path, val=val), a="train")


def test_groups_are_chains_and_the_order_does_not_matter(tmp_path: Path) -> None:
    records = [save(tmp_path / "a" / f"{n}.png", scene(n)) for n in range(4)]
    records += [save(tmp_path / "a" / f"{kind}.jpg", copy, q) for kind, copy, q in copies(scene(2))]
    assert duplicate_groups(records) == [0, 1, 2, 3, 2, 2, 2, 2, 2]
    assert duplicate_groups(records[::-1]) == [0, 0, 0, 0, 0, 5, 0, 7, 8]


def test_more_images_than_a_block(tmp_path: Path) -> None:
    records = shapes(train=150, val=96, size=64).splits["train"]
    looks = looks_of(records)
    found = {(m.query, m.other) for m in matches(looks, looks)}
    assert found == {(index, index) for index in range(150)}
    assert not list(matches(looks, looks, earlier=True))


def test_the_warning_counts_evaluation_images(tmp_path: Path) -> None:
    train = [save(tmp_path / "train" / f"{n}.jpg", scene(n)) for n in range(3)]
    val = [save(tmp_path / "val" / f"{n}.jpg", scene(n), 60) for n in range(2, 7)]
    (said,) = data_warnings(dataset(tmp_path, train=train, val=val), "train", "val")
    assert said.startswith(
        "1 of 5 val images has a near-duplicate in train: the AP flatters every arm. First: "
    )
    assert data_warnings(dataset(tmp_path, train=train, val=val[1:]), "train", "val") == []


@real
@pytest.mark.datasets
def test_real_sets_report_what_is_there_and_nothing_else() -> None:
    bccd = duplicate_findings(open_dataset(SETS / "bccd"))
    # One field of view, focused twice.
    one, other = (f"JPEGImages/BloodImage_000{number}.jpg" for number in (37, 38))
    assert [f.message for f in bccd] == [f"{one} of val is nearly the picture {other} of train"]
    for name in ("aerial_cars", "coco_cc_mini", "deeppcb"):
        assert duplicate_findings(open_dataset(SETS / name)) == ()
    # One tripod: a board set out alike in two pictures is found, 19,256 other pairs are not.
    chess = open_dataset(SETS / "chess")
    held_out = len(chess.split("valid")) + len(chess.split("test"))
    assert 20 <= len(duplicate_findings(chess)) <= held_out // 2


@real
@pytest.mark.datasets
@pytest.mark.parametrize("name", ["bccd", "coco_cc_mini"])
def test_planted_copies_of_real_images_are_found(name: str, tmp_path: Path) -> None:
    train = open_dataset(SETS / name).split("train")[:20]
    queries = [
        save(tmp_path / "val" / f"{n}-{kind}.jpg", copy, quality)
        for n, record in enumerate(train)
        for kind, copy, quality in copies(decode_file(record.path)[..., ::-1])
    ]
    found = {(m.query // 5, m.query % 5, m.other) for m in matches(looks_of(train), looks_of(queries))}
    assert {(n, other) for n, _, other in found} == {(n, n) for n in range(20)}
    assert len(found) >= 0.98 * len(queries)
