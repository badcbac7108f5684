"""Evaluation batches: equal shapes, smallest stride rectangle, boxes that come back to where they were."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.eval_stream import EvalStream, batch_of_image
from yolograft.data.images import PAD_VALUE, decode_file, rectangle
from yolograft.data.memory import available_bytes
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.errors import DataError


def test_every_record_once_in_equal_shapes(odd_records: list[ImageRecord]) -> None:
    evaluation = EvalStream(odd_records, imgsz=(96, 128), batch=2)
    batches = list(evaluation)
    assert len(batches) == len(evaluation)
    assert sorted(i for batch in batches for i in batch.indices) == list(range(7))
    for batch in batches:
        height, width = batch.images.shape[2:]
        assert height % 32 == 0 and width % 32 == 0 and height <= 96 and width <= 128
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        for index, box in zip(batch.indices, batch.letterboxes, strict=True):
            record = odd_records[index]
            assert box.original == (record.height, record.width) and box.input == (height, width)
    again = list(EvalStream(odd_records, imgsz=(96, 128), batch=2, cache="none"))
    for a, b in zip(batches, again, strict=True):
        assert a.indices == b.indices and torch.equal(a.images, b.images)


def test_one_image_in_memory_makes_the_same_batch(odd_records: list[ImageRecord]) -> None:
    for batch in EvalStream(odd_records, imgsz=(128, 128), batch=1):
        image = decode_file(odd_records[batch.indices[0]].path)
        single = batch_of_image(image, imgsz=(128, 128))
        assert torch.equal(single.images, batch.images) and single.letterboxes == batch.letterboxes


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    imgsz=st.sampled_from([(320, 320), (640, 640), (64, 96), (32, 32)]),
    seed=st.integers(0, 1000),
)
def test_boxes_return(height: int, width: int, imgsz: tuple[int, int], seed: int) -> None:
    box = rectangle((height, width), imgsz=imgsz, stride=32)
    assert all(r <= i <= m for r, i, m in zip(box.resized, box.input, imgsz, strict=True))
    assert all(i - r < 32 and i % 32 == 0 for r, i in zip(box.resized, box.input, strict=True))
    points = np.random.default_rng(seed).uniform(0, 1, (4, 2, 2))
    points.sort(axis=1)
    xyxy = points.reshape(4, 4) * (width, height, width, height)
    np.testing.assert_allclose(box.to_original(box.to_input(xyxy)), xyxy, atol=1e-6)
    tensor = torch.from_numpy(xyxy).float()
    there = box.to_input(tensor)
    assert isinstance(there, torch.Tensor) and there.dtype == torch.float32
    np.testing.assert_allclose(box.to_original(there).numpy(), xyxy, atol=2e-2)
    outside = box.to_original(np.array([[-50.0, -50, 9999, 9999]]))
    np.testing.assert_array_equal(outside, [[0, 0, width, height]])
    assert box.to_original(torch.zeros(0, 4)).shape == (0, 4)


def test_padding_is_grey_and_centred() -> None:
    image = np.full((100, 320, 3), 7, np.uint8)
    batch = batch_of_image(image, imgsz=(320, 320))
    pixels, (box,) = batch.images[0], batch.letterboxes
    assert pixels.shape == (3, 128, 320) and (box.top, box.left) == (14, 0)
    assert (pixels[:, :14] == PAD_VALUE).all() and (pixels[:, 114:] == PAD_VALUE).all()
    assert (pixels[:, 14:114] == 7).all()


def test_to_original_leaves_its_input_alone() -> None:
    boxes = torch.tensor([[0.0, 0, 5, 5]])
    box = rectangle((10, 20), imgsz=(64, 64), stride=32)
    box.to_original(boxes)
    assert boxes.tolist() == [[0, 0, 5, 5]]


def test_sizes_off_the_stride_are_refused() -> None:
    with pytest.raises(DataError, match="--imgsz 320,320"):
        rectangle((10, 10), imgsz=(310, 330), stride=32)


def test_nothing_to_evaluate() -> None:
    assert list(EvalStream([], imgsz=(64, 64), batch=4)) == []


def test_the_store_never_keeps_more_than_its_limit(
    make_record: Callable[..., ImageRecord], tmp_path: Path
) -> None:
    records = [make_record(str(i), (32, 32)) for i in range(4)]
    limited = ImageStore(records, imgsz=(64, 64), limit_bytes=2 * 64 * 64 * 3 + 5)
    plain = ImageStore(records, imgsz=(64, 64), cache="none")
    for _ in range(2):
        for index in range(4):
            np.testing.assert_array_equal(limited[index].image, plain[index].image)
            assert limited[index].image.shape == (64, 64, 3) and limited[index].scale == (2, 2)
    for record in records:
        record.path.unlink()
    still_there = 0
    for index in range(4):
        with contextlib.suppress(DataError):
            still_there += limited[index].image.shape == (64, 64, 3)
    assert still_there == 2
    with pytest.raises(DataError, match="YG332"):
        ImageStore(records, imgsz=(64, 64), cache="tape")


def test_shrinking_averages_the_area(make_record: Callable[..., ImageRecord]) -> None:
    record = make_record("big", (96, 96))
    image = decode_file(record.path).astype(np.float64)
    mean = image.reshape(32, 3, 32, 3, 3).mean(axis=(1, 3))
    assert np.abs(ImageStore([record], imgsz=(32, 32))[0].image - mean).max() <= 1


def test_available_memory_is_a_sensible_number() -> None:
    assert 1 << 24 < available_bytes() < 1 << 50
