from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import complete_box_iou

from yolograft.ops.boxes import anchor_points, boxes_to_distances, complete_iou, distances_to_boxes

CPU = torch.device("cpu")


def boxes(count: int, seed: int, *, least: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    corner = 200 * torch.rand(count, 2, generator=g) - 50
    return torch.cat((corner, corner + least + 100 * torch.rand(count, 2, generator=g).square()), 1)


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_complete_iou_equals_torchvision(seed: int, count: int) -> None:
    a, b = boxes(count, seed), boxes(count, seed + 1)
    b = torch.where(torch.rand(count, 1, generator=torch.Generator().manual_seed(seed)) < 0.5, a + 3, b)
    torch.testing.assert_close(complete_iou(a, b), complete_box_iou(a, b).diagonal(), rtol=1e-4, atol=1e-5)


def test_complete_iou_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    assert complete_iou(a, a).item() == pytest.approx(1, abs=1e-6)
    # Half shifted: IoU 1/3, centres 5 apart, hull 15 x 10; equal aspects.
    shifted = a + torch.tensor([5.0, 0.0, 5.0, 0.0])
    assert complete_iou(a, shifted).item() == pytest.approx(1 / 3 - 25 / 325, abs=1e-6)
    assert complete_iou(a, a + 1000).item() < -0.9


def test_complete_iou_takes_any_leading_shape() -> None:
    a, b = boxes(6, 0), boxes(6, 1)
    assert torch.equal(complete_iou(a.view(2, 3, 4), b.view(2, 3, 4)).flatten(), complete_iou(a, b))
    assert complete_iou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_the_weight_of_the_aspect_term_carries_no_gradient() -> None:
    a, b = boxes(8, 2).double().requires_grad_(), boxes(8, 3).double()
    complete_iou(a, b).sum().backward()
    assert a.grad is not None
    (gradient,) = torch.autograd.grad(complete_box_iou(a, b).diagonal().sum(), a)
    torch.testing.assert_close(a.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("box", [(5.0, 5.0, 5.0, 5.0), (2.0, 3.0, 2.0, 9.0), (9.0, 9.0, 1.0, 1.0)])
def test_boxes_without_area_give_finite_values_and_gradients(box: tuple[float, ...]) -> None:
    a = torch.tensor([box, (0.0, 0.0, 10.0, 10.0)], requires_grad=True)
    b = torch.tensor([(0.0, 0.0, 10.0, 10.0), box])
    value = complete_iou(a, b)
    value.sum().backward()
    assert bool(value.isfinite().all()) and a.grad is not None and bool(a.grad.isfinite().all())


def test_anchor_points_are_cell_centres_row_by_row() -> None:
    points, strides = anchor_points([(2, 3), (1, 2)], [8, 16], CPU)
    assert points.tolist() == [
        *([0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]),
        *([0.5, 0.5], [1.5, 0.5]),
    ]
    assert strides.tolist() == [[8.0]] * 6 + [[16.0]] * 2
    assert points.dtype == strides.dtype == torch.float32
    assert (points * strides)[-1].tolist() == [24.0, 8.0]
    with pytest.raises(ValueError):
        anchor_points([(2, 3)], [8, 16], CPU)


@given(st.integers(0, 10**6))
def test_distances_and_boxes_are_inverse_inside_the_limit(seed: int) -> None:
    box = boxes(9, seed)
    point = box[:, :2] + (box[:, 2:] - box[:, :2]) * torch.rand(
        9, 2, generator=torch.Generator().manual_seed(seed)
    )
    distances = boxes_to_distances(box, point, 1000.0)
    assert bool((distances >= 0).all())
    torch.testing.assert_close(distances_to_boxes(distances, point), box)


def test_distances_are_clamped() -> None:
    box, point = torch.tensor([[0.0, 0.0, 40.0, 4.0]]), torch.tensor([[10.0, 6.0]])
    assert boxes_to_distances(box, point, 15.0).tolist() == [[10.0, 6.0, 15.0, 0.0]]
