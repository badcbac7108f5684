"""Assignment, losses and decoding of YOLOv8 against plain loops, and what must hold at the edges."""

from __future__ import annotations

from itertools import count

import pytest
import torch
import yolov8_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from yolov8_cases import CASES, CLASSES, STRIDES, draw_targets, near, noise

from yolograft.errors import ModuleError
from yolograft.families.yolov8 import REG_MAX, Integral, YOLOv8Criterion, YOLOv8Head, decode
from yolograft.types import RawPredictions, Targets

RULES = ("paper", "widened")
NOTHING = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 2)


def criterion(rule: str = "widened", **settings: float) -> YOLOv8Criterion:
    return YOLOv8Criterion(small_boxes=rule, **settings)  # type: ignore[arg-type]


def untied(name: str, rule: str) -> tuple[RawPredictions, Targets, dict]:
    """The first drawing of a case in which the choice of every box is determined."""
    for seed in count():
        targets = draw_targets(name, seed)
        raw = near(name, targets, seed)
        try:
            return raw, targets, loops.assign(raw, targets, small_boxes=rule)
        except loops.TiedError:
            assert seed < 60, "no drawing without ties"
    raise AssertionError


def as_dict(raw: RawPredictions, targets: Targets, rule: str, **settings: float) -> dict:
    assigned = criterion(rule, **settings).assign_raw(raw, targets)
    per_image = sum(box.shape[2] * box.shape[3] for box, _ in raw.levels)
    rows = zip(*(t.tolist() for t in assigned), strict=True)
    found = {divmod(anchor, per_image): (target, score) for anchor, target, score in rows}
    assert len(found) == assigned.anchor.numel()
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CASES)
def test_assignment_and_losses_equal_plain_loops(name: str, rule: str) -> None:
    raw, targets, expected = untied(name, rule)
    found = as_dict(raw, targets, rule)
    assert {key: target for key, (target, _) in found.items()} == {k: t for k, (t, _) in expected.items()}
    for key, (_, score) in expected.items():
        assert found[key][1] == pytest.approx(score, rel=1e-4, abs=1e-6)
    assert expected or (rule == "paper" and "small" in name)
    result = criterion(rule)(raw, targets)
    wanted = loops.losses(raw, targets, expected)
    for part, value in result.parts.items():
        assert float(value) == pytest.approx(wanted[part], rel=1e-5), part
    assert float(result.total) == pytest.approx(wanted["total"], rel=1e-5)


def test_the_crowded_case_has_anchors_that_several_boxes_want() -> None:
    raw, targets, expected = untied("crowded", "widened")
    alone = set()
    for t in range(len(targets.labels)):
        one = Targets(targets.boxes[[t]], targets.labels[[t]], targets.image[[t]], targets.batch_size)
        keys = set(as_dict(raw, one, "widened"))
        if alone & keys:
            break
        alone |= keys
    else:
        pytest.fail("nothing is contested")
    assert max(sum(t == k for t, _ in expected.values()) for k in range(len(targets.labels))) <= 10


@pytest.mark.parametrize(
    "settings", [{"top_k": 1}, {"top_k": 4}, {"alpha": 1.0, "beta": 2.0}, {"top_k": 500}]
)
def test_settings_of_the_assigner(settings: dict[str, float]) -> None:
    raw, targets, _ = untied("non-square", "widened")
    try:
        expected = loops.assign(raw, targets, small_boxes="widened", **settings)  # type: ignore[arg-type]
    except loops.TiedError:
        pytest.skip("tied under these settings")
    found = as_dict(raw, targets, "widened", **settings)
    assert {k: t for k, (t, _) in found.items()} == {k: t for k, (t, _) in expected.items()}
    assert [s for _, s in found.values()] == pytest.approx([expected[k][1] for k in found], rel=1e-4)


def test_gains_scale_their_part() -> None:
    raw, targets, expected = untied("square", "widened")
    gains = (2.0, 3.0, 5.0)
    result = criterion(box_gain=2.0, cls_gain=3.0, dfl_gain=5.0)(raw, targets)
    wanted = loops.losses(raw, targets, expected, gains=gains)
    assert {k: float(v) for k, v in result.parts.items()} == pytest.approx(
        {k: v for k, v in wanted.items() if k != "total"}, rel=1e-5
    )


def test_small_boxes_find_more_anchors_when_widened() -> None:
    targets = draw_targets("small", 0)
    raw = near("small", targets, 0)
    paper, widened = (set(as_dict(raw, targets, rule)) for rule in RULES)
    assert len(widened) > len(paper)


