"""Augmentation: a painted box stays where its transformed box says, on both paths."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from yolograft.data.augment import (
    Affine,
    AugmentConfig,
    affine_matrix,
    draw_affine,
    flipped,
    jitter_hsv,
    kept_boxes,
    training_sample,
)
from yolograft.data.images import PAD_VALUE
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.data.tiles import Placed, Tile, mosaic_corners, place_by_warp, place_directly
from yolograft.rng import stream

COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], np.float32)
OTHERS = np.array([(0, 0, 0), (PAD_VALUE,) * 3], np.float32)


def painted_tiles(rng: np.random.Generator, *, size: tuple[int, int]) -> list[Tile]:
    """Four black images of the store's kinds (one side fits), each with one box in its own colour."""
    tiles: list[Tile] = []
    for number, colour in enumerate(COLOURS):
        height, width = (size[0], int(rng.integers(size[1] // 3, size[1] + 1)))
        if rng.random() < 0.5:
            height, width = (int(rng.integers(size[0] // 3, size[0] + 1)), size[1])
        x1, y1 = int(rng.integers(0, width - 12)), int(rng.integers(0, height - 12))
        x2, y2 = int(rng.integers(x1 + 10, width + 1)), int(rng.integers(y1 + 10, height + 1))
        image = np.zeros((height, width, 3), np.uint8)
        image[y1:y2, x1:x2] = colour
        boxes = np.array([[x1, y1, x2, y2]], np.float64)
        tiles.append(Tile(image, boxes, np.array([number], np.int64), 0, 0))
    centre = (int(rng.uniform(0.5, 1.5) * size[0]), int(rng.uniform(0.5, 1.5) * size[1]))
    corners = mosaic_corners([tile.image.shape[:2] for tile in tiles], centre)
    return [tile._replace(top=y, left=x) for tile, (y, x) in zip(tiles, corners, strict=True)]


def seen_box(image: np.ndarray, label: int) -> np.ndarray | None:
    """Tight box of the pixels whose nearest colour is that of `label`."""
    palette = np.concatenate([COLOURS, OTHERS])
    distance = np.linalg.norm(image[..., None, :].astype(np.float32) - palette, axis=-1)
    ys, xs = np.nonzero(distance.argmin(axis=-1) == label)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) if len(xs) else None


def check_painted(image: np.ndarray, placed: Placed, *, exact: bool) -> int:
    """Compare boxes with pixels; returns how many boxes were seen."""
    seen = 0
    for box, label in zip(placed.boxes, placed.labels, strict=True):
        if min(box[2] - box[0], box[3] - box[1]) < 3:
            continue
        found = seen_box(image, int(label))
        inside = box[0] > 0 and box[1] > 0 and box[2] < image.shape[1] and box[3] < image.shape[0]
        if exact or inside:
            assert found is not None
            np.testing.assert_allclose(box, found, atol=1.5)
        elif found is not None:
            # A turned box that leaves the picture: the clipped box may be larger than what is left.
            assert (found[:2] >= box[:2] - 1.5).all() and (found[2:] <= box[2:] + 1.5).all()
        seen += 1
    return seen


SIZES = st.sampled_from([(96, 96), (64, 128), (97, 61)])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES, scale=st.floats(0.5, 1.5))
def test_direct_mosaic_keeps_painted_boxes(seed: int, size: tuple[int, int], scale: float) -> None:
    rng = stream("direct", seed)
    tiles = painted_tiles(rng, size=size)
    shift = (rng.uniform(-0.6, 0.1) * size[0], rng.uniform(-0.6, 0.1) * size[1])
    out = np.empty((*size, 3), np.uint8)
    canvas = (2 * size[0], 2 * size[1])
    placed = place_directly(tiles, canvas=canvas, scale=scale, shift=shift, out=out)
    check_painted(out, placed, exact=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES, degrees=st.floats(0, 40), shear=st.floats(0, 15))
def test_warped_mosaic_keeps_painted_boxes(
    seed: int, size: tuple[int, int], degrees: float, shear: float
) -> None:
    rng = stream("warp", seed)
    tiles = painted_tiles(rng, size=size)
    config = AugmentConfig(degrees=degrees, shear=shear)
    canvas = (2 * size[0], 2 * size[1])
    matrix = affine_matrix(draw_affine(rng, config=config, size=size), canvas=canvas, size=size)
    out = np.empty((*size, 3), np.uint8)
    placed = place_by_warp(tiles, canvas=canvas, matrix=matrix, out=out)
    # Cut at a tile's edge and then turned, a box is the box of its corners: an upper bound only.
    upright = degrees == 0 and shear == 0
    for index, tile in enumerate(tiles):
        cut = (tile.top + tile.boxes[0, 1] < 0) or (tile.left + tile.boxes[0, 0] < 0)
        cut |= bool(tile.top + tile.boxes[0, 3] > canvas[0] or tile.left + tile.boxes[0, 2] > canvas[1])
        one = Placed(*(part[placed.labels == index] for part in placed))
        if not cut:
            check_painted(out, one, exact=upright)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES)
def test_direct_and_warped_mosaic_are_one_geometry(seed: int, size: tuple[int, int]) -> None:
    rng = stream("both", seed)
    tiles = painted_tiles(rng, size=size)
    tiles = [t._replace(image=cv2.GaussianBlur(t.image, (0, 0), 4)) for t in tiles]
    canvas = (2 * size[0], 2 * size[1])
    affine = draw_affine(rng, config=AugmentConfig(), size=size)
    matrix = affine_matrix(affine, canvas=canvas, size=size)
    direct, warped = (np.empty((*size, 3), np.uint8) for _ in range(2))
    one = place_directly(
        tiles, canvas=canvas, scale=affine.scale, shift=(matrix[1, 2], matrix[0, 2]), out=direct
    )
    two = place_by_warp(tiles, canvas=canvas, matrix=matrix, out=warped)
    for label in range(4):
        a, b = one.boxes[one.labels == label], two.boxes[two.labels == label]
        if len(a) and len(b):
            np.testing.assert_allclose(a, b, atol=1.6)
    apart = np.abs(direct.astype(int) - warped).max(axis=2)
    # Only rows and columns where tiles meet may differ by the rounding of an edge.
    assert (apart > 40).mean() < 0.08


def test_shares_of_a_mosaic_without_scaling() -> None:
    """Centre in the middle, gain 1: the output shows the inner quarter of each image, exactly."""
    size = (40, 60)
    tiles = []
    for number, (top, left) in enumerate(mosaic_corners([size] * 4, size)):
        image = np.full((*size, 3), 10 * (number + 1), np.uint8)
        tiles.append(Tile(image, np.array([[0.0, 0, 60, 40]]), np.array([number]), top, left))
    out = np.empty((*size, 3), np.uint8)
    placed = place_directly(tiles, canvas=(80, 120), scale=1.0, shift=(-20.0, -30.0), out=out)
    expected = np.array([[0, 0, 30, 20], [30, 0, 60, 20], [0, 20, 30, 40], [30, 20, 60, 40]])
    np.testing.assert_array_equal(placed.boxes, expected)
    assert [int(out[y, x, 0]) for y, x in ((0, 0), (0, 59), (39, 0), (39, 59))] == [10, 20, 30, 40]
    assert placed.full_area.tolist() == [2400.0] * 4
    warped = np.empty_like(out)
    matrix = np.array([[1.0, 0, -30], [0, 1, -20]])
    same = place_by_warp(tiles, canvas=(80, 120), matrix=matrix, out=warped)
    np.testing.assert_array_equal(warped, out)
    np.testing.assert_array_equal(same.boxes, placed.boxes)
    np.testing.assert_array_equal(same.full_area, placed.full_area)


def test_boxes_not_worth_learning_are_left_out() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 2, 50], [0, 0, 10, 10], [0, 0, 300, 2.9], [5, 5, 8, 8]])
    full = np.array([100.0, 100, 1001, 870, 9])
    kept, labels = kept_boxes(Placed(boxes, np.arange(5), full))
    assert labels.tolist() == [0, 4] and kept.tolist() == boxes[[0, 4]].tolist()
    kept, labels = kept_boxes(Placed(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0)))
    assert kept.shape == (0, 4) and labels.shape == (0,)


