"""Laying images on a canvas and the canvas on the network input.

A sample is a few images (one, or four for a mosaic) placed on a *canvas*, and one affine map from the
canvas to the *output* (the network input). While the map only scales and shifts, every image is resized
straight into its place in the output and the canvas is never made; with rotation or shear the canvas is
drawn and warped. Boxes follow the map that was really applied, rounding included.

Sources: mosaic, Bochkovskiy et al. 2020 (arXiv 2004.10934), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.images import PAD_VALUE, Image

Boxes = NDArray[np.float64]


class Tile(NamedTuple):
    """One image on the canvas.

    image: uint8 [h, w, 3]. boxes: float64 [N, 4] xyxy, pixels of `image`. labels: int64 [N].
    top, left: canvas place of the image's corner; may be negative, what leaves the canvas is cut.
    """

    image: Image
    boxes: Boxes
    labels: NDArray[np.int64]
    top: int
    left: int


class Placed(NamedTuple):
    """Boxes in the output.

    boxes: float64 [N, 4] xyxy, output pixels, clipped to what is visible. labels: int64 [N].
    full_area: float64 [N], area in output pixels each box would have if nothing were cut.
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    full_area: NDArray[np.float64]


def mosaic_corners(sizes: Sequence[tuple[int, int]], centre: tuple[int, int]) -> list[tuple[int, int]]:
    """(top, left) canvas corners of four images that meet at `centre` (y, x), row by row."""
    y, x = centre
    (h0, w0), (h1, _), (_, w2), _ = sizes
    return [(y - h0, x - w0), (y - h1, x), (y, x - w2), (y, x)]


def place_directly(
    tiles: Sequence[Tile],
    *,
    canvas: tuple[int, int],
    scale: float,
    shift: tuple[float, float],
    out: Image,
) -> Placed:
    """Write tiles into `out` [H, W, 3] where output = canvas * scale + shift (y, x), by one resize each.

    Output edges and the part of each image shown are rounded to whole pixels.
    """
    out[:] = PAD_VALUE
    placed: list[Placed] = []
    for tile in tiles:
        rows = _visible(tile.image.shape[0], tile.top, canvas[0], scale, shift[0], out.shape[0])
        columns = _visible(tile.image.shape[1], tile.left, canvas[1], scale, shift[1], out.shape[1])
        if rows is None or columns is None:
            continue
        source = tile.image[rows.first : rows.last, columns.first : columns.last]
        target = out[rows.start : rows.stop, columns.start : columns.stop]
        # cv2 fills the view in place, so no intermediate image exists.
        cv2.resize(source, (target.shape[1], target.shape[0]), dst=target, interpolation=cv2.INTER_LINEAR)
        boxes = np.empty_like(tile.boxes)
        boxes[:, 0::2] = columns.start + (tile.boxes[:, 0::2] - columns.first) * columns.scale
        boxes[:, 1::2] = rows.start + (tile.boxes[:, 1::2] - rows.first) * rows.scale
        full = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        boxes[:, 0::2] = boxes[:, 0::2].clip(columns.start, columns.stop)
        boxes[:, 1::2] = boxes[:, 1::2].clip(rows.start, rows.stop)
        placed.append(Placed(boxes, tile.labels, full))
    return _joined(placed)


class _Span(NamedTuple):
    """Along one axis: source pixels first..last land on output pixels start..stop."""

    first: int
    last: int
    start: int
    stop: int

    @property
    def scale(self) -> float:
        return (self.stop - self.start) / (self.last - self.first)


def _visible(length: int, offset: int, canvas: int, scale: float, shift: float, limit: int) -> _Span | None:
    """The part of an image seen along one axis, or None. `offset` is its place on the canvas."""
    low, high = max(-offset, 0), min(canvas - offset, length)
    if low >= high:
        return None
    # Canvas edges are shared by neighbouring tiles and round alike: no gap, no overlap.
    start = round(min(max((low + offset) * scale + shift, 0.0), limit))
    stop = round(min(max((high + offset) * scale + shift, 0.0), limit))
    if start >= stop:
        return None
    first = min(max(round((start - shift) / scale - offset), low), high - 1)
    last = max(min(round((stop - shift) / scale - offset), high), first + 1)
    return _Span(first, last, start, stop)


def place_by_warp(
    tiles: Sequence[Tile], *, canvas: tuple[int, int], matrix: NDArray[np.float64], out: Image
) -> Placed:
    """Draw tiles on the canvas and warp it into `out` [H, W, 3] by `matrix` [2, 3] (x, y order).

    A box becomes the bounding box of its four mapped corners, after being cut to the canvas.
    """
    sheet = np.full((*canvas, 3), PAD_VALUE, np.uint8)
    placed: list[Placed] = []
    for tile in tiles:
        height, width = tile.image.shape[:2]
        top, left = max(-tile.top, 0), max(-tile.left, 0)
        bottom, right = min(canvas[0] - tile.top, height), min(canvas[1] - tile.left, width)
        if top >= bottom or left >= right:
            continue
        target = (slice(tile.top + top, tile.top + bottom), slice(tile.left + left, tile.left + right))
        sheet[target] = tile.image[top:bottom, left:right]
        shift = np.array([tile.left, tile.top] * 2, dtype=np.float64)
        whole = _mapped(tile.boxes + shift, matrix)
        full = (whole[:, 2:] - whole[:, :2]).prod(axis=1)
        cut = tile.boxes.clip([left, top, left, top], [right, bottom, right, bottom])
        placed.append(Placed(_mapped(cut + shift, matrix), tile.labels, full))
    # cv2 maps pixel centres: shift by half a pixel so that `matrix` maps pixel edges.
    centres = matrix.copy()
    centres[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1]) - 0.5
    size = (out.shape[1], out.shape[0])
    grey = (PAD_VALUE,) * 3
    out[:] = cv2.warpAffine(sheet, centres, size, flags=cv2.INTER_LINEAR, borderValue=grey)
    joined = _joined(placed)
    limit = [out.shape[1], out.shape[0]] * 2
    return joined._replace(boxes=joined.boxes.clip(0, limit))


def _mapped(boxes: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def _joined(placed: list[Placed]) -> Placed:
    if not placed:
        return Placed(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    boxes, labels, area = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    return Placed(boxes, labels, area)
