from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from yolograft.ops.box_losses import BOX_LOSSES

every = pytest.mark.parametrize("name", BOX_LOSSES)
Box = tuple[float, float, float, float]


def reference(name: str, a: Box, b: Box) -> float:
    """Each loss as its paper writes it, one pair at a time."""
    (aw, ah), (bw, bh) = (a[2] - a[0], a[3] - a[1]), (b[2] - b[0], b[3] - b[1])
    inter = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = aw * ah + bw * bh - inter
    iou = inter / union
    hull_w, hull_h = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    dx, dy = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    distance = math.hypot(dx, dy)
    diou = iou - distance**2 / (hull_w**2 + hull_h**2)
    if name == "giou":
        return 1 - iou + (hull_w * hull_h - union) / (hull_w * hull_h)
    if name == "diou":
        return 1 - diou
    if name == "ciou":
        v = 4 / math.pi**2 * (math.atan(bw / bh) - math.atan(aw / ah)) ** 2
        return 1 - diou + (v * v / (1 - iou + v) if v else 0)
    if name == "wiou":
        return math.exp(distance**2 / (hull_w**2 + hull_h**2)) * (1 - iou)
    angle = 1 - 2 * math.sin(math.asin(abs(dy) / distance) - math.pi / 4) ** 2 if distance else 0
    gamma = 2 - angle
    delta = 2 - math.exp(-gamma * (dx / hull_w) ** 2) - math.exp(-gamma * (dy / hull_h) ** 2)
    omega = sum((1 - math.exp(-abs(p - q) / max(p, q))) ** 4 for p, q in ((aw, bw), (ah, bh)))
    return 1 - iou + (delta + omega) / 2


side = st.floats(0.5, 80)
place = st.floats(-50, 50)
box = st.tuples(place, place, side, side).map(lambda t: (t[0], t[1], t[0] + t[2], t[1] + t[3]))


def pair(a: Box, b: Box) -> tuple[Tensor, Tensor]:
    return torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)


@every
@given(a=box, b=box)
def test_equals_the_papers_formula(name: str, a: Box, b: Box) -> None:
    assert BOX_LOSSES[name](*pair(a, b)).item() == pytest.approx(reference(name, a, b), abs=2e-5)


@every
@given(a=box, b=box, scale=st.floats(0.5, 20), shift=place)
def test_moving_and_scaling_both_boxes_changes_nothing(
    name: str, a: Box, b: Box, scale: float, shift: float
) -> None:
    loss, (x, y) = BOX_LOSSES[name], pair(a, b)
    assert loss(x * scale + shift, y * scale + shift).item() == pytest.approx(loss(x, y).item(), abs=2e-5)


@every
@given(a=box)
def test_equal_boxes_cost_nothing(name: str, a: Box) -> None:
    assert BOX_LOSSES[name](*pair(a, a)).item() == pytest.approx(0, abs=2e-5)


@every
def test_descending_the_gradient_brings_a_far_box_home(name: str) -> None:
    """Boxes that do not meet have a gradient too; WIoU alone has none there but through its factor."""
    predicted, truth = pair((0, 0, 10, 30), (25, 20, 45, 40))
    predicted.requires_grad_()
    optimiser = torch.optim.Adam([predicted], lr=0.5)
    for _ in range(600):
        optimiser.zero_grad()
        BOX_LOSSES[name](predicted, truth).sum().backward()
        assert predicted.grad is not None and bool(predicted.grad.isfinite().all())
        optimiser.step()
    torch.testing.assert_close(predicted.detach(), truth, atol=1.5, rtol=0)


@every
def test_no_box_and_boxes_without_area_are_finite(name: str) -> None:
    loss = BOX_LOSSES[name]
    assert loss(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)
    a = torch.tensor([[5.0, 5, 5, 5], [0, 0, 10, 10], [3, 3, 3, 3]], requires_grad=True)
    value = loss(a, torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5], [3, 3, 3, 3]]))
    value.sum().backward()
    assert bool(value.isfinite().all()) and a.grad is not None and bool(a.grad.isfinite().all())
