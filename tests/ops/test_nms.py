from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolograft.ops import nms as nms_module
from yolograft.ops.nms import candidates, empty_detections, suppress
from yolograft.types import Detections

Row = tuple[float, int, tuple[float, ...]]


def multi_label_nms(
    boxes: Tensor, scores: Tensor, *, confidence: float = 0.001, iou: float = 0.7, limit: int = 300
) -> Detections:
    """Both steps, with one confidence."""
    found = candidates(boxes, scores, confidence=confidence)
    return suppress(found, confidence=confidence, iou=iou, limit=limit)


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0.0) * max(height, 0.0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def loop_nms(boxes: Tensor, scores: Tensor, confidence: float, limit_iou: float, limit: int) -> list[Row]:
    """The definition: best first, dropped if it overlaps a kept one of its own class."""
    rows = [
        (float(scores[a, c]), c, tuple(boxes[a].tolist()))
        for a in range(len(boxes))
        for c in range(scores.shape[1])
        if scores[a, c] > confidence
    ]
    kept: list[Row] = []
    for row in sorted(rows, key=lambda r: -r[0]):
        if all(row[1] != k[1] or iou(row[2], k[2]) <= limit_iou for k in kept):
            kept.append(row)
    return kept[:limit]


def rows_of(detections) -> list[Row]:
    table = zip(
        detections.scores.tolist(), detections.labels.tolist(), detections.boxes.tolist(), strict=True
    )
    return [(score, label, tuple(box)) for score, label, box in table]


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 4), st.sampled_from([-60.0, 0.0, 500.0]))
@settings(max_examples=60)
def test_equals_the_definition_wherever_the_boxes_lie(
    seed: int, count: int, classes: int, shift: float
) -> None:
    g = torch.Generator().manual_seed(seed)
    corner = 40 * torch.rand(count, 2, generator=g) + shift
    boxes = torch.cat((corner, corner + 5 + 60 * torch.rand(count, 2, generator=g)), 1)
    scores = torch.rand(count, classes, generator=g)
    found = multi_label_nms(boxes, scores, confidence=0.3, iou=0.6, limit=25)
    assert rows_of(found) == loop_nms(boxes, scores, 0.3, 0.6, 25)


def test_a_box_counts_for_every_class_above_the_confidence() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [100.0, 0.0, 110.0, 10.0]])
    scores = torch.tensor([[0.9, 0.8, 0.001], [0.0, 0.5, 0.0011]])
    found = multi_label_nms(boxes, scores)
    assert found.labels.tolist() == [0, 1, 1, 2]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.8, 0.5, 0.0011]))


def test_suppression_acts_within_a_class_even_at_opposite_corners() -> None:
    """Classes are kept apart by a shift; a box far outside the image must not reach the next class."""
    boxes = torch.tensor([[541.0, 541.0, 640.0, 640.0], [-100.0, -100.0, 5.0, 5.0]])
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8]])
    assert multi_label_nms(boxes, scores).labels.tolist() == [0, 1]
    same = torch.tensor([[0.9, 0.0], [0.8, 0.0]])
    assert len(multi_label_nms(boxes[[0, 0]], same).labels) == 1


def test_nothing_above_the_confidence() -> None:
    for boxes, scores in (
        (torch.zeros(0, 4), torch.zeros(0, 3)),
        (torch.rand(5, 4), torch.zeros(5, 3)),
        (torch.rand(5, 4), torch.full((5, 3), float("nan"))),
        (torch.rand(5, 4), torch.zeros(5, 0)),
    ):
        found, empty = multi_label_nms(boxes, scores), empty_detections()
        for mine, expected in zip(found, empty, strict=True):
            assert mine.shape == expected.shape and mine.dtype == expected.dtype


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    corner = torch.arange(0, 6000, 20.0)[:, None].expand(-1, 2)
    boxes = torch.cat((corner, corner + 10), 1)
    scores = torch.linspace(0.1, 0.9, 300)[:, None].expand(-1, 2).contiguous()
    found = multi_label_nms(boxes, scores)
    assert len(found.labels) == 300 and bool((found.scores.diff() <= 0).all())
    monkeypatch.setattr(nms_module, "MAX_CANDIDATES", 7)
    best = multi_label_nms(boxes, scores)
    assert len(best.labels) == 7 and torch.equal(best.scores, found.scores[:7])


def test_half_precision_comes_out_in_fp32() -> None:
    found = multi_label_nms(torch.tensor([[0.0, 0.0, 8.0, 8.0]]).bfloat16(), torch.tensor([[0.5]]).bfloat16())
    assert found.boxes.dtype == found.scores.dtype == torch.float32 and found.labels.dtype == torch.int64
