"""Matching, losses and decoding of YOLOv5 against plain loops, and what must hold at the edges."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
import yolov5_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from yolov5_numbers import ANCHORS

from yolograft.families.yolov5 import YOLOv5Criterion, YOLOv5Head, decode
from yolograft.ops.box_losses import BOX_LOSSES
from yolograft.types import RawPredictions, Targets

STRIDES = (8, 16, 32)
CLASSES = 3
# name: image size (H, W), boxes per image, sides in pixels
CASES: dict[str, tuple[tuple[int, int], tuple[int, ...], tuple[float, float]]] = {
    "square": ((64, 64), (3, 4), (8, 60)),
    "batch of one": ((64, 64), (3,), (8, 60)),
    "non-square": ((64, 96), (4, 1), (6, 90)),
    "one image without boxes": ((64, 64), (2, 0, 3), (10, 50)),
    "first image without boxes": ((64, 64), (0, 2), (10, 50)),
    "no boxes at all": ((64, 64), (0, 0), (10, 50)),
    "crowded": ((64, 64), (20, 12), (10, 40)),
    "tiny": ((64, 64), (4, 4), (0.5, 6)),
    "huge": ((128, 128), (3, 3), (90, 128)),
}


def make_head(classes: int = CLASSES, strides: tuple[int, ...] = STRIDES) -> YOLOv5Head:
    anchors = ANCHORS[: 6 * len(strides)] or ANCHORS
    if len(strides) > 3:
        anchors = (*ANCHORS, *(2 * side for side in ANCHORS[12:]))[: 6 * len(strides)]
    return YOLOv5Head([4] * len(strides), num_classes=classes, strides=strides, anchors=anchors)


def pairs(head: YOLOv5Head) -> loops.Anchors:
    return [[(w, h) for w, h in level] for level in head.anchors.tolist()]


def noise(head: YOLOv5Head, size: tuple[int, int], batch: int, seed: int) -> RawPredictions:
    g = torch.Generator().manual_seed(seed)
    levels = tuple(
        (2 * torch.randn(batch, head.out_channels, size[0] // s, size[1] // s, generator=g),)
        for s in head.strides
    )
    return RawPredictions(levels, head.strides, size)


def draw(name: str, seed: int, classes: int = CLASSES) -> Targets:
    """Boxes on quarters of a pixel, so that edges of cells are met and computed without rounding."""
    (height, width), counts, (least, most) = CASES[name]
    g = torch.Generator().manual_seed(seed)
    total = sum(counts)
    limit = torch.tensor([width, height], dtype=torch.float32)
    size = (least + (most - least) * torch.rand(total, 2, generator=g)).minimum(limit)
    corner = (limit - size) * torch.rand(total, 2, generator=g)
    boxes = (4 * torch.cat((corner, corner + size), 1)).round() / 4
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Targets(boxes, torch.randint(0, classes, (total,), generator=g), image, len(counts))


def at(*boxes: tuple[float, float, float, float]) -> Targets:
    """One image with boxes (centre x, centre y, width, height) of classes 0, 1, 2 in turn."""
    table = torch.tensor(boxes).reshape(-1, 4)
    corners = torch.cat((table[:, :2] - table[:, 2:] / 2, table[:, :2] + table[:, 2:] / 2), 1)
    labels = torch.arange(len(table)) % CLASSES
    return Targets(corners, labels, torch.zeros(len(table), dtype=torch.long), 1)


def check(head: YOLOv5Head, raw: RawPredictions, targets: Targets) -> None:
    criterion = YOLOv5Criterion(head, scaled=False, box_gain=1.0, obj_gain=1.0, cls_gain=1.0)
    for found, expected in zip(
        criterion.match(raw, targets), loops.match(raw, targets, pairs(head)), strict=True
    ):
        places = torch.stack((found.image, found.anchor, found.row, found.column, found.target), 1)
        assert places.tolist() == [list(p[:5]) for p in expected]
        assert found.box.tolist() == [pytest.approx(p.box, rel=1e-6, abs=1e-6) for p in expected]
    result = criterion(raw, targets)
    balance = (4.0, 1.0, 0.4) if len(head.strides) == 3 else (4.0, 1.0, 0.25, 0.06, 0.02)
    wanted = loops.losses(raw, targets, pairs(head), balance)
    assert {k: float(v) for k, v in result.parts.items()} == pytest.approx(wanted, rel=2e-5, abs=1e-6)
    assert float(result.total) == pytest.approx(sum(wanted.values()) * targets.batch_size, rel=2e-5)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_matching_and_losses_equal_plain_loops(name: str, seed: int) -> None:
    head = make_head()
    targets = draw(name, seed)
    check(head, noise(head, CASES[name][0], targets.batch_size, seed), targets)


@pytest.mark.parametrize("strides", [(8,), (8, 16), (8, 16, 32, 64)])
def test_other_numbers_of_levels(strides: tuple[int, ...]) -> None:
    head = make_head(strides=strides)
    targets = draw("huge", 2)
    check(head, noise(head, (128, 128), targets.batch_size, 2), targets)


def test_one_class_has_no_class_term() -> None:
    head = make_head(classes=1)
    targets = draw("square", 3, classes=1)
    raw = noise(head, (64, 64), 2, 3)
    check(head, raw, targets)
    assert float(YOLOv5Criterion(head)(raw, targets).parts["cls"]) == 0


EDGES = (0.0, 0.25, 3.75, 4.0, 8.0, 11.75, 12.0, 12.25, 16.0, 32.0, 56.0, 60.0, 63.75, 64.0)


@pytest.mark.parametrize("x", EDGES)
def test_centres_on_edges_of_cells_and_of_the_image(x: float) -> None:
    head = make_head()
    check(head, noise(head, (64, 64), 1, 4), at(*((x, y, 20, 24) for y in EDGES)))


def test_sides_at_the_threshold_do_not_match() -> None:
    head = make_head()
    raw = noise(head, (64, 64), 1, 5)
    width, height = ANCHORS[:2]
    beyond = YOLOv5Criterion(head).match(raw, at((32, 32, 4 * width, 4 * height)))
    inside = YOLOv5Criterion(head).match(raw, at((32, 32, 4 * width - 0.25, 4 * height - 0.25)))
    assert 0 not in beyond[0].anchor.tolist() and 0 in inside[0].anchor.tolist()
    for flat in ((32, 32, 0, 20), (32, 32, 20, 0), (32, 32, 0, 0)):
        assert all(m.target.numel() == 0 for m in YOLOv5Criterion(head).match(raw, at(flat)))


def test_of_boxes_on_one_cell_and_anchor_the_last_one_is_written() -> None:
    head = make_head()
    raw = noise(head, (64, 64), 1, 6)
    one, other = (20, 20, 20, 24), (21, 21, 22, 22)
    criterion = YOLOv5Criterion(head)
    for order in ((one, other), (other, one)):
        targets = at(*order)
        check(head, raw, targets)
        match = criterion.match(raw, targets)[0]
        places = zip(*(t.tolist() for t in (match.anchor, match.row, match.column)), strict=True)
        assert max(Counter(places).values()) == 2
    first, second = (criterion(raw, at(*order)).parts["obj"] for order in ((one, other), (other, one)))
    assert first != second


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
@pytest.mark.parametrize("batch", [1, 2])
def test_decoding_equals_plain_loops(size: tuple[int, int], batch: int) -> None:
    head = make_head()
    raw = noise(head, size, batch, 7)
    boxes, scores = decode(raw, head)
    for image in range(batch):
        rows = [row for row in loops.decode(raw, pairs(head)) if row[0] == image]
        assert torch.allclose(boxes[image], torch.tensor([r[1] for r in rows]), rtol=1e-5, atol=1e-4)
        assert torch.allclose(scores[image], torch.tensor([r[2] for r in rows]), rtol=1e-5, atol=1e-7)


def test_gains_replace_the_base_and_are_scaled_unless_told_otherwise() -> None:
    head = make_head()
    raw, targets = noise(head, (64, 96), 2, 8), draw("non-square", 8)
    plain = YOLOv5Criterion(head, scaled=False, box_gain=1.0, obj_gain=1.0, cls_gain=1.0)(raw, targets).parts
    stock = YOLOv5Criterion(head)(raw, targets).parts
    factors = {"box": 0.05, "obj": (96 / 640) ** 2, "cls": 0.5 * CLASSES / 80}
    for key, factor in factors.items():
        assert float(stock[key]) == pytest.approx(factor * float(plain[key]), rel=1e-5)
    given = YOLOv5Criterion(head, box_gain=0.1, obj_gain=3.0, cls_gain=2.0)(raw, targets).parts
    for key, times in (("box", 2), ("obj", 3), ("cls", 4)):
        assert float(given[key]) == pytest.approx(times * float(stock[key]), rel=1e-5)
    two = make_head(strides=(8, 16))
    assert YOLOv5Criterion(two).gains(noise(two, (640, 320), 1, 0)) == pytest.approx(
        (0.05 * 1.5, 1.5, 0.5 * CLASSES / 80 * 1.5)
    )


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_box_losses_by_name(name: str) -> None:
    head = make_head()
    raw, targets = noise(head, (64, 64), 2, 9), draw("crowded", 9)
    stock = YOLOv5Criterion(head)(raw, targets).parts
    parts = YOLOv5Criterion(head, box_loss=name)(raw, targets).parts  # type: ignore[arg-type]
    assert parts["obj"] == stock["obj"] and parts["cls"] == stock["cls"]
    assert (parts["box"] == stock["box"]) == (name == "ciou") and bool(parts["box"].isfinite())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_format_and_autocast_change_nothing(dtype: torch.dtype) -> None:
    head = make_head()
    targets = draw("crowded", 10)
    raw = noise(head, (64, 64), 2, 10)
    raw = raw._replace(levels=tuple((level.to(dtype),) for (level,) in raw.levels))
    last = raw._replace(
        levels=tuple((level.contiguous(memory_format=torch.channels_last),) for (level,) in raw.levels)
    )
    expected = YOLOv5Criterion(head)(raw, targets).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = YOLOv5Criterion(head)(last, targets).total
        boxes, scores = decode(last, head)
    assert expected.dtype == found.dtype == boxes.dtype == scores.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert torch.equal(boxes, decode(raw, head)[0])


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 3), boxes=st.integers(0, 12))
@settings(max_examples=40)
def test_any_matching_is_sound(seed: int, batch: int, boxes: int) -> None:
    g = torch.Generator().manual_seed(seed)
    size = (64, 96)
    limit = torch.tensor([96.0, 64.0])
    sides = limit * torch.rand(boxes, 2, generator=g) ** 2
    corner = (limit - sides) * torch.rand(boxes, 2, generator=g)
    image = torch.randint(0, batch, (boxes,), generator=g).sort().values
    labels = torch.randint(0, CLASSES, (boxes,), generator=g)
    targets = Targets(torch.cat((corner, corner + sides), 1), labels, image, batch)
    head = make_head()
    raw = noise(head, size, batch, seed)
    criterion = YOLOv5Criterion(head)
    for match, level, anchors, stride in zip(
        criterion.match(raw, targets), raw.levels, head.anchors, STRIDES, strict=True
    ):
        height, width = level[0].shape[-2:]
        assert torch.equal(match.image, targets.image[match.target])
        assert ((match.row >= 0) & (match.row < height) & (match.column >= 0) & (match.column < width)).all()
        # At most three cells an anchor and box, and each within what 2 sigmoid - 0.5 can say.
        counts = Counter(zip(match.anchor.tolist(), match.target.tolist(), strict=True))
        assert max(counts.values(), default=0) <= 3
        assert ((match.box[:, :2] >= -0.5) & (match.box[:, :2] <= 1.5)).all()
        ratio = match.box[:, 2:] * stride / anchors[match.anchor]
        assert bool((ratio.maximum(1 / ratio) < 4 * (1 + 1e-6)).all())
    losses = criterion(raw, targets)
    assert bool(losses.total.isfinite()) and all(float(v) >= 0 for v in losses.parts.values())
    # The order of the boxes decides nothing but which of several on one cell is written.
    again = criterion(raw, targets)
    assert torch.equal(losses.total, again.total)


def test_the_loss_vanishes_where_predictions_are_the_boxes() -> None:
    head = make_head()
    targets = at((20, 20, 24, 24))
    raw = noise(head, (64, 64), 1, 11)
    for (level,), match, anchors, stride in zip(
        raw.levels, YOLOv5Criterion(head).match(raw, targets), head.anchors, STRIDES, strict=True
    ):
        view = level.view(1, 3, -1, *level.shape[-2:])
        view[:, :, 4] = -30
        xy = (match.box[:, :2] + 0.5) / 2
        wh = (match.box[:, 2:] * stride / anchors[match.anchor]).sqrt() / 2
        where = (match.image, match.anchor, slice(None), match.row, match.column)
        wanted = torch.full((len(xy), 5 + CLASSES), -30.0)
        wanted[:, :4] = torch.cat((xy, wh), 1).clamp(1e-6, 1 - 1e-6).logit()
        wanted[:, 4] = 30
        wanted[range(len(xy)), 5 + targets.labels[match.target]] = 30
        view[where] = wanted
    parts = YOLOv5Criterion(head, scaled=False)(raw, targets).parts
    assert max(float(v) for v in parts.values()) < 1e-4
