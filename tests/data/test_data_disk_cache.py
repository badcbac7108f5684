"""Images kept on disk are the decoded ones, bit for bit, whatever happened to the file meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yolograft.data import diskcache
from yolograft.data.augment import AugmentConfig
from yolograft.data.diskcache import DiskCache
from yolograft.data.eval_stream import EvalStream
from yolograft.data.loader import TrainStream
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.errors import DataError

MakeRecord = Callable[..., ImageRecord]


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the dataset of the records."""
    return tmp_path_factory.mktemp("cache") / "图像 cache(1)"


def filled(records: list[ImageRecord], folder: Path, size: tuple[int, int] = (64, 96)) -> ImageStore:
    store = ImageStore(records, imgsz=size, cache="disk", cache_dir=folder)
    assert_plain(store)
    return store


def assert_plain(store: ImageStore) -> None:
    plain = ImageStore(store.records, imgsz=store.imgsz, cache="none")
    for index in range(len(plain)):
        assert store[index].scale == plain[index].scale
        np.testing.assert_array_equal(store[index].image, plain[index].image)


def without_files(records: list[ImageRecord]) -> contextlib.ExitStack:
    """While it lasts decoding is impossible: what is still served comes from the cache."""
    stack = contextlib.ExitStack()
    for record in records:
        content, status = record.path.read_bytes(), record.path.stat()
        record.path.write_bytes(b"x" * len(content))
        os.utime(record.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        stack.callback(os.utime, record.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        stack.callback(record.path.write_bytes, content)
    return stack


def served(store: ImageStore) -> int:
    count = 0
    for index in range(len(store)):
        with contextlib.suppress(DataError):
            count += store[index].image.size > 0
    return count


def test_a_second_run_decodes_nothing(odd_records: list[ImageRecord], outside: Path) -> None:
    first = filled(odd_records, outside)
    expected = [first[index].image.copy() for index in range(7)]
    assert len(list(outside.iterdir())) == 1
    with without_files(odd_records):
        again = ImageStore(odd_records, imgsz=(64, 96), cache="disk", cache_dir=outside)
        for index, image in enumerate(expected):
            np.testing.assert_array_equal(again[index].image, image)
            assert not again[index].image.flags.writeable
        assert again.note == ""
        assert served(ImageStore(odd_records, imgsz=(64, 64), cache="disk", cache_dir=outside)) == 0
    # Another size has a file of its own and leaves the first alone.
    assert len(list(outside.iterdir())) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_other_caches(
    odd_records: list[ImageRecord], outside: Path, workers: int
) -> None:
    def batches(cache: str, workers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        train = TrainStream(
            odd_records,
            imgsz=(64, 96),
            batch=3,
            seed=1,
            augment=AugmentConfig(mixup=0.3),
            epochs=2,
            cache=cache,
            cache_dir=outside,
            workers=workers,
            multi_scale=0.5,
            class_balance=0.5,
        )
        return [(batch.images, batch.targets.boxes) for _, _, batch in train.iterate()]

    expected = batches("none", 0)
    # The first run fills the file, the second reads it.
    for cache in ("ram", "disk", "disk"):
        for one, two in zip(expected, batches(cache, workers), strict=True):
            assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


def test_evaluation_batches_are_those_of_other_caches(odd_records: list[ImageRecord], outside: Path) -> None:
    plain = list(EvalStream(odd_records, imgsz=(96, 128), batch=2, cache="none"))
    for _ in range(2):
        kept = EvalStream(odd_records, imgsz=(96, 128), batch=2, cache="disk", cache_dir=outside)
        for a, b in zip(plain, kept, strict=True):
            assert a.indices == b.indices and torch.equal(a.images, b.images)
    assert EvalStream([], imgsz=(64, 64), batch=1, cache="disk", cache_dir=outside).store.note == ""


def test_a_changed_image_is_decoded_again(make_record: MakeRecord, outside: Path) -> None:
    records = [make_record("one"), make_record("two")]
    filled(records, outside, (48, 64))
    before = records[0].path.stat()
    content = cv2.imencode(".png", np.full((48, 64, 3), 9, np.uint8))[1].tobytes()
    records[0].path.write_bytes(content.ljust(before.st_size, b"\0"))
    os.utime(records[0].path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert (filled(records, outside, (48, 64))[0].image == 9).all()


def test_an_image_changed_while_a_run_fills_the_file_is_not_kept(
    make_record: MakeRecord, outside: Path
) -> None:
    record = make_record("one")
    content, before = record.path.read_bytes(), record.path.stat()
    running = ImageStore([record], imgsz=(48, 64), cache="disk", cache_dir=outside)
    record.path.write_bytes(cv2.imencode(".png", np.full((48, 64, 3), 9, np.uint8))[1].tobytes())
    assert (running[0].image == 9).all()
    record.path.write_bytes(content)
    os.utime(record.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not (filled([record], outside, (48, 64))[0].image == 9).all()


def test_another_decoder_has_another_file(
    make_record: MakeRecord, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_record("one")]
    one = DiskCache(records, imgsz=(48, 64), folder=outside).file
    assert one == DiskCache(records, imgsz=(48, 64), folder=outside).file
    monkeypatch.setattr(diskcache, "DECODER_VERSION", -1)
    assert one != DiskCache(records, imgsz=(48, 64), folder=outside).file


@pytest.mark.parametrize("damage", ["pixel", "index", "short", "long", "empty", "noise"])
def test_a_damaged_file_is_made_whole(odd_records: list[ImageRecord], outside: Path, damage: str) -> None:
    filled(odd_records, outside)
    (file,) = outside.iterdir()
    content = bytearray(file.read_bytes())
    whole = bytes(content)
    if damage == "pixel":
        content[-5] ^= 1
    elif damage == "index":
        content[1] ^= 1
    elif damage == "noise":
        content = bytearray(np.random.default_rng(0).bytes(len(content)))
    ends = {"short": content[:-100], "long": content + b"tail", "empty": bytearray()}
    file.write_bytes(ends.get(damage, content))
    filled(odd_records, outside)
    assert file.read_bytes() == whole
    with without_files(odd_records):
        assert served(ImageStore(odd_records, imgsz=(64, 96), cache="disk", cache_dir=outside)) == 7


def test_a_half_filled_file_is_filled_up(odd_records: list[ImageRecord], outside: Path) -> None:
    first = ImageStore(odd_records, imgsz=(64, 96), cache="disk", cache_dir=outside)
    assert first[2].image.size and first[5].image.size
    with without_files(odd_records):
        second = ImageStore(odd_records, imgsz=(64, 96), cache="disk", cache_dir=outside)
        assert served(second) == 2
    assert_plain(second)
    # What one process wrote the other sees without opening the file again.
    with without_files(odd_records):
        assert served(first) == 7


def test_a_store_travels_to_a_spawned_worker(odd_records: list[ImageRecord], outside: Path) -> None:
    store = filled(odd_records, outside)
    sent = pickle.dumps(store)
    assert len(sent) < 20_000
    with without_files(odd_records):
        assert served(pickle.loads(sent)) == 7


def test_more_than_half_of_the_free_disk_is_never_taken(
    odd_records: list[ImageRecord], outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = filled(odd_records, outside)._disk.file.stat().st_size  # pyright: ignore
    (file,) = outside.iterdir()
    monkeypatch.setattr(diskcache, "free_disk_bytes", lambda folder: 2 * total - 2)
    # The file is there already: nothing is missing, so nothing is refused.
    assert filled(odd_records, outside).note == ""
    file.unlink()
    store = filled(odd_records, outside)
    assert "half of the free space" in store.note and len(store.note) < 240 and not file.exists()
    monkeypatch.setattr(diskcache, "free_disk_bytes", lambda folder: 2 * total)
    assert filled(odd_records, outside).note == "" and file.exists()


def test_a_folder_that_cannot_be_made_costs_time_only(odd_records: list[ImageRecord], outside: Path) -> None:
    outside.write_text("a file", encoding="utf-8")
    assert str(outside) in filled(odd_records, outside).note


def test_a_file_that_vanishes_costs_time_only(odd_records: list[ImageRecord], outside: Path) -> None:
    store = ImageStore(odd_records, imgsz=(64, 96), cache="disk", cache_dir=outside)
    (file,) = outside.iterdir()
    file.unlink()
    assert_plain(store)
    assert store.note and not file.exists()


def test_the_dataset_folder_is_never_written_to(make_record: MakeRecord, tmp_path: Path) -> None:
    records = [make_record("one")]
    before = sorted(tmp_path.rglob("*"))
    for inside in (tmp_path, tmp_path / "cache", tmp_path / "x" / ".." / "y"):
        with pytest.raises(DataError, match="YG356"):
            ImageStore(records, imgsz=(48, 64), cache="disk", cache_dir=inside)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_on_the_way_to_the_images_leads_into_the_dataset(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    real = tmp_path / "disk two"
    (real / "day").mkdir(parents=True)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images").symlink_to(real, target_is_directory=True)
    plain = make_record("one")
    path = plain.path.rename(real / "day" / "one.png")
    linked = dataclasses.replace(
        plain, image_id="images/day/one.png", path=tmp_path / "set/images/day/one.png"
    )
    assert linked.path.samefile(path)
    for inside in (real, real / "day" / "cache", tmp_path / "set" / "cache"):
        with pytest.raises(DataError, match="YG356"):
            ImageStore([linked], imgsz=(48, 64), cache="disk", cache_dir=inside)
    assert ImageStore([linked], imgsz=(48, 64), cache="disk", cache_dir=tmp_path / "cache").note == ""


def test_the_default_folder_is_the_users_cache(
    make_record: MakeRecord, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(outside))
    store = ImageStore([make_record("one")], imgsz=(48, 64), cache="disk")
    assert_plain(store)
    assert [path.suffix for path in (outside / "images").iterdir()] == [".pixels"] and store.note == ""


def test_a_missing_image_is_named_when_asked_for(make_record: MakeRecord, outside: Path) -> None:
    records = [make_record("here"), make_record("gone")]
    records[1].path.unlink()
    store = ImageStore(records, imgsz=(48, 64), cache="disk", cache_dir=outside)
    assert store[0].image.size
    with pytest.raises(DataError, match=r"YG330.*gone\.png"):
        _ = store[1]
