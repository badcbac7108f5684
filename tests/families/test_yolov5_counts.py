"""The graph is YOLOv5 v6: parameters per layer and in total, and FLOPs, to the last unit, at every scale."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from yolov5_numbers import ANCHORS, GRAFTED, YOLOV5, Grafted

from yolograft.errors import ModuleError, SpecError
from yolograft.graph.anchors import anchors_of, with_anchors
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, inspect_spec, model_spec, sketch
from yolograft.models.detector import Detector

SCALES = tuple(YOLOV5)


def flops(detector: Detector, size: tuple[int, int]) -> int:
    """Forward and decoding of one image, on the meta device."""
    detector.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector.decode(detector(torch.empty(1, 3, *size, device="meta")))
    return counter.get_total_flops()


@pytest.mark.parametrize("scale", SCALES)
def test_parameters_and_flops(scale: str) -> None:
    numbers = YOLOV5[scale]
    detector = sketch(model_spec(f"yolov5{scale}", num_classes=80))
    assert tuple(fact.params for fact in detector.facts) == numbers.layers
    assert sum(p.numel() for p in detector.parameters()) == numbers.total
    assert all(p.requires_grad for p in detector.parameters())
    assert flops(detector, (640, 640)) == numbers.flops_640
    assert flops(detector, (320, 320)) == numbers.flops_320
    assert flops(detector, (320, 640)) * 2 == numbers.flops_640
    of_three = inspect_spec(model_spec(f"yolov5{scale}", num_classes=3))
    assert sum(fact.params for fact in of_three) == numbers.total_3


@pytest.mark.parametrize("row", GRAFTED, ids=lambda row: f"{row.scale} {row.classes} {row.expression}")
def test_parameters_and_flops_of_a_grafted_detector(row: Grafted) -> None:
    spec = graft(model_spec(f"yolov5{row.scale}", num_classes=row.classes), parse_graft(row.expression))
    detector = sketch(spec)
    assert sum(p.numel() for p in detector.parameters()) == row.params
    assert flops(detector, (640, 640)) == row.flops_640


def test_layers_and_sites_are_called_as_in_yolov8() -> None:
    five, eight = model_spec("yolov5n"), model_spec("yolov8n")
    names, others = [layer.name for layer in five.layers], [layer.name for layer in eight.layers]
    assert [name for name in names if name in others] == others
    assert set(names) - set(others) == {"neck.lat5", "neck.lat4"}
    assert len(names) == 25 and names.index("neck.lat5") == 10 and names.index("neck.lat4") == 14
    assert set(dict(five.sites)) - set(dict(eight.sites)) == {"neck.lat5", "neck.lat4"}
    assert five.layer("neck.p5.cat").inputs == ("neck.p5.down", "neck.lat5")
    assert five.layer("neck.p4.cat").inputs == ("neck.p4.down", "neck.lat4")


@pytest.mark.parametrize("scale", SCALES)
def test_channels_and_strides(scale: str) -> None:
    facts = {fact.name: fact for fact in inspect_spec(model_spec(f"yolov5{scale}"))}
    width = {"n": 1, "s": 2, "m": 3, "l": 4, "x": 5}[scale]
    for name, stride, channels in (
        ("stem", 2, 16),
        ("neck.p3", 8, 64),
        ("neck.lat4", 16, 64),
        ("neck.lat5", 32, 128),
        ("neck.p5", 32, 256),
    ):
        assert (facts[name].stride, facts[name].out_channels) == (stride, channels * width), name


def test_a_spec_carries_its_anchors() -> None:
    spec = model_spec("yolov5s", num_classes=3)
    assert anchors_of(spec) == ANCHORS
    other = with_anchors(spec, tuple(2 * side for side in ANCHORS))
    assert ModelSpec.from_json(other.to_json()) == other and other.digest() != spec.digest()
    head = build(other).head
    assert head.anchors.flatten().tolist() == [2.0 * side for side in ANCHORS]
    assert head.anchors.shape == (3, 3, 2)
    # Weights are the same tensors whatever the anchors are.
    assert build(other).state_dict().keys() == build(spec).state_dict().keys()


@pytest.mark.parametrize("levels", [("p3", "p4"), ("p4", "p5"), ("p5",), ("p3", "p5")])
def test_a_head_on_fewer_levels_keeps_the_anchors_of_those(levels: tuple[str, ...]) -> None:
    spec = model_spec("yolov5n", num_classes=3, levels=levels)
    wanted = [side for level in levels for side in ANCHORS[6 * (int(level[1]) - 3) :][:6]]
    assert anchors_of(spec) == tuple(wanted)
    detector = build(spec).eval()
    boxes, scores = detector.decode(detector(torch.rand(1, 3, 64, 96)))
    cells = sum(64 * 96 // 4 ** int(level[1]) for level in levels)
    assert boxes.shape == (1, 3 * cells, 4) and scores.shape == (1, 3 * cells, 3)


def test_biases_start_at_eight_objects_an_image_and_rare_classes() -> None:
    head = build(model_spec("yolov5n", num_classes=3), seed=4).head
    for conv, stride in zip(head.predict, (8, 16, 32), strict=True):
        bias = conv.bias.detach().view(3, 8)
        spread = 1 / math.sqrt(conv.in_channels)
        assert (bias[:, :4].abs() <= spread).all()
        assert (bias[:, 4] - math.log(8 / (640 / stride) ** 2)).abs().max() <= spread
        assert (bias[:, 5:] - math.log(0.6 / (3 - 0.99999))).abs().max() <= spread


@pytest.mark.parametrize(
    ("spec", "code", "says"),
    [
        (lambda: graft(model_spec("yolov5n"), parse_graft("se@head.p3.cls")), "YG209", "neck.p3"),
        (lambda: graft(model_spec("yolov5n"), parse_graft("se@inside:head.p5.box")), "YG209", "neck.p3"),
        (lambda: graft(model_spec("yolov5n"), parse_graft("se@inside:head")), "YG122", "no bottlenecks"),
        (lambda: model_spec("yolov5n", levels=("p2", "p3")), "YG132", "p3,p4,p5"),
        (lambda: with_anchors(model_spec("yolov8n"), ANCHORS), "YG133", "without anchors"),
        (lambda: with_anchors(model_spec("yolov5n"), ANCHORS[:12]), "YG133", "takes 18"),
        (lambda: with_anchors(model_spec("yolov5n"), (0, *ANCHORS[1:])), "YG210", "positive"),
        (lambda: with_anchors(model_spec("yolov5n"), (math.inf, *ANCHORS[1:])), "YG210", "positive"),
    ],
)
def test_what_this_family_has_not_is_said_in_one_line(spec, code: str, says: str) -> None:
    with pytest.raises((ModuleError, SpecError)) as caught:
        inspect_spec(spec())
    assert caught.value.code == code
    line = caught.value.line()
    assert says in line and len(line) <= 240 and "\n" not in line
