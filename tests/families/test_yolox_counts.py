"""The graph is YOLOX: parameters per part and in total, and FLOPs, to the last unit, at every scale."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from yolox_numbers import CAM, COORD_ATT, YOLOX, Grafted

from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec, sketch
from yolograft.models.detector import Detector

SCALES = tuple(YOLOX)


@cache
def stock(scale: str, classes: int = 80) -> Detector:
    return sketch(model_spec(f"yolox-{scale}", num_classes=classes))


def flops(detector: Detector, size: tuple[int, int]) -> int:
    """Forward and decoding of one image, on the meta device."""
    detector.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector.decode(detector(torch.empty(1, 3, *size, device="meta")))
    return counter.get_total_flops()


def parameters(detector: Detector) -> int:
    return sum(p.numel() for p in detector.parameters())


def part(layer: str) -> str:
    return layer.partition(".")[0] if layer.startswith(("neck", "head")) else "backbone"


@pytest.mark.parametrize("scale", SCALES)
def test_parameters_of_every_part_with_80_classes(scale: str) -> None:
    sums = {"backbone": 0, "neck": 0, "head": 0}
    for fact in stock(scale).facts:
        sums[part(fact.name)] += fact.params
    numbers = YOLOX[scale]
    assert sums == {"backbone": numbers.backbone, "neck": numbers.neck, "head": numbers.head}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("classes", [80, 3])
def test_parameters_in_total(scale: str, classes: int) -> None:
    detector = stock(scale, classes)
    numbers = YOLOX[scale]
    total = numbers.total if classes == 80 else numbers.total_3
    assert parameters(detector) == total == sum(fact.params for fact in detector.facts)
    assert all(p.requires_grad for p in detector.parameters())
    assert len(list(detector.parameters())) == numbers.tensors
    norms = [m for m in detector.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert sum(b.numel() for b in detector.buffers()) == numbers.buffers
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


@pytest.mark.parametrize("scale", SCALES)
def test_flops(scale: str) -> None:
    detector = stock(scale)
    assert flops(detector, (640, 640)) == YOLOX[scale].flops_640
    assert flops(detector, (416, 416)) == YOLOX[scale].flops_416
    assert flops(detector, (320, 640)) * 2 == YOLOX[scale].flops_640


@pytest.mark.parametrize("row", COORD_ATT + CAM, ids=lambda row: f"{row.scale} {row.expression}")
def test_parameters_and_flops_of_a_grafted_detector(row: Grafted) -> None:
    spec = graft(model_spec(f"yolox-{row.scale}", num_classes=80), parse_graft(row.expression))
    detector = sketch(spec)
    assert parameters(detector) == row.params
    assert flops(detector, (640, 640)) == row.flops_640
    assert flops(detector, (416, 416)) == row.flops_416
    new = [fact for fact in detector.facts if "+" in fact.name]
    assert [fact.stride for fact in new] == [8, 16, 32]
    assert sum(fact.params for fact in new) == row.params - YOLOX[row.scale].total


@pytest.mark.parametrize("scale", SCALES)
def test_channels_and_strides_of_every_site(scale: str) -> None:
    facts = {fact.name: fact for fact in stock(scale).facts}
    base = {"nano": 16, "tiny": 24, "s": 32, "m": 48, "l": 64, "x": 80}[scale]
    found = {
        role: (facts[layer].stride, facts[layer].out_channels / base)
        for role, layer in stock(scale).spec.sites
    }
    assert found == {
        "stem": (2, 1),
        "backbone.p2": (4, 2),
        "backbone.p3": (8, 4),
        "backbone.p4": (16, 8),
        "backbone.p5": (32, 16),
        "backbone.sppf": (32, 16),
        "neck.lat5": (32, 8),
        "neck.td4": (16, 8),
        "neck.lat4": (16, 4),
        "neck.p3": (8, 4),
        "neck.p4": (16, 8),
        "neck.p5": (32, 16),
    }


def test_only_nano_is_depthwise() -> None:
    for scale in SCALES:
        grouped = [m for m in stock(scale).modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1]
        assert all(conv.groups == conv.in_channels and conv.kernel_size == (3, 3) for conv in grouped)
        # Downs, one a bottleneck, two in each of two branches on three levels.
        assert len(grouped) == (6 + (1 + 3 + 3 + 1) + 4 + 12 if scale == "nano" else 0)


def test_normalisation_is_bgr_from_0_to_255() -> None:
    pixels = torch.arange(3 * 32 * 32).remainder(256).to(torch.uint8).view(1, 3, 32, 32)
    assert torch.equal(stock("nano").normalise(pixels), pixels.flip(1).float())