def test_identity_settings_change_nothing(make_record: Callable[..., ImageRecord]) -> None:
    record = make_record("still", (64, 64), [(5, 6, 40, 50)])
    store = ImageStore([record], imgsz=(64, 64))
    still = AugmentConfig(mosaic=0, translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0)
    out = np.empty((64, 64, 3), np.uint8)
    boxes, labels = training_sample(
        store, 0, config=still, rng=stream(0), mixing=True, pool=np.arange(1), out=out
    )
    np.testing.assert_array_equal(out, store[0].image)
    np.testing.assert_array_equal(boxes, record.boxes)
    assert labels.tolist() == [0]


def test_letterboxed_sample_is_padded_grey(make_record: Callable[..., ImageRecord]) -> None:
    store = ImageStore([make_record("wide", (20, 80), [(0, 0, 80, 20)])], imgsz=(64, 64))
    still = AugmentConfig(mosaic=0, translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0)
    out = np.empty((64, 64, 3), np.uint8)
    boxes, _ = training_sample(store, 0, config=still, rng=stream(0), mixing=True, pool=np.arange(1), out=out)
    assert boxes.tolist() == [[0, 24, 64, 40]]
    assert (out[:24] == PAD_VALUE).all() and (out[40:] == PAD_VALUE).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_flips_move_boxes_with_pixels(seed: int) -> None:
    rng = stream("flip", seed)
    image = np.zeros((31, 47, 3), np.uint8)
    image[3:9, 5:20] = COLOURS[0]
    config = AugmentConfig(fliplr=0.5, flipud=0.5)
    boxes = flipped(image, np.array([[5.0, 3, 20, 9]]), rng=rng, config=config)
    np.testing.assert_array_equal(boxes[0], seen_box(image, 0))