def test_from_16_px_on_the_rules_agree() -> None:
    targets = draw_targets("crowded", 3)
    raw = near("crowded", targets, 3)
    paper, widened = (criterion(rule)(raw, targets).total for rule in RULES)
    assert torch.equal(paper, widened)


@given(
    seed=st.integers(0, 10**6), batch=st.integers(1, 3), boxes=st.integers(0, 12), rule=st.sampled_from(RULES)
)
@settings(max_examples=40)
def test_any_assignment_is_sound(seed: int, batch: int, boxes: int, rule: str) -> None:
    g = torch.Generator().manual_seed(seed)
    raw = noise((64, 96), batch, seed)
    corner = torch.rand(boxes, 2, generator=g) * torch.tensor([110.0, 80.0]) - 10
    size = torch.rand(boxes, 2, generator=g).square() * 120
    image = torch.randint(0, batch, (boxes,), generator=g).sort().values
    labels = torch.randint(0, CLASSES, (boxes,), generator=g)
    targets = Targets(torch.cat((corner, corner + size), 1), labels, image, batch)
    result = criterion(rule)(raw, targets)
    assert result.total.isfinite() and all(float(v) >= 0 for v in result.parts.values())
    if not boxes:
        return
    assigned = criterion(rule).assign_raw(raw, targets)
    anchors = sum(64 * 96 // s**2 for s in STRIDES)
    assert assigned.anchor.unique().numel() == assigned.anchor.numel()
    assert torch.equal(assigned.anchor // anchors, image[assigned.target])
    assert bool(((assigned.score >= 0) & (assigned.score <= 1)).all())
    assert int(torch.bincount(assigned.target, minlength=1).max()) <= 10 * max(boxes, 1)
    order = torch.randperm(boxes, generator=g).sort(stable=True).indices
    order = order[image[order].sort(stable=True).indices]
    shuffled = Targets(targets.boxes[order], labels[order], image[order], batch)
    torch.testing.assert_close(criterion(rule)(raw, shuffled).total, result.total, rtol=1e-4, atol=1e-4)


def test_the_class_loss_without_boxes_is_that_of_background() -> None:
    raw = noise((64, 64), 2, 0)
    result = criterion()(raw, NOTHING)
    wanted = loops.losses(raw, NOTHING, {})
    assert float(result.parts["cls"]) == pytest.approx(wanted["cls"], rel=1e-5)
    assert result.parts["box"] == result.parts["dfl"] == 0


def leaves(raw: RawPredictions) -> RawPredictions:
    return raw._replace(levels=tuple((b.requires_grad_(), c.requires_grad_()) for b, c in raw.levels))


def test_two_equal_boxes_count_once() -> None:
    targets = draw_targets("batch of one", 1)
    raw = near("batch of one", targets, 1)
    twice = Targets(*(torch.cat((t, t)) for t in targets[:3]), 1)  # type: ignore[arg-type]
    once, both = criterion().assign_raw(raw, targets), criterion().assign_raw(raw, twice)
    assert torch.equal(once.anchor, both.anchor)
    assert torch.equal(once.target, both.target)  # the first of equals
    torch.testing.assert_close(once.score, both.score)
    torch.testing.assert_close(criterion()(raw, targets).total, criterion()(raw, twice).total)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "box",
    [
        (-200.0, -300.0, 400.0, 500.0),  # larger than the image, and than 15 cells of any level
        (30.0, 30.0, 30.0, 30.0),  # no area
        (10.0, 20.0, 50.0, 20.0),  # a line
        (500.0, 500.0, 520.0, 520.0),  # outside
        (-20.0, -20.0, -5.0, -5.0),
        (0.0, 0.0, 64.0, 64.0),
    ],
)
def test_odd_boxes_give_finite_losses_and_gradients(box: tuple[float, ...], rule: str) -> None:
    raw = leaves(noise((64, 64), 1, 4))
    one = torch.zeros(1, dtype=torch.long)
    criterion(rule)(raw, Targets(torch.tensor([box]), one, one, 1)).total.backward()
    for box_map, cls_map in raw.levels:
        assert box_map.grad is not None and bool(box_map.grad.isfinite().all())
        assert cls_map.grad is not None and bool(cls_map.grad.isfinite().all())
        assert bool(cls_map.grad.abs().sum() > 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [0.0, 60.0, 1e4])
@pytest.mark.parametrize("bin", [0, 15, None])
def test_degenerate_predictions_give_finite_gradients(rule: str, scale: float, bin: int | None) -> None:
    """Predicted boxes without area (all distances 0), of full reach, and certain classes."""
    raw = noise((64, 64), 1, 5)
    for box, cls in raw.levels:
        box.mul_(scale)
        if bin is not None:
            box.view(1, 4, REG_MAX, -1)[:, :, bin] += 1e3
        cls.mul_(scale)
    raw, one = leaves(raw), torch.zeros(1, dtype=torch.long)
    result = criterion(rule)(raw, Targets(torch.tensor([[8.0, 8.0, 52.0, 40.0]]), one, one, 1))
    assert result.total.isfinite()
    result.total.backward()
    assert all(t.grad is not None and bool(t.grad.isfinite().all()) for level in raw.levels for t in level)


def test_losses_and_decoding_stay_fp32_under_autocast() -> None:
    raw, targets, _ = untied("square", "widened")
    head = YOLOv8Head([16, 16, 16], num_classes=CLASSES, strides=STRIDES)
    plain, boxes = criterion()(raw, targets), decode(raw, head)
    assigned = criterion().assign_raw(raw, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(criterion()(raw, targets).total, plain.total)
        assert all(torch.equal(a, b) for a, b in zip(decode(raw, head), boxes, strict=True))
        assert torch.equal(criterion().assign_raw(raw, targets).score, assigned.score)
    half = raw._replace(levels=tuple((b.bfloat16(), c.bfloat16()) for b, c in raw.levels))
    assert criterion()(half, targets).total.dtype == torch.float32
    assert all(t.dtype == torch.float32 for t in decode(half, head))


def test_memory_layout_changes_nothing() -> None:
    raw, targets, _ = untied("non-square", "widened")
    last = raw._replace(
        levels=tuple(tuple(t.to(memory_format=torch.channels_last) for t in level) for level in raw.levels)
    )
    torch.testing.assert_close(criterion()(last, targets).total, criterion()(raw, targets).total)


@pytest.mark.parametrize("size", [(64, 64), (32, 96), (160, 32)])
def test_decoding_equals_plain_loops(size: tuple[int, int]) -> None:
    raw = noise(size, 2, 7)
    boxes, scores = decode(raw, YOLOv8Head([16, 16, 16], num_classes=CLASSES, strides=STRIDES))
    assert boxes.shape == (2, sum(size[0] * size[1] // s**2 for s in STRIDES), 4)
    for image in range(2):
        anchors = loops.anchors_of(raw, image)
        torch.testing.assert_close(boxes[image], torch.tensor([a.box for a in anchors]), rtol=1e-5, atol=1e-3)
        expected = torch.tensor([[loops.sigmoid(v) for v in a.cls] for a in anchors])
        torch.testing.assert_close(scores[image], expected, rtol=1e-5, atol=1e-6)


def test_the_integral_is_fixed() -> None:
    integral = Integral()
    assert torch.equal(integral.conv.weight.flatten(), torch.arange(16.0))
    assert not any(p.requires_grad for p in integral.parameters())
    certain = torch.full((1, 1, 4, REG_MAX), -1e4)
    for side, distance in enumerate((0, 3, 7, 15)):
        certain[0, 0, side, distance] = 1e4
    assert integral(certain.flatten(2)).tolist() == [[[0.0, 3.0, 7.0, 15.0]]]


def test_branches_of_the_head() -> None:
    head = YOLOv8Head([32, 64, 128], num_classes=5, strides=STRIDES)
    assert head.slots() == ("p3.cls", "p3.box", "p4.cls", "p4.box", "p5.cls", "p5.box")
    with pytest.raises(ModuleError, match=r"no branch 'p6\.cls'") as caught:
        YOLOv8Head([32, 64, 128], num_classes=5, strides=STRIDES, inside={"p6.cls": torch.nn.Conv2d})  # type: ignore[dict-item]
    assert caught.value.code == "YG209" and "p5.box" in caught.value.fix


def test_a_new_head_expects_few_objects() -> None:
    """About five objects in an image of 640 x 640, whatever the class count, before any training."""
    for classes in (1, 80):
        head = YOLOv8Head([32, 64, 128], num_classes=classes, strides=STRIDES).eval()
        raw = head(
            [torch.zeros(1, c, 640 // s, 640 // s) for c, s in zip((32, 64, 128), STRIDES, strict=True)]
        )
        assert raw.image_size == (640, 640)
        for _, cls in raw.levels:
            assert cls.detach().sigmoid().sum().item() == pytest.approx(5, rel=0.02)
