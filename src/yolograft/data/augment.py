"""Training augmentation as pure functions of a numpy generator.

A sample: letterbox or four-image mosaic, scale and shift (rotation and shear when asked for), HSV
jitter, flips, and where asked for a blend with a second sample made alike. Defaults are those the YOLOv5
and YOLOv8 papers and documentation pages state.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from yolograft.data.images import Image, centred
from yolograft.data.mixup import blend, draw_partner
from yolograft.data.store import ImageStore
from yolograft.data.tiles import Boxes, Placed, Tile, mosaic_corners, place_by_warp, place_directly

# A transformed box is kept when both sides exceed this many pixels, this share of its area is left, and
# its longer side is less than this multiple of the shorter.
MIN_SIDE = 2.0
MIN_AREA_LEFT = 0.1
MAX_ASPECT = 100.0


class AugmentConfig(BaseModel):
    """How training images are varied; part of a recipe.

    mosaic: probability that a sample is made of four images.
    mixup: probability that a sample is blended with a second one (arXiv 1710.09412), both with their boxes.
    translate: largest shift as a fraction of the input side. scale: gain drawn from 1 - scale .. 1 + scale.
    degrees, shear: largest rotation and shear, degrees.
    hsv_h: largest hue shift as a fraction of the colour circle. hsv_s, hsv_v: gain from 1 - x .. 1 + x.
    fliplr, flipud: probability of a mirror image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mosaic: float = Field(default=1.0, ge=0, le=1)
    mixup: float = Field(default=0.0, ge=0, le=1)
    translate: float = Field(default=0.1, ge=0, le=1)
    scale: float = Field(default=0.5, ge=0, lt=1)
    degrees: float = Field(default=0.0, ge=0, le=180)
    shear: float = Field(default=0.0, ge=0, lt=90)
    hsv_h: float = Field(default=0.015, ge=0, le=0.5)
    hsv_s: float = Field(default=0.7, ge=0, le=1)
    hsv_v: float = Field(default=0.4, ge=0, le=1)
    fliplr: float = Field(default=0.5, ge=0, le=1)
    flipud: float = Field(default=0.0, ge=0, le=1)


class Affine(NamedTuple):
    """A drawn map about the middle: scale, shift (y, x) in output pixels, rotation and shears in radians."""

    scale: float
    shift: tuple[float, float]
    angle: float
    shear: tuple[float, float]


def training_sample(
    store: ImageStore,
    index: int,
    *,
    config: AugmentConfig,
    rng: np.random.Generator,
    mixing: bool,
    pool: NDArray[np.int64],
    out: Image,
) -> tuple[Boxes, NDArray[np.int64]]:
    """Write one augmented sample into `out` and return its (boxes, labels).

    Args:
        store: images at network scale with their records.
        index: position of the image the sample is about.
        rng: the only source of chance.
        mixing: False forbids mosaic and mixup whatever the config says (the last epochs).
        pool: int64, positions of the images that others are drawn from, each entry as likely.
        out: uint8 [H, W, 3] RGB, overwritten. Where (H, W) is not `store.imgsz` the sample is made at
            that size, by the one resize every sample has.

    Returns:
        boxes float64 [N, 4] xyxy in output pixels, labels int64 [N]. Crowd boxes are never among them.
    """
    boxes, labels = _sample(store, index, config=config, rng=rng, mixing=mixing, pool=pool, out=out)
    # Drawn last, so that asking for mixup moves nothing else.
    if not (mixing and config.mixup):
        return boxes, labels
    partner = draw_partner(rng, probability=config.mixup, index=index, pool=pool)
    if partner is None:
        return boxes, labels
    second = np.empty_like(out)
    more = _sample(store, partner.image, config=config, rng=rng, mixing=mixing, pool=pool, out=second)
    blend(out, second, share=partner.share)
    return np.concatenate([boxes, more[0]]), np.concatenate([labels, more[1]])


def _sample(
    store: ImageStore,
    index: int,
    *,
    config: AugmentConfig,
    rng: np.random.Generator,
    mixing: bool,
    pool: NDArray[np.int64],
    out: Image,
) -> tuple[Boxes, NDArray[np.int64]]:
    base = store.imgsz
    if rng.random() < config.mosaic and mixing:
        others = pool[rng.integers(len(pool), size=3)]
        tiles = [_tile(store, int(i)) for i in (index, *others)]
        centre = (round(rng.uniform(0.5, 1.5) * base[0]), round(rng.uniform(0.5, 1.5) * base[1]))
        corners = mosaic_corners([tile.image.shape[:2] for tile in tiles], centre)
        tiles = [t._replace(top=top, left=left) for t, (top, left) in zip(tiles, corners, strict=True)]
        canvas = (2 * base[0], 2 * base[1])
    else:
        tile = _tile(store, index)
        inside = centred(tile.image.shape[:2], tile.image.shape[:2], base)
        tiles = [tile._replace(top=inside.top, left=inside.left)]
        canvas = base
    size = (out.shape[0], out.shape[1])
    affine = draw_affine(rng, config=config, size=size)
    # The store fits images into `base`; the smaller ratio keeps a letterboxed image whole.
    gain = min(size[0] / base[0], size[1] / base[1])
    placed = _place(tiles, canvas=canvas, affine=affine._replace(scale=affine.scale * gain), out=out)
    boxes, labels = kept_boxes(placed)
    jitter_hsv(out, rng=rng, config=config)
    return flipped(out, boxes, rng=rng, config=config), labels