def test_hsv_value_gain_scales_brightness_in_place() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    config = AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0.4)
    gain = 1 + stream("v").uniform(-1, 1, size=3)[2] * 0.4
    jitter_hsv(image, rng=stream("v"), config=config)
    assert abs(int(image[0, 0, 0]) - 100 * gain) <= 1 and (image == image[0, 0]).all()
    same = image.copy()
    jitter_hsv(image, rng=stream("v"), config=AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0))
    np.testing.assert_array_equal(image, same)


def test_hue_turns_round_the_circle() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[...] = (255, 0, 0)
    seed = next(s for s in range(50) if stream("h", s).uniform(-1, 1, size=3)[0] < -0.5)
    jitter_hsv(image, rng=stream("h", seed), config=AugmentConfig(hsv_h=0.1, hsv_s=0, hsv_v=0))
    red, green, blue = image[0, 0].tolist()
    assert red == 255 and green == 0 and blue > 50


def test_affine_keeps_the_middle() -> None:
    matrix = affine_matrix(
        Affine(0.7, (3.0, -5.0), math.radians(30), (0.1, 0.2)), canvas=(80, 120), size=(40, 60)
    )
    np.testing.assert_allclose(matrix @ [60, 40, 1], [30 - 5, 20 + 3])


def test_config_refuses_unknown_keys_and_is_frozen() -> None:
    with pytest.raises(ValidationError):
        AugmentConfig.model_validate({"mosiac": 1.0})
    with pytest.raises(ValidationError):
        AugmentConfig().scale = 0.1  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        AugmentConfig(fliplr=1.5)
