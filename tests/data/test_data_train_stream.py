"""Training batches depend on (seed, epoch, step) alone: not on workers, ranks, restarts or hidden state."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from yolograft.data.augment import AugmentConfig
from yolograft.data.loader import Batch, TrainStream
from yolograft.data.records import ImageRecord
from yolograft.errors import DataError
from yolograft.rng import stream


def make_stream(records: list[ImageRecord], **changes: object) -> TrainStream:
    arguments: dict[str, object] = {
        "imgsz": (64, 96),
        "batch": 3,
        "seed": 5,
        "augment": AugmentConfig(),
        "epochs": 2,
    }
    return TrainStream(records, **(arguments | changes))  # pyright: ignore[reportArgumentType]


def assert_equal(a: Batch, b: Batch) -> None:
    assert torch.equal(a.images, b.images) and a.images.stride() == b.images.stride()
    for one, two in zip(a.targets[:3], b.targets[:3], strict=True):
        assert torch.equal(one, two) and one.dtype == two.dtype
    assert a.targets.batch_size == b.targets.batch_size and a.image_ids == b.image_ids


def test_shapes_and_frames(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    assert train.steps_per_epoch == 3
    for epoch, step, batch in train.iterate():
        assert batch.images.shape == (3, 3, 64, 96) and batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        boxes, labels, image, size = batch.targets
        assert boxes.shape == (len(labels), 4) and boxes.dtype == torch.float32
        assert labels.dtype == image.dtype == torch.int64 and size == 3
        assert (boxes[:, 2:] - boxes[:, :2] > 2).all() and (boxes >= 0).all()
        assert (boxes <= torch.tensor([96, 64, 96, 64])).all()
        assert (image.diff() >= 0).all() and (0 <= epoch < 2) and (0 <= step < 3)


def test_an_epoch_shows_every_image_and_wraps(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    ids = [name for step in range(3) for name in train.batch(0, step).image_ids]
    assert len(ids) == 9 and set(ids) == {record.image_id for record in odd_records}
    assert ids[7:] == ids[:2]
    again = [name for step in range(3) for name in train.batch(1, step).image_ids]
    assert again != ids and sorted(again[:7]) == sorted(ids[:7])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(odd_records: list[ImageRecord], workers: int) -> None:
    alone = list(make_stream(odd_records).iterate())
    np.random.seed(workers)
    random.seed(workers)
    torch.manual_seed(workers)
    before = torch.random.get_rng_state()
    helped = list(make_stream(odd_records, workers=workers).iterate())
    assert torch.equal(before, torch.random.get_rng_state())
    assert [(e, s) for e, s, _ in alone] == [(e, s) for e, s, _ in helped] and len(alone) == 6
    for (_, _, a), (_, _, b) in zip(alone, helped, strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_restart_goes_on_where_it_stopped(odd_records: list[ImageRecord], workers: int) -> None:
    whole = list(make_stream(odd_records).iterate())
    np.random.seed(9)
    fresh = make_stream(odd_records, workers=workers, cache="none")
    rest = list(fresh.iterate(start_epoch=0, start_step=2))
    assert [(e, s) for e, s, _ in rest] == [(e, s) for e, s, _ in whole[2:]]
    for (_, _, a), (_, _, b) in zip(whole[2:], rest, strict=True):
        assert_equal(a, b)
    assert list(fresh.iterate(start_epoch=2)) == []


def test_order_of_asking_does_not_matter(odd_records: list[ImageRecord]) -> None:
    one, two = make_stream(odd_records), make_stream(odd_records)
    ahead = [one.batch(epoch, step) for epoch in (0, 1) for step in range(3)]
    back = [two.batch(epoch, step) for epoch in (1, 0) for step in (2, 1, 0)][::-1]
    for a, b in zip(ahead, back, strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_one_batch(odd_records: list[ImageRecord], world: int) -> None:
    train = make_stream(odd_records, batch=5)
    whole = train.batch(1, 1)
    parts = [train.batch(1, 1, rank=rank, world=world) for rank in range(world)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.targets.boxes for part in parts]), whole.targets.boxes)
    assert sum((part.image_ids for part in parts), ()) == whole.image_ids
    starts = np.cumsum([0, *(part.targets.batch_size for part in parts)])
    images = [part.targets.image + int(start) for part, start in zip(parts, starts, strict=False)]
    assert torch.equal(torch.cat(images), whole.targets.image)


def test_seed_epoch_and_close_mosaic_matter(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    assert not torch.equal(train.batch(0, 0).images, make_stream(odd_records, seed=6).batch(0, 0).images)
    closed = make_stream(odd_records, close_mosaic=1)
    assert_equal(train.batch(0, 0), closed.batch(0, 0))
    assert not torch.equal(train.batch(1, 0).images, closed.batch(1, 0).images)
    plain = make_stream(odd_records, augment=AugmentConfig(mosaic=0))
    assert_equal(closed.batch(1, 0), plain.batch(1, 0))


def test_crowd_is_never_a_target(make_record: Callable[..., ImageRecord]) -> None:
    records = [make_record(str(i), (64, 64), [(3, 3, 60, 60)], [2], [True]) for i in range(2)]
    for _, _, batch in make_stream(records).iterate():
        assert batch.targets.boxes.shape == (0, 4) and batch.targets.labels.shape == (0,)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("augment", [AugmentConfig(), AugmentConfig(degrees=10, shear=2, flipud=0.5)])
def test_a_single_image(make_record: Callable[..., ImageRecord], batch: int, augment: AugmentConfig) -> None:
    record = make_record("only", (37, 53), [(5, 5, 45, 30)])
    train = make_stream([record], batch=batch, imgsz=(33, 47), augment=augment)
    assert train.steps_per_epoch == 1
    made = train.batch(1, 0)
    assert made.images.shape == (batch, 3, 33, 47) and made.image_ids == ("only.png",) * batch


def test_images_without_boxes(make_record: Callable[..., ImageRecord]) -> None:
    train = make_stream([make_record(str(i), (20, 30)) for i in range(3)])
    batch = train.batch(0, 0)
    assert batch.targets.boxes.shape == (0, 4) and batch.targets.batch_size == 3


def test_batches_are_not_tied_to_the_cache(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    first = train.batch(0, 0)
    kept = first.images.clone()
    first.images.zero_()
    assert torch.equal(train.batch(0, 0).images, kept)


def test_a_stream_travels_without_its_pixels(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    small = len(pickle.dumps(train))
    batch = train.batch(0, 0)
    filled = pickle.dumps(train)
    assert len(filled) < small + 5_000
    assert_equal(pickle.loads(filled).batch(0, 0), batch)


def test_refusals(odd_records: list[ImageRecord]) -> None:
    with pytest.raises(DataError, match="YG334"):
        make_stream([])
    with pytest.raises(DataError, match="YG334"):
        make_stream(odd_records, batch=0)
    train = make_stream(odd_records)
    for epoch, step, rank, world in ((2, 0, 0, 1), (0, 3, 0, 1), (0, 0, 2, 2), (0, 0, 0, 4)):
        with pytest.raises(DataError, match="YG335"):
            train.batch(epoch, step, rank=rank, world=world)


def test_a_changed_file_is_noticed(odd_records: list[ImageRecord]) -> None:
    record = odd_records[0]
    image = stream("x").integers(0, 255, (10, 10, 3)).astype(np.uint8)
    record.path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    with pytest.raises(DataError, match="YG333"):
        list(make_stream(odd_records).iterate())
    record.path.write_bytes(b"broken")
    with pytest.raises(DataError, match=record.image_id):
        list(make_stream(odd_records).iterate())