def _tile(store: ImageStore, index: int) -> Tile:
    return Tile(store[index].image, *store.targets(index), 0, 0)


def draw_affine(rng: np.random.Generator, *, config: AugmentConfig, size: tuple[int, int]) -> Affine:
    """Draw scale, shift, rotation and shear; always six numbers, so that one setting moves no other."""
    scale, dy, dx, angle, shear_x, shear_y = rng.uniform(-1, 1, size=6)
    return Affine(
        scale=1 + config.scale * scale,
        shift=(config.translate * dy * size[0], config.translate * dx * size[1]),
        angle=math.radians(config.degrees * angle),
        shear=(math.radians(config.shear * shear_x), math.radians(config.shear * shear_y)),
    )


def affine_matrix(affine: Affine, *, canvas: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """[2, 3] map of canvas pixels (x, y) to output pixels: the middle of one to the other's, plus shift."""
    cosine, sine = affine.scale * math.cos(affine.angle), affine.scale * math.sin(affine.angle)
    sheared = np.array([[1, math.tan(affine.shear[0])], [math.tan(affine.shear[1]), 1]])
    linear = sheared @ np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([canvas[1] / 2, canvas[0] / 2])
    target = np.array([size[1] / 2 + affine.shift[1], size[0] / 2 + affine.shift[0]])
    return np.concatenate([linear, (target - linear @ middle)[:, None]], axis=1)


def _place(tiles: list[Tile], *, canvas: tuple[int, int], affine: Affine, out: Image) -> Placed:
    size = (out.shape[0], out.shape[1])
    matrix = affine_matrix(affine, canvas=canvas, size=size)
    if affine.angle == 0 and affine.shear == (0, 0):
        shift = (float(matrix[1, 2]), float(matrix[0, 2]))
        return place_directly(tiles, canvas=canvas, scale=affine.scale, shift=shift, out=out)
    return place_by_warp(tiles, canvas=canvas, matrix=matrix, out=out)


def kept_boxes(placed: Placed) -> tuple[Boxes, NDArray[np.int64]]:
    """The boxes still worth learning: not too small, not mostly cut away, not a sliver."""
    sides = placed.boxes[:, 2:] - placed.boxes[:, :2]
    shorter, longer = sides.min(axis=1, initial=np.inf), sides.max(axis=1, initial=0)
    keep = (shorter > MIN_SIDE) & (longer < MAX_ASPECT * shorter)
    keep &= sides.prod(axis=1) > MIN_AREA_LEFT * placed.full_area
    return placed.boxes[keep], placed.labels[keep]


def jitter_hsv(image: Image, *, rng: np.random.Generator, config: AugmentConfig) -> None:
    """Shift hue and scale saturation and value of RGB uint8 [H, W, 3] in place, by lookup tables."""
    hue, saturation, value = rng.uniform(-1, 1, size=3) * (config.hsv_h, config.hsv_s, config.hsv_v)
    if hue == saturation == value == 0:
        return
    levels = np.arange(256, dtype=np.float64)
    table = np.empty((1, 256, 3), np.uint8)
    # cv2 stores 8-bit hue in half degrees, 0..179.
    table[0, :, 0] = np.round(levels + 180 * hue) % 180
    table[0, :, 1] = np.clip(np.round(levels * (1 + saturation)), 0, 255)
    table[0, :, 2] = np.clip(np.round(levels * (1 + value)), 0, 255)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=image)


def flipped(image: Image, boxes: Boxes, *, rng: np.random.Generator, config: AugmentConfig) -> Boxes:
    """Mirror uint8 [H, W, 3] in place by chance and return its boxes (xyxy, pixels) mirrored alike."""
    sideways, upside = rng.random(size=2) < (config.fliplr, config.flipud)
    height, width = image.shape[:2]
    if sideways:
        image[:] = cv2.flip(image, 1)
        boxes = np.column_stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]])
    if upside:
        image[:] = cv2.flip(image, 0)
        boxes = np.column_stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]])
    return boxes
