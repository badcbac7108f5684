"""Assignment, losses and decoding of YOLOX against plain loops, and what must hold at the edges."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yolox_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from yolox_cases import CASES, CLASSES, STRIDES, draw_targets, drawn, near, noise, single

from yolograft.errors import ModuleError
from yolograft.families.yolox import YOLOXCriterion, YOLOXHead, decode
from yolograft.types import RawPredictions, Targets

NOTHING = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 2)


def targets(*rows: tuple[int, int, float, float, float, float], batch: int = 1) -> Targets:
    """Rows of image, label, x1, y1, x2, y2."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Targets(table[:, 2:], table[:, 1].long(), table[:, 0].long(), batch)


def as_dict(raw: RawPredictions, wanted: Targets, **options: Any) -> loops.Found:
    assigned = YOLOXCriterion(**options).assign_raw(raw, wanted)
    per_image = sum(box.shape[2] * box.shape[3] for box, _, _ in raw.levels)
    rows = list(zip(*(t.tolist() for t in assigned), strict=True))
    assert [anchor for anchor, _, _ in rows] == sorted({anchor for anchor, _, _ in rows})
    return {divmod(anchor, per_image): (target, iou) for anchor, target, iou in rows}


def assert_same(found: loops.Found, expected: loops.Found) -> None:
    assert {key: target for key, (target, _) in found.items()} == {k: t for k, (t, _) in expected.items()}
    for key, (_, iou) in expected.items():
        assert found[key][1] == pytest.approx(iou, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("final", [False, True])
def test_assignment_and_losses_equal_plain_loops(name: str, final: bool) -> None:
    raw, wanted = drawn(name, 3)
    expected = loops.assign(raw, wanted)
    assert expected
    assert_same(as_dict(raw, wanted), expected)
    result = YOLOXCriterion()(raw, wanted, final=final)
    losses = loops.losses(raw, wanted, expected, final=final)
    assert {key: float(v) for key, v in result.parts.items()} == pytest.approx(
        {key: v for key, v in losses.items() if key != "total"}, rel=1e-9
    )
    assert float(result.total) == pytest.approx(losses["total"], rel=1e-9)
    assert (losses["l1"] > 0) == final


@pytest.mark.parametrize("name", ["crowded", "smaller than a cell", "small and crowded"])
@pytest.mark.parametrize("seed", range(4))
def test_assignment_under_competition(name: str, seed: int) -> None:
    raw, wanted = drawn(name, seed)
    assert_same(as_dict(raw, wanted), loops.assign(raw, wanted))


@pytest.mark.parametrize("seed", range(4))
def test_assignment_on_noise(seed: int) -> None:
    wanted = draw_targets((64, 96), (6, 0, 3), (4, 60), seed)
    raw = noise((64, 96), 3, seed)
    assert_same(as_dict(raw, wanted), loops.assign(raw, wanted))


def test_the_cases_hold_what_they_are_for() -> None:
    """Boxes that share anchors, boxes that have to take an anchor far from them, several anchors a box."""
    raw, wanted = drawn("crowded", 3)
    boxes, labels, image, batch = wanted
    apart = [Targets(boxes[[i]], labels[[i]], image[[i]], batch) for i in range(len(labels))]
    picks = [key for one in apart for key in as_dict(raw, one)]
    assert len(set(picks)) < len(picks)
    assert max(picks.count(key) for key in picks) > 1
    raw, wanted = drawn("smaller than a cell", 3)
    anchors = {index: loops.anchors_of(raw, index) for index in range(2)}
    found = loops.assign(raw, wanted)
    corners = {index: loops.boxes_of(wanted, index) for index in range(2)}
    picked = [(anchors[index][a], corners[index][target]) for (index, a), (target, _) in found.items()]
    far = sum(not all(loops.places(anchor, box, 2.5)) for anchor, box in picked)
    assert 0 < far < len(found)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_k": 3}, {"centre_radius": 1.5}, {"top_k": 500}])
def test_settings_of_the_assigner(options: dict[str, Any]) -> None:
    raw, wanted = drawn("crowded", 5)
    names = {"centre_radius": "radius", "top_k": "top_k"}
    expected = loops.assign(raw, wanted, **{names[key]: value for key, value in options.items()})
    assert_same(as_dict(raw, wanted, **options), expected)


def test_gains_scale_their_part() -> None:
    raw, wanted = drawn("square", 0)
    gains = (2.0, 3.0, 5.0, 7.0)
    result = YOLOXCriterion(box_gain=2.0, obj_gain=3.0, cls_gain=5.0, l1_gain=7.0)(raw, wanted, final=True)
    losses = loops.losses(raw, wanted, loops.assign(raw, wanted), final=True, gains=gains)
    assert [float(v) for v in result.parts.values()] == pytest.approx([losses[k] for k in result.parts])


def test_single_precision_assigns_like_double() -> None:
    same = total = 0
    for seed in range(40):
        raw, wanted = drawn("small and crowded", seed)
        wide, narrow = as_dict(raw, wanted), as_dict(single(raw), wanted)
        total += len(wide)
        same += sum(key in narrow and narrow[key][0] == target for key, (target, _) in wide.items())
        parts = YOLOXCriterion()(single(raw), wanted, final=True).parts
        assert {v.dtype for v in parts.values()} == {torch.float32}
    assert total - same <= 0.001 * total


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 3), boxes=st.integers(0, 12), final=st.booleans())
@settings(max_examples=40)
def test_any_assignment_is_sound(seed: int, batch: int, boxes: int, final: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    raw = noise((64, 96), batch, seed, classes=12)
    corner = torch.rand(boxes, 2, generator=g) * torch.tensor([110.0, 80.0]) - 10
    size = torch.rand(boxes, 2, generator=g).square() * 120
    image = torch.randint(0, batch, (boxes,), generator=g).sort().values
    # Of two boxes of one class that no prediction overlaps, the first wins; of two classes, the cheaper.
    labels = torch.randperm(12, generator=g)[:boxes]
    wanted = Targets(torch.cat((corner, corner + size), 1), labels, image, batch)
    result = YOLOXCriterion()(raw, wanted, final=final)
    assert result.total.isfinite() and all(float(v) >= 0 for v in result.parts.values())
    if not boxes:
        return
    assigned = YOLOXCriterion().assign_raw(raw, wanted)
    anchors = sum(64 * 96 // s**2 for s in STRIDES)
    assert assigned.anchor.unique().numel() == assigned.anchor.numel()
    assert torch.equal(assigned.anchor // anchors, image[assigned.target])
    assert bool(((assigned.overlap >= 0) & (assigned.overlap <= 1)).all())
    # A box may win anchors that others had picked, never more than all picks of its image.
    assert int(torch.bincount(assigned.target, minlength=1).max()) <= 10 * boxes
    order = torch.randperm(boxes, generator=g)
    order = order[image[order].sort(stable=True).indices]
    shuffled = Targets(wanted.boxes[order], labels[order], image[order], batch)
    torch.testing.assert_close(YOLOXCriterion()(raw, shuffled, final=final).total, result.total)


@given(seed=st.integers(0, 10**6), height=st.integers(1, 5), width=st.integers(1, 5))
@settings(max_examples=20)
def test_any_size_of_image_equals_plain_loops(seed: int, height: int, width: int) -> None:
    size = 32 * height, 32 * width
    wanted = draw_targets(size, (2, 1), (3, 60), seed)
    raw = near(size, wanted, seed)
    assert_same(as_dict(raw, wanted), loops.assign(raw, wanted))


def test_more_boxes_than_anchors() -> None:
    wanted = draw_targets((32, 32), (60,), (2, 30), 0)  # 21 anchors
    raw = near((32, 32), wanted, 0)
    expected = loops.assign(raw, wanted)
    assert_same(as_dict(raw, wanted), expected)
    assert len(expected) <= 21 < len(wanted.labels)


def test_of_identical_boxes_the_first_takes_all() -> None:
    row = (0, 1, 8.0, 6.0, 50.0, 52.0)
    one, five = targets(row), targets(*[row] * 5)
    raw = near((64, 64), one, 1)
    assert as_dict(raw, five) == as_dict(raw, one)
    assert {target for target, _ in as_dict(raw, five).values()} == {0}


def test_a_box_out_of_reach_of_every_anchor() -> None:
    away = targets((0, 0, 900, 900, 950, 950))
    raw = noise((64, 64), 1, 0)
    assert as_dict(raw, away) == {}
    assert float(YOLOXCriterion()(raw, away).total) == float(YOLOXCriterion()(raw, NOTHING).total) / 2
    # Beside another box it may claim what that one reaches.
    both = targets((0, 0, 10, 10, 50, 50), (0, 1, 900, 900, 950, 950))
    assert_same(as_dict(raw, both), loops.assign(raw, both))


def test_without_boxes_only_objectness_is_left() -> None:
    raw = noise((64, 64), 2, 0)
    result = YOLOXCriterion()(raw, NOTHING, final=True)
    expected = sum(torch.nn.functional.softplus(obj).sum() for _, obj, _ in raw.levels)
    assert float(result.parts["obj"]) == pytest.approx(float(expected))
    assert [float(result.parts[key]) for key in ("box", "cls", "l1")] == [0, 0, 0]


@pytest.mark.parametrize("box_loss", ["iou2", "ciou", "giou", "diou", "siou", "wiou"])
def test_every_box_loss_is_zero_on_a_perfect_prediction(box_loss: Any) -> None:
    wanted = targets((0, 1, 10, 14, 50, 54))
    raw = near((64, 64), wanted, 0, spread=0.0)
    result = YOLOXCriterion(box_loss=box_loss)(raw, wanted, final=True)
    assert float(result.parts["box"]) == pytest.approx(0, abs=1e-6)
    assert float(result.parts["l1"]) == pytest.approx(0, abs=1e-6)
    assert float(YOLOXCriterion(box_loss=box_loss)(noise((64, 64), 1, 0), wanted).parts["box"]) > 0.1


def test_bfloat16_maps_are_read_in_full_precision() -> None:
    raw, wanted = drawn("square", 2)
    levels = tuple(tuple(t.bfloat16() for t in level) for level in raw.levels)
    rounded = RawPredictions(levels, raw.strides, raw.image_size)
    widened = RawPredictions(
        tuple(tuple(t.float() for t in level) for level in levels), raw.strides, raw.image_size
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low, high = (YOLOXCriterion()(r, wanted, final=True) for r in (rounded, widened))
        boxes, scores = decode(rounded, head())
    assert torch.equal(low.total, high.total)
    assert boxes.dtype == scores.dtype == low.total.dtype == torch.float32


def test_predictions_that_are_not_numbers_do_not_crash_it() -> None:
    raw, wanted = drawn("crowded", 0)
    for value in (float("nan"), float("inf"), 1e6):
        broken = single(raw)
        for level in broken.levels:
            for branch in level:
                branch.view(-1)[::7] = value
        result = YOLOXCriterion()(broken, wanted, final=True)
        assert result.total.ndim == 0


def head(**options: Any) -> YOLOXHead:
    return YOLOXHead([8, 16, 32], num_classes=CLASSES, strides=STRIDES, hidden=8, **options)


def test_decoding_equals_plain_loops() -> None:
    raw = noise((64, 96), 2, 4)
    boxes, scores = decode(raw, head())
    for image in range(2):
        for a in loops.anchors_of(raw, image):
            assert boxes[image, a.index].tolist() == pytest.approx(a.box)
            expected = [loops.sigmoid(v) * loops.sigmoid(a.obj) for v in a.cls]
            assert scores[image, a.index].tolist() == pytest.approx(expected)


def test_the_head_starts_at_its_prior() -> None:
    maps = [torch.zeros(1, c, 64 // s, 64 // s) for c, s in zip((8, 16, 32), STRIDES, strict=True)]
    for predict in (*(h := head()).cls_pred, *h.obj_pred):
        assert torch.allclose(predict.bias.sigmoid(), torch.tensor(0.01))  # type: ignore[union-attr]
    _, scores = decode(h.eval()(maps), h)
    assert bool((scores < 0.01).all())


def test_a_slot_the_head_lacks_is_named() -> None:
    with pytest.raises(ModuleError, match=r"YG209.*p6\.cls.*p3\.cls, p3\.box"):
        head(inside={"p6.cls": lambda _: torch.nn.Identity()})
