"""Drawing one scene of the built-in set: textured ground, clutter, look-alike shapes that overlap.

Everything is drawn with numpy and OpenCV from one generator. Boxes are tight around the pixels of a
shape that are still visible once everything above it is drawn (thin lines on top do not count).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Circle and ellipse, square and diamond differ by proportion and by angle alone.
CLASSES = ("circle", "ellipse", "square", "diamond", "star")
# Every shape keeps at least this share of its pixels visible.
MIN_VISIBLE = 0.55
# Half the extent of a shape as a share of the image side, drawn log-uniformly between these.
_EXTENT = (0.07, 0.27)
# Least distance between a shape's colour and the ground under it, RGB units of 0..255.
_CONTRAST = 85.0
_TRIES = 12
_SUBPIXEL = 4


class Scene(NamedTuple):
    """A drawn image and what is in it.

    image: uint8 [S, S, 3] RGB. boxes: int64 [N, 4] xyxy pixels. labels: int64 [N], index into CLASSES.
    owner: int16 [S, S], the shape seen at each pixel, -1 for none.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    labels: NDArray[np.int64]
    owner: NDArray[np.int16]


def draw_scene(rng: np.random.Generator, *, size: int) -> Scene:
    """Draw one square scene of `size` pixels with one to six shapes."""
    canvas = ground(rng, size=size)
    scatter_clutter(canvas, rng, count=int(rng.integers(3, 9)))
    owner = np.full((size, size), -1, np.int16)
    full: list[int] = []
    labels: list[int] = []
    for _ in range(int(rng.integers(1, 7))):
        label = int(rng.integers(len(CLASSES)))
        mask = _free_place(rng, label, owner=owner, full=full)
        if mask is None:
            continue
        paint(canvas, mask, rng)
        owner[mask >= 128] = len(labels)
        full.append(int((mask >= 128).sum()))
        labels.append(label)
    _strike_lines(canvas, rng, count=int(rng.integers(0, 3)))
    grain = rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(1, 6)
    image = np.clip(np.rint(canvas + grain), 0, 255).astype(np.uint8)
    boxes = np.array([visible_box(owner == index) for index in range(len(labels))], np.int64).reshape(-1, 4)
    return Scene(image, boxes, np.array(labels, np.int64), owner)


