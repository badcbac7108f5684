"""Box maps against literal loops over cells and boxes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolograft.ops.box_maps import crowding, density_map, foreground_map, masked_mean
from yolograft.types import Targets

Box = tuple[float, float, float, float]


def targets_of(images: list[list[tuple[Box, int]]]) -> Targets:
    """One list of (box, label) an image."""
    rows = [(box, label, index) for index, image in enumerate(images) for box, label in image]
    return Targets(
        torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([row[1] for row in rows], dtype=torch.int64),
        torch.tensor([row[2] for row in rows], dtype=torch.int64),
        len(images),
    )


def cells_along(low: float, high: float, step: float, cells: int) -> list[int]:
    held = [cell for cell in range(cells) if low < (cell + 0.5) * step < high]
    return held or [min(max(math.floor((low + high) / 2 / step), 0), cells - 1)]


def overlap(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / both if both else 0.0


def literal(
    images: list[list[tuple[Box, int]]], size: tuple[int, int], step: int
) -> tuple[Tensor, Tensor, list[float]]:
    """Foreground, density and the crowding of each box, one cell and one pair at a time."""
    mask = torch.zeros(len(images), 1, *size, dtype=torch.bool)
    density, crowds = torch.zeros(len(images), 1, *size), []
    for index, image in enumerate(images):
        for number, (box, label) in enumerate(image):
            others = [b for other, (b, c) in enumerate(image) if other != number and c == label]
            crowd = max((overlap(box, other) for other in others), default=0.0)
            crowds.append(crowd)
            rows = cells_along(box[1], box[3], step, size[0])
            columns = cells_along(box[0], box[2], step, size[1])
            for row, column in itertools.product(rows, columns):
                mask[index, 0, row, column] = True
                density[index, 0, row, column] = max(float(density[index, 0, row, column]), crowd)
    return mask, density, crowds


# Quarters of a pixel and strides that are powers of two: every comparison is exact.
sides = st.integers(-16, 4 * 60).map(lambda n: n / 4)
boxes = st.tuples(sides, sides, sides, sides).map(
    lambda s: (min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]) + 0.25, max(s[1], s[3]) + 0.25)
)
pictures = st.lists(st.lists(st.tuples(boxes, st.integers(0, 1)), max_size=4), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    images=pictures, size=st.tuples(st.integers(1, 7), st.integers(1, 7)), step=st.sampled_from([4, 8, 16])
)
def test_maps_equal_the_loops(images: list[list[tuple[Box, int]]], size: tuple[int, int], step: int) -> None:
    targets, frame = targets_of(images), (size[0] * step, size[1] * step)
    mask, density, crowds = literal(images, size, step)
    assert torch.equal(foreground_map(targets, size=size, image_size=frame), mask)
    found = density_map(targets, size=size, image_size=frame)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, density, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(crowding(targets), torch.tensor(crowds), rtol=1e-5, atol=1e-6)


def test_by_hand() -> None:
    # Two boxes that share a third, one of another class on the same place, and a speck in a second image.
    pair = [((0.0, 0.0, 16.0, 8.0), 0), ((8.0, 0.0, 24.0, 8.0), 0), ((0.0, 0.0, 16.0, 8.0), 1)]
    targets = targets_of([pair, [((21.0, 13.0, 22.0, 14.0), 0)], []])
    assert crowding(targets).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 0])
    mask = foreground_map(targets, size=(2, 4), image_size=(16, 32))
    assert mask[0, 0].tolist() == [[True, True, True, False], [False] * 4]
    assert mask[1, 0].nonzero().tolist() == [[1, 2]] and not mask[2].any()
    density = density_map(targets, size=(2, 4), image_size=(16, 32))
    assert density[0, 0, 0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_a_thin_box_marks_a_whole_row() -> None:
    targets = targets_of([[((0.0, 5.0, 32.0, 6.0), 0)]])
    assert foreground_map(targets, size=(4, 4), image_size=(32, 32))[0, 0, 0].all()


def test_no_boxes_at_all() -> None:
    targets = targets_of([[], []])
    assert not foreground_map(targets, size=(3, 5), image_size=(24, 40)).any()
    assert not density_map(targets, size=(3, 5), image_size=(24, 40)).any()
    assert crowding(targets).shape == (0,)


def test_the_same_box_twice_is_as_crowded_as_can_be() -> None:
    assert crowding(targets_of([[((2.0, 2.0, 9.0, 9.0), 3)] * 2])).tolist() == pytest.approx([1, 1])


def test_masked_mean() -> None:
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert masked_mean(values, torch.tensor([True, False, True])).item() == 3.5
    nothing = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0 and values.grad is not None and not values.grad.any()
