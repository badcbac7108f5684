"""Class balance: exact expected counts, the same epoch for everybody, nobody forgotten."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.augment import AugmentConfig
from yolograft.data.balance import balanced_order, image_weights
from yolograft.data.loader import TrainStream
from yolograft.data.records import ImageRecord
from yolograft.rng import stream

Labels = list[list[int]]
LABELS = st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=20)


def arrays(labels: Labels) -> list[np.ndarray]:
    return [np.array(each, np.int64) for each in labels]


def make_stream(records: list[ImageRecord], **changes: object) -> TrainStream:
    arguments: dict[str, object] = {
        "imgsz": (32, 32),
        "batch": 4,
        "seed": 5,
        "augment": AugmentConfig(),
        "epochs": 3,
        "class_balance": 1.0,
    }
    return TrainStream(records, **(arguments | changes))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def skewed(make_record: Callable[..., ImageRecord]) -> list[ImageRecord]:
    """Eight images of class 0, one with class 1 beside it, one empty."""
    box = (3, 3, 28, 28)
    common = [make_record(f"c{i}", (32, 32), [box], [0]) for i in range(8)]
    return [*common, make_record("rare", (32, 32), [box, box], [0, 1]), make_record("none", (32, 32))]


def test_weights_by_hand() -> None:
    """Class 0 in four of five images, class 1 in one: 1/sqrt(.8) against 1/sqrt(.2), a factor of two."""
    labels = arrays([[0], [0, 0, 0], [0], [0, 1], []])
    np.testing.assert_allclose(image_weights(labels, strength=1.0) * 6, [1, 1, 1, 2, 1])
    np.testing.assert_allclose(image_weights(labels, strength=0.5) * (4 + 2**0.5), [1, 1, 1, 2**0.5, 1])
    np.testing.assert_allclose(image_weights(labels, strength=0.0), [0.2] * 5)


@settings(max_examples=100, deadline=None)
@given(labels=LABELS, strength=st.floats(0, 1))
def test_weights_follow_the_formula(labels: Labels, strength: float) -> None:
    weights = image_weights(arrays(labels), strength=strength)
    share = {c: sum(c in each for each in labels) / len(labels) for c in range(6)}
    asked = [max((share[c] ** -0.5 for c in each), default=0.0) ** strength for each in labels]
    floor = min((a for a, each in zip(asked, labels, strict=True) if each), default=1.0)
    asked = [a if each else floor for a, each in zip(asked, labels, strict=True)]
    np.testing.assert_allclose(weights, np.array(asked) / sum(asked), rtol=1e-9)
    assert weights.min() > 0


@settings(max_examples=100, deadline=None)
@given(labels=LABELS, strength=st.floats(0, 1), slots=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_counts_are_floor_or_ceil(labels: Labels, strength: float, slots: int, seed: int) -> None:
    weights = image_weights(arrays(labels), strength=strength)
    order = balanced_order(weights, slots=slots, rng=stream(seed))
    counts = np.bincount(order, minlength=len(labels))
    assert order.shape == (slots,) and order.dtype == np.int64 and len(counts) == len(labels)
    assert (np.abs(counts - slots * weights) < 1 + 1e-6).all()
    np.testing.assert_array_equal(order, balanced_order(weights, slots=slots, rng=stream(seed)))


def test_expected_counts_are_exact_over_many_epochs() -> None:
    weights = image_weights(arrays([[0]] * 6 + [[0, 1], [2], []]), strength=1.0)
    counts = sum(
        np.bincount(balanced_order(weights, slots=11, rng=stream("epochs", n)), minlength=9)
        for n in range(3000)
    )
    np.testing.assert_allclose(counts / 3000, 11 * weights, atol=0.03)


def test_equal_weights_show_every_image_alike() -> None:
    for images in (1, 3, 7, 49):
        weights = image_weights(arrays([[i] for i in range(images)]), strength=1.0)
        for seed in range(40):
            order = balanced_order(weights, slots=2 * images, rng=stream(seed))
            assert np.bincount(order, minlength=images).tolist() == [2] * images


def test_rare_classes_come_more_often_and_epochs_keep_their_length(skewed: list[ImageRecord]) -> None:
    train, plain = make_stream(skewed, epochs=50), make_stream(skewed, class_balance=0.0)
    assert train.steps_per_epoch == plain.steps_per_epoch == 3
    shown = np.bincount(np.concatenate([train.order(epoch) for epoch in range(50)]), minlength=10) / 50
    assert shown.sum() == 12
    # f_0 = .9, f_1 = .1: the rare image weighs three times as much as each other one.
    np.testing.assert_allclose(shown, 12 * np.array([1.0] * 8 + [3, 1]) / 12, atol=0.1)
    assert shown.min() > 0


def test_zero_is_the_permutation_of_a_plain_stream(skewed: list[ImageRecord]) -> None:
    train = make_stream(skewed, class_balance=0.0)
    for epoch in range(3):
        expected = np.resize(stream(5, "order", epoch).permutation(10), 12)
        np.testing.assert_array_equal(train.order(epoch), expected)


def test_mosaics_are_filled_up_in_the_same_proportion(skewed: list[ImageRecord]) -> None:
    def share_of_rare(train: TrainStream) -> float:
        labels = torch.cat([batch.targets.labels for _, _, batch in train.iterate()])
        return float((labels == 1).float().mean())

    balanced, plain = (share_of_rare(make_stream(skewed, epochs=25, class_balance=b)) for b in (1.0, 0.0))
    # By hand: 3 of 12 images show class 1 beside one of class 0, against 1 of 10.
    assert plain == pytest.approx(0.1, abs=0.04) and balanced == pytest.approx(3 / 14, abs=0.05)


def test_crowd_boxes_make_no_class_rare(make_record: Callable[..., ImageRecord]) -> None:
    box = (1, 1, 30, 30)
    records = [make_record(str(i), (32, 32), [box], [0]) for i in range(3)]
    records.append(make_record("crowd", (32, 32), [box], [1], [True]))
    counts = np.bincount(make_stream(records).order(0), minlength=4)
    assert counts.tolist() == [1, 1, 1, 1]


def test_images_without_any_box(make_record: Callable[..., ImageRecord]) -> None:
    train = make_stream([make_record(str(i), (20, 30)) for i in range(3)], batch=1)
    assert sorted(train.order(0).tolist()) == [0, 1, 2]


def test_restarts_and_workers_see_the_same_epochs(skewed: list[ImageRecord]) -> None:
    changes = {"multi_scale": 0.5, "augment": AugmentConfig(mixup=0.5), "epochs": 2}
    whole = list(make_stream(skewed, **changes).iterate())
    rest = list(make_stream(skewed, workers=2, **changes).iterate(start_epoch=0, start_step=2))
    assert [key[:2] for key in rest] == [key[:2] for key in whole[2:]]
    for (_, _, a), (_, _, b) in zip(whole[2:], rest, strict=True):
        assert a.image_ids == b.image_ids and torch.equal(a.images, b.images)
        assert torch.equal(a.targets.boxes, b.targets.boxes)
