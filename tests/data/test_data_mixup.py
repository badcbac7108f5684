"""Mixup: pixels blended, both box sets kept, nothing else moved, closed with mosaic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.augment import AugmentConfig, training_sample
from yolograft.data.loader import TrainStream
from yolograft.data.mixup import BETA, blend, draw_partner
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.rng import stream

STILL = {
    "mosaic": 0.0,
    "translate": 0.0,
    "scale": 0.0,
    "hsv_h": 0.0,
    "hsv_s": 0.0,
    "hsv_v": 0.0,
    "fliplr": 0.0,
}


def make_stream(records: list[ImageRecord], augment: AugmentConfig, **changes: object) -> TrainStream:
    arguments: dict[str, object] = {"imgsz": (64, 96), "batch": 3, "seed": 5, "epochs": 2}
    return TrainStream(records, augment=augment, **(arguments | changes))  # pyright: ignore[reportArgumentType]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_a_blend_is_the_weighted_mean(seed: int, share: float) -> None:
    rng = stream("blend", seed)
    one, two = rng.integers(0, 256, (2, 7, 5, 3)).astype(np.uint8)
    expected = share * one.astype(np.float64) + (1 - share) * two
    blend(one, two, share=share)
    assert np.abs(one - expected).max() <= 0.5 + 1e-4


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), pool=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_a_partner_is_another_image_of_the_pool(seed: int, pool: list[int]) -> None:
    positions = np.array(pool, np.int64)
    found = draw_partner(stream(seed), probability=1.0, index=0, pool=positions)
    if set(pool) == {0}:
        assert found is None
    else:
        assert found is not None and found.image in set(pool) - {0} and 0 < found.share < 1
    assert draw_partner(stream(seed), probability=0.0, index=0, pool=positions) is None


def test_partners_and_shares_have_their_distribution() -> None:
    pool = np.array([0, 1, 2, 2], np.int64)
    draws = [draw_partner(stream("many", n), probability=0.25, index=0, pool=pool) for n in range(4000)]
    found = [draw for draw in draws if draw is not None]
    assert abs(len(found) / 4000 - 0.25) < 0.03
    assert abs(np.mean([draw.image == 2 for draw in found]) - 2 / 3) < 0.06
    shares = np.array([draw.share for draw in found])
    assert abs(shares.mean() - 0.5) < 0.01
    assert shares.std() == pytest.approx((4 * (2 * BETA + 1)) ** -0.5, rel=0.1)


def test_a_blended_sample_is_made_of_two_whole_samples(make_record: Callable[..., ImageRecord]) -> None:
    records = [
        make_record("one", (64, 64), [(5, 6, 40, 50)], [1]),
        make_record("two", (64, 64), [(9, 9, 30, 20), (1, 30, 60, 60)], [2, 3]),
    ]
    store = ImageStore(records, imgsz=(64, 64))
    out = np.empty((64, 64, 3), np.uint8)
    config = AugmentConfig(**STILL, mixup=1.0)
    boxes, labels = training_sample(
        store, 0, config=config, rng=stream(4), mixing=True, pool=np.arange(2), out=out
    )
    assert labels.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(boxes, np.concatenate([records[0].boxes, records[1].boxes]))
    one, two = (store[index].image.astype(np.float64) for index in (0, 1))
    apart = np.abs(one - two) > 60
    shares = ((out - two) / np.where(apart, one - two, 1))[apart]
    assert shares.std() < 0.02 and 0.2 < shares.mean() < 0.8
    share = shares.mean()
    assert np.abs(out - (share * one + (1 - share) * two)).max() < 3


def test_asking_for_mixup_moves_nothing_else(odd_records: list[ImageRecord]) -> None:
    """Samples that chance leaves alone are those of a run without mixup, bit for bit."""
    plain = make_stream(odd_records, AugmentConfig())
    mixed = make_stream(odd_records, AugmentConfig(mixup=0.4))
    same = []
    for step in range(plain.steps_per_epoch):
        a, b = plain.batch(0, step), mixed.batch(0, step)
        assert a.image_ids == b.image_ids
        for n in range(3):
            boxes, more = (each.targets.boxes[each.targets.image == n] for each in (a, b))
            same.append(torch.equal(a.images[n], b.images[n]))
            # Blended or not, a sample's own boxes come first and stay where they were.
            assert torch.equal(boxes, more[: len(boxes)]) and (not same[-1] or len(more) == len(boxes))
    assert 0 < sum(same) < len(same)


def test_mixup_closes_with_mosaic(odd_records: list[ImageRecord]) -> None:
    mixed = make_stream(odd_records, AugmentConfig(mixup=1.0), close_mosaic=1)
    plain = make_stream(odd_records, AugmentConfig(mosaic=0.0))
    for step in range(plain.steps_per_epoch):
        a, b = mixed.batch(1, step), plain.batch(1, step)
        assert torch.equal(a.images, b.images) and torch.equal(a.targets.boxes, b.targets.boxes)
        assert not torch.equal(mixed.batch(0, step).images, plain.batch(0, step).images)


def test_one_image_has_no_partner(make_record: Callable[..., ImageRecord]) -> None:
    records = [make_record("only", (37, 53), [(5, 5, 45, 30)])]
    changes = {"batch": 1, "imgsz": (33, 47)}
    mixed = make_stream(records, AugmentConfig(mixup=1.0), **changes).batch(0, 0)
    plain = make_stream(records, AugmentConfig(), **changes).batch(0, 0)
    assert torch.equal(mixed.images, plain.images) and torch.equal(mixed.targets.boxes, plain.targets.boxes)


def test_images_without_boxes_blend(make_record: Callable[..., ImageRecord]) -> None:
    train = make_stream([make_record(str(i), (20, 30)) for i in range(3)], AugmentConfig(mixup=1.0))
    batch = train.batch(0, 0)
    assert batch.targets.boxes.shape == (0, 4) and batch.targets.labels.shape == (0,)
