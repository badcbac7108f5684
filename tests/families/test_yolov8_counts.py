"""The graph is YOLOv8: parameters per layer and in total, and FLOPs, to the last unit, at every scale."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from yolov8_numbers import DOUBLE_ATTENTION, YOLOV8, Grafted

from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import inspect_spec, model_spec, sketch
from yolograft.models.detector import Detector

SCALES = tuple(YOLOV8)


def flops(detector: Detector, size: tuple[int, int]) -> int:
    """Forward and decoding of one image, on the meta device."""
    detector.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector.decode(detector(torch.empty(1, 3, *size, device="meta")))
    return counter.get_total_flops()


def parameters(detector: Detector) -> int:
    return sum(p.numel() for p in detector.parameters())


@pytest.mark.parametrize("scale", SCALES)
def test_parameters_of_every_layer_with_80_classes(scale: str) -> None:
    facts = inspect_spec(model_spec(f"yolov8{scale}", num_classes=80))
    assert tuple(fact.params for fact in facts) == YOLOV8[scale].layers


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("classes", [80, 3])
def test_parameters_in_total(scale: str, classes: int) -> None:
    detector = sketch(model_spec(f"yolov8{scale}", num_classes=classes))
    total = YOLOV8[scale].total if classes == 80 else YOLOV8[scale].total_3
    assert parameters(detector) == total == sum(fact.params for fact in detector.facts)
    # The integral over the distance bins is fixed.
    assert sum(p.numel() for p in detector.parameters() if p.requires_grad) == total - 16


@pytest.mark.parametrize("scale", SCALES)
def test_flops(scale: str) -> None:
    detector = sketch(model_spec(f"yolov8{scale}", num_classes=80))
    assert flops(detector, (640, 640)) == YOLOV8[scale].flops_640
    assert flops(detector, (320, 320)) == YOLOV8[scale].flops_320
    assert flops(detector, (320, 640)) * 2 == YOLOV8[scale].flops_640


@pytest.mark.parametrize("row", DOUBLE_ATTENTION, ids=lambda row: f"{row.scale} {row.expression}")
def test_parameters_and_flops_of_a_grafted_detector(row: Grafted) -> None:
    spec = graft(model_spec(f"yolov8{row.scale}", num_classes=80), parse_graft(row.expression))
    detector = sketch(spec)
    assert parameters(detector) == row.params
    assert flops(detector, (640, 640)) == row.flops_640
    (new,) = (fact.params for fact in detector.facts if "+" in fact.name)
    assert new == row.params - YOLOV8[row.scale].total


@pytest.mark.parametrize("scale", SCALES)
def test_channels_and_strides_of_the_three_levels(scale: str) -> None:
    facts = {fact.name: fact for fact in inspect_spec(model_spec(f"yolov8{scale}"))}
    width, cap = {"n": (1, 16), "s": (2, 16), "m": (3, 12), "l": (4, 8), "x": (5, 8)}[scale]
    for level, stride, channels in (("p3", 8, 64), ("p4", 16, 128), ("p5", 32, 16 * min(cap, 16))):
        fact = facts[f"neck.{level}"]
        assert (fact.stride, fact.out_channels) == (stride, channels * width)