def visible_box(seen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Tight xyxy box, pixels, around the true values of [H, W]."""
    ys, xs = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def ground(rng: np.random.Generator, *, size: int) -> Floats:
    """A textured ground, float32 [S, S, 3]: noise of several octaves, a gradient, often stripes."""
    canvas = np.empty((size, size, 3), np.float32)
    # Muted colours: a grey with a tint, as most surfaces have.
    canvas[:] = rng.uniform(65, 190) + rng.uniform(-34, 34, 3)
    for cells, gain in ((3, 1.0), (7, 0.8), (16, 0.6), (40, 0.45)):
        strength = gain * rng.uniform(4, 26)
        noise = 0.8 * rng.normal(size=(cells, cells, 1)) + 0.4 * rng.normal(size=(cells, cells, 3))
        canvas += strength * cv2.resize(noise.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    along = _ramp(size, angle=rng.uniform(0, 2 * math.pi))
    canvas += (along[..., None] * (rng.uniform(-40, 40) + rng.uniform(-15, 15, 3))).astype(np.float32)
    if rng.random() < 0.45:
        wave = np.sin(_ramp(size, angle=rng.uniform(0, math.pi)) * rng.uniform(15, 70))
        canvas += (wave[..., None] * rng.uniform(5, 22) * rng.uniform(0.5, 1, 3)).astype(np.float32)
    return np.clip(canvas, 0, 255)


def _ramp(size: int, *, angle: float) -> Floats:
    """[S, S], rising from about -1 to 1 in the direction `angle` (radians)."""
    steps = np.linspace(-1, 1, size, dtype=np.float32)
    ramp = math.cos(angle) * steps[None, :] + math.sin(angle) * steps[:, None]
    return ramp.astype(np.float32, copy=False)


def scatter_clutter(canvas: Floats, rng: np.random.Generator, *, count: int) -> None:
    """Draw things that are no class, in place: lines, rings, arcs, triangles, specks."""
    size = canvas.shape[0]
    for _ in range(count):
        colour = tuple(float(v) for v in rng.uniform(20, 235, 3))
        x, y = (int(v) for v in rng.integers(0, size, 2))
        reach = int(rng.uniform(0.04, 0.16) * size) + 2
        angle = float(rng.uniform(0, 360))
        match int(rng.integers(5)):
            case 0:
                end = (x + int(3 * reach * math.cos(angle)), y + int(3 * reach * math.sin(angle)))
                cv2.line(canvas, (x, y), end, colour, int(rng.integers(1, 4)), cv2.LINE_8)
            case 1:
                cv2.circle(canvas, (x, y), reach, colour, int(rng.integers(1, 3)), cv2.LINE_8)
            case 2:
                span = (reach, max(reach // 2, 2))
                cv2.ellipse(
                    canvas, (x, y), span, angle, 0, float(rng.uniform(90, 220)), colour, 2, cv2.LINE_8
                )
            case 3:
                turns = math.radians(angle) + np.arange(3) * (2 * math.pi / 3)
                points = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], axis=1)
                cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], colour)
            case _:
                for dx, dy in rng.integers(-reach, reach + 1, (6, 2)):
                    cv2.circle(canvas, (x + int(dx), y + int(dy)), 1, colour, -1, cv2.LINE_8)


def _strike_lines(canvas: Floats, rng: np.random.Generator, *, count: int) -> None:
    for _ in range(count):
        ends = [(int(x), int(y)) for x, y in rng.integers(0, canvas.shape[0], (2, 2))]
        cv2.line(canvas, ends[0], ends[1], tuple(float(v) for v in rng.uniform(20, 235, 3)), 1, cv2.LINE_8)


def outline(label: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Corner points [P, 2] of a shape of unit extent, centred on 0."""
    turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    round_points = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    tilt = math.radians(float(rng.uniform(-14, 14)))
    match CLASSES[label]:
        case "circle":
            return round_points
        case "ellipse":
            flat = round_points * (1, 1 / rng.uniform(1.5, 2.2))
            return _turned(flat, float(rng.uniform(0, math.pi)))
        case "square":
            return _turned(_ngon(4), math.pi / 4 + tilt) * 1.1
        case "diamond":
            return _turned(_ngon(4), tilt) * 1.1
        case _:
            radius = np.where(np.arange(10) % 2 == 0, 1.15, rng.uniform(0.45, 0.55))
            return _turned(_ngon(10) * radius[:, None], float(rng.uniform(0, 2 * math.pi)))


def _ngon(corners: int) -> NDArray[np.float64]:
    turn = np.arange(corners) * (2 * math.pi / corners)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _turned(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def shape_mask(points: NDArray[np.float64], *, size: int) -> NDArray[np.uint8]:
    """Coverage 0..255 [S, S] of a polygon given in pixels [P, 2], edges anti-aliased."""
    mask = np.zeros((size, size), np.uint8)
    fixed = np.rint((points - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SUBPIXEL)
    return mask


def _free_place(
    rng: np.random.Generator, label: int, *, owner: NDArray[np.int16], full: list[int]
) -> NDArray[np.uint8] | None:
    """A mask for a new shape that leaves every earlier one visible enough; None when none was found."""
    size = owner.shape[0]
    now = np.bincount(owner[owner >= 0], minlength=len(full))
    for _ in range(_TRIES):
        extent = size * math.exp(rng.uniform(*np.log(_EXTENT)))
        points = outline(label, rng) * extent
        low, high = -points.min(axis=0) + 1, size - 1 - points.max(axis=0)
        if full and rng.random() < 0.35:
            # Go near a shape that is there, so that shapes do cover each other.
            ys, xs = np.nonzero(owner == rng.integers(len(full)))
            middle = np.array([xs.mean(), ys.mean()]) + rng.uniform(-1.6, 1.6, 2) * extent
            centre = np.clip(middle, low, high)
        else:
            centre = rng.uniform(low, high)
        mask = shape_mask(points + centre, size=size)
        covered = np.bincount(owner[(mask >= 128) & (owner >= 0)], minlength=len(full))
        if all(now[i] - covered[i] >= MIN_VISIBLE * full[i] for i in range(len(full))):
            return mask
    return None


def paint(canvas: Floats, mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Fill a mask with a colour that stands out, shaded or striped, often with a darker rim; in place."""
    x1, y1, x2, y2 = visible_box(mask > 0)
    canvas, mask = canvas[y1:y2, x1:x2], mask[y1:y2, x1:x2]
    under = canvas[mask >= 128].mean(axis=0)
    colour = rng.uniform(15, 240, 3)
    for _ in range(_TRIES):
        if np.linalg.norm(colour - under) >= _CONTRAST:
            break
        colour = rng.uniform(15, 240, 3)
    else:
        colour = np.where(under < 128, under + 100, under - 100)
    ramp = _ramp(max(mask.shape), angle=rng.uniform(0, 2 * math.pi))[: mask.shape[0], : mask.shape[1], None]
    fill = colour + ramp * rng.uniform(0, 32)
    if rng.random() < 0.3:
        fill = fill + np.sin(ramp * rng.uniform(8, 22)) * rng.uniform(8, 20)
    if rng.random() < 0.5:
        core = cv2.erode(mask, np.ones((3, 3), np.uint8))
        rim = (mask.astype(np.float32) - core) / 255
        fill = fill * (1 - 0.45 * rim[..., None])
    alpha = (mask.astype(np.float32) / 255)[..., None]
    canvas += alpha * (np.clip(fill, 0, 255) - canvas)
