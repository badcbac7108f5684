"""The same words on YOLOv5, YOLOX and YOLOv8: one expression, one set of places."""

from __future__ import annotations

import pytest
import torch

from yolograft.errors import SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.sites import origin
from yolograft.models.build import build, model_spec
from yolograft.models.catalog import FAMILIES, model_names
from yolograft.models.weights import prove_identity
from yolograft.types import Targets

SMALLEST = ("yolov5n", "yolox-nano", "yolov8n")
SHARED_SITES = (
    "stem",
    *(f"backbone.p{level}" for level in (2, 3, 4, 5)),
    "backbone.sppf",
    "neck.td4",
    *(f"neck.p{level}" for level in (3, 4, 5)),
)
STRIDES = {"stem": 2, "backbone.sppf": 32, "neck.td4": 16} | {
    f"{part}.p{level}": 2**level for part in ("backbone", "neck") for level in (2, 3, 4, 5)
}
EXPRESSIONS = (
    "se@neck.p3,neck.p4,neck.p5",
    "coord_att@backbone.p3,backbone.p4,backbone.p5",
    "cbam@inside:backbone.p4",
    "nam@edge:backbone.p4..neck.td4",
    "eca@before:backbone.sppf",
    "simam@backbone.sppf+nam@backbone.sppf",
    "upsample:mode=bilinear@replace:neck.td4.up,replace:neck.p3.up",
)


@pytest.mark.parametrize("model", model_names())
def test_every_scale_has_every_site_at_its_stride(model: str) -> None:
    from yolograft.models.build import inspect_spec

    spec = model_spec(model, num_classes=3)
    strides = {fact.name: fact.stride for fact in inspect_spec(spec)}
    for site in SHARED_SITES:
        assert strides[origin(spec, site).name] == STRIDES[site], site
    assert [strides[name] for name in spec.head.inputs] == [8, 16, 32]
    lateral = {f"neck.lat{level}" for level in (4, 5)} & dict(spec.sites).keys()
    assert len(lateral) == (0 if spec.family == "yolov8" else 2)


@pytest.mark.parametrize("model", SMALLEST)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_one_expression_trains_on_every_family(model: str, expression: str) -> None:
    spec = graft(model_spec(model, num_classes=3), parse_graft(expression))
    detector = build(spec)
    images = detector.normalise(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [10.0, 20.0, 60.0, 56.0]])
    targets = Targets(boxes, torch.tensor([0, 2]), torch.tensor([0, 0]), 2)  # the second image is empty
    losses = detector.family.criterion(detector.head)(detector(images), targets, final=True)
    losses.total.backward()
    assert torch.isfinite(losses.total)
    without = [name for name, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize("model", SMALLEST)
def test_identity_at_five_sites_changes_nothing(model: str) -> None:
    sites = "backbone.p3,backbone.p5,neck.p3,neck.p4,neck.p5"
    stock = model_spec(model, num_classes=3)
    base, grafted = build(stock), build(graft(stock, parse_graft(f"coord_att@{sites}", init="identity")))
    shared = {k: v for k, v in base.state_dict().items() if k in grafted.state_dict()}
    assert len(shared) == len(base.state_dict())
    grafted.load_state_dict({**grafted.state_dict(), **shared})
    assert prove_identity(base, grafted, imgsz=(64, 96)).holds


@pytest.mark.parametrize("model", SMALLEST)
@pytest.mark.parametrize("size", [(32, 32), (64, 160), (96, 32)])
def test_decoding_covers_every_cell_once(model: str, size: tuple[int, int]) -> None:
    detector = build(model_spec(model, num_classes=5)).eval()
    with torch.no_grad():
        raw = detector(torch.zeros(1, 3, *size))
        boxes, scores = detector.decode(raw)
    cells = sum(size[0] * size[1] // stride**2 for stride in (8, 16, 32))
    per_cell = 3 if model.startswith("yolov5") else 1
    assert boxes.shape == (1, cells * per_cell, 4) and scores.shape == (1, cells * per_cell, 5)
    assert boxes.dtype == scores.dtype == torch.float32
    assert (boxes[..., 2:] >= boxes[..., :2]).all() and (scores >= 0).all() and (scores <= 1).all()


@pytest.mark.parametrize("model", SMALLEST)
def test_a_batch_without_boxes_has_a_loss_and_gradients(model: str) -> None:
    detector = build(model_spec(model, num_classes=3))
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 1)
    losses = detector.family.criterion(detector.head)(detector(torch.rand(1, 3, 64, 64)), empty)
    losses.total.backward()
    assert torch.isfinite(losses.total) and losses.total > 0
    assert all(p.grad is not None for p in detector.head.parameters() if p.requires_grad)


def test_each_family_states_how_pixels_enter() -> None:
    pixels = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    seen = {}
    for model in SMALLEST:
        detector = build(model_spec(model, num_classes=1))
        seen[model] = detector.normalise(pixels)[0, :, 0, 0].tolist()
    assert seen["yolox-nano"] == [30.0, 20.0, 10.0]
    for model in ("yolov5n", "yolov8n"):
        assert seen[model] == pytest.approx([10 / 255, 20 / 255, 30 / 255])


def test_names_of_models_are_those_users_type() -> None:
    assert {"yolov5n", "yolov8x", "yolox-nano", "yolox-tiny", "yolox-s"} <= set(model_names())
    assert len(model_names()) == sum(len(family.scales) for family in FAMILIES.values())
    with pytest.raises(SpecError, match="yolox-s"):
        model_spec("yoloxs")


def test_yolox_predicts_in_full_precision_under_autocast() -> None:
    """Raw sizes are logarithms: rounded to bf16 they cost accuracy, where v8's distributions do not."""
    detector = build(model_spec("yolox-nano", num_classes=3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        raw = detector(detector.normalise(torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)))
    assert {m.dtype for level in raw.levels for m in level} == {torch.float32}
    raw.levels[0][0].sum().backward()
    assert detector.head.box_pred[0].weight.grad.dtype == torch.float32
