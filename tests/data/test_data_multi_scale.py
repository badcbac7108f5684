"""Batches of changing size: a function of (seed, epoch, step), with boxes where their pixels are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yolograft.data.augment import AugmentConfig, training_sample
from yolograft.data.eval_stream import EvalStream
from yolograft.data.images import PAD_VALUE
from yolograft.data.loader import TrainStream
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.errors import DataError
from yolograft.rng import stream

COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], np.uint8)
PALETTE = np.concatenate([COLOURS, np.array([(0, 0, 0), (PAD_VALUE,) * 3], np.uint8)]).astype(np.float32)


def make_stream(records: list[ImageRecord], **changes: object) -> TrainStream:
    arguments: dict[str, object] = {
        "imgsz": (64, 96),
        "batch": 3,
        "seed": 5,
        "augment": AugmentConfig(),
        "epochs": 4,
        "multi_scale": 0.5,
    }
    return TrainStream(records, **(arguments | changes))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    """Black images of odd sizes; image k has one box, all of it in colour k."""
    folder, records = tmp_path_factory.mktemp("painted"), []
    kinds = [((96, 128), (20, 10, 90, 70)), ((96, 60), (5, 40, 50, 90)), ((41, 128), (30, 3, 110, 35))]
    kinds.append(((96, 128), (64, 48, 127, 95)))
    for number, (size, box) in enumerate(kinds):
        image = np.zeros((*size, 3), np.uint8)
        image[box[1] : box[3], box[0] : box[2]] = COLOURS[number]
        path = Path(folder) / f"{number}.png"
        path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
        xyxy = np.array([box], np.float64)
        records.append(
            ImageRecord(
                image_id=path.name,
                path=path,
                height=size[0],
                width=size[1],
                boxes=xyxy,
                labels=np.array([number]),
                crowd=np.zeros(1, np.bool_),
                area=np.ones(1),
                rows=1,
                rows_per_class=(1,),
            )
        )
    return records


def colours_of(image: np.ndarray) -> np.ndarray:
    """Per pixel the number of the nearest colour of the palette, [H, W]."""
    return np.linalg.norm(image[..., None, :].astype(np.float32) - PALETTE, axis=-1).argmin(axis=-1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    index=st.integers(0, 3),
    out_size=st.sampled_from([(32, 32), (64, 96), (96, 128), (128, 160), (160, 192), (97, 61)]),
)
def test_a_painted_box_follows_its_pixels_at_any_size(
    painted: list[ImageRecord], seed: int, index: int, out_size: tuple[int, int]
) -> None:
    config = AugmentConfig(mosaic=0, hsv_h=0, hsv_s=0, hsv_v=0, flipud=0.5)
    out = np.empty((*out_size, 3), np.uint8)
    store = ImageStore(painted, imgsz=(96, 128))
    boxes, _ = training_sample(
        store, index, config=config, rng=stream(seed), mixing=True, pool=np.arange(4), out=out
    )
    ys, xs = np.nonzero(colours_of(out) == index)
    if len(boxes):
        seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(boxes[0], seen, atol=1.5)
    else:
        # Only what is too small to learn loses its box.
        assert not len(xs) or min(np.ptp(xs), np.ptp(ys)) < 4


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), out_size=st.sampled_from([(64, 64), (96, 128), (160, 192)]))
def test_every_box_of_a_mosaic_holds_its_colour(
    painted: list[ImageRecord], seed: int, out_size: tuple[int, int]
) -> None:
    config = AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0)
    out = np.empty((*out_size, 3), np.uint8)
    store = ImageStore(painted, imgsz=(96, 128))
    boxes, labels = training_sample(
        store, 0, config=config, rng=stream(seed), mixing=True, pool=np.arange(4), out=out
    )
    seen = colours_of(out)
    outside = seen.copy()
    for box, label in zip(boxes, labels, strict=True):
        low, high = np.ceil(box[:2] + 1.5).astype(int), np.floor(box[2:] - 1.5).astype(int)
        assert (seen[low[1] : high[1], low[0] : high[0]] == label).all()
        low, high = np.floor(box[:2] - 1.5).astype(int).clip(0), np.ceil(box[2:] + 1.5).astype(int)
        outside[low[1] : high[1], low[0] : high[0]] = len(PALETTE)
    # What is left outside boxes: objects of which a tenth or two pixels' width is seen at most.
    gain = 1.5 * min(out_size[0] / 96, out_size[1] / 128)
    sides = np.array([record.boxes[0, 2:] - record.boxes[0, :2] for record in painted]) * gain + 2
    largest = max(0.1 * sides.prod(axis=1).max(), 3 * sides.max())
    assert (outside < len(COLOURS)).sum() <= (4 - len(boxes)) * largest


def test_without_shift_and_gain_the_whole_letterbox_is_shown(painted: list[ImageRecord]) -> None:
    """Twice the size, nothing else varied: pixels and boxes are those of a plain resize by two."""
    still = AugmentConfig(mosaic=0, translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0)
    store = ImageStore(painted, imgsz=(96, 128))
    out = np.empty((192, 256, 3), np.uint8)
    boxes, _ = training_sample(store, 0, config=still, rng=stream(0), mixing=True, pool=np.arange(4), out=out)
    np.testing.assert_array_equal(boxes, painted[0].boxes * 2)
    np.testing.assert_array_equal(out, cv2.resize(store[0].image, (256, 192), interpolation=cv2.INTER_LINEAR))


def test_sizes_are_multiples_of_32_and_cover_the_range(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records, imgsz=(320, 320), epochs=60)
    sizes = [train.size(epoch, step) for epoch in range(60) for step in range(train.steps_per_epoch)]
    assert all(height == width and height % 32 == 0 for height, width in sizes)
    assert {height for height, _ in sizes} == set(range(160, 481, 32))
    wide = make_stream(odd_records, imgsz=(320, 640), epochs=60)
    ratios = [w / h for h, w in (wide.size(epoch, 0) for epoch in range(60))]
    assert 1.7 < min(ratios) <= max(ratios) < 2.3
    small = make_stream(odd_records, imgsz=(32, 64), multi_scale=0.9)
    assert min(min(small.size(epoch, step)) for epoch in range(4) for step in range(3)) == 32


def test_a_size_depends_on_seed_epoch_and_step_alone(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records)
    again = make_stream(odd_records, cache="none", augment=AugmentConfig(mosaic=0), class_balance=1.0)
    places = [(epoch, step) for epoch in range(4) for step in range(3)]
    sizes = [train.size(*place) for place in places]
    assert sizes == [again.size(*place) for place in reversed(places)][::-1] and len(set(sizes)) > 2
    assert sizes != [make_stream(odd_records, seed=6).size(*place) for place in places]
    for place, size in zip(places, sizes, strict=True):
        assert tuple(train.batch(*place).images.shape[2:]) == size


def test_ranks_workers_and_restarts_see_one_size(odd_records: list[ImageRecord]) -> None:
    train = make_stream(odd_records, epochs=2, augment=AugmentConfig(mixup=0.5))
    whole = list(train.iterate())
    parts = [train.batch(0, 1, rank=rank, world=3) for rank in range(3)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole[1][2].images)
    helped = make_stream(odd_records, epochs=2, augment=AugmentConfig(mixup=0.5), workers=2)
    for (_, _, a), (_, _, b) in zip(whole[1:], helped.iterate(start_step=1), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.targets.boxes, b.targets.boxes)
        assert b.images.is_contiguous(memory_format=torch.channels_last)


def test_boxes_lie_inside_batches_of_any_size(odd_records: list[ImageRecord]) -> None:
    for _, _, batch in make_stream(odd_records, augment=AugmentConfig(degrees=10, shear=3)).iterate():
        boxes, (height, width) = batch.targets.boxes, batch.images.shape[2:]
        assert (boxes >= 0).all() and (boxes <= torch.tensor([width, height, width, height])).all()


def test_zero_is_the_plain_stream_and_evaluation_keeps_its_size(odd_records: list[ImageRecord]) -> None:
    # No multiple of 32: without multi-scale any size stands as it is.
    train = make_stream(odd_records, multi_scale=0.0, imgsz=(33, 47))
    assert {train.size(epoch, step) for epoch in range(4) for step in range(3)} == {(33, 47)}
    assert train.batch(0, 0).images.shape[2:] == (33, 47)
    sizes = {box.input for box in EvalStream(odd_records, imgsz=(64, 96), batch=2).letterboxes}
    assert all(height <= 64 and width <= 96 for height, width in sizes)


def test_a_batch_of_one_empty_image(make_record: Callable[..., ImageRecord]) -> None:
    train = make_stream([make_record("empty", (17, 19))], batch=1)
    batch = train.batch(3, 0)
    assert batch.images.shape[0] == 1 and batch.targets.boxes.shape == (0, 4)


def test_settings_out_of_range_are_refused(odd_records: list[ImageRecord]) -> None:
    for wrong in ({"multi_scale": 1.0}, {"multi_scale": -0.1}, {"class_balance": 1.1}):
        with pytest.raises(DataError, match="YG334"):
            make_stream(odd_records, **wrong)
