"""Modules that learn from the boxes, inside whole detectors of every family."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from yolograft.attention.density import Density
from yolograft.attention.guided import GuidedAttention
from yolograft.engine.arm import Arm, ArmRun, Length
from yolograft.engine.device import open_fabric
from yolograft.engine.recipe import Recipe
from yolograft.errors import MAX_LINE, ModuleError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.models.usercode import UserClass
from yolograft.types import RawPredictions, Targets

CLASSES, SIZE = 2, (64, 96)
DENSITY = "density@neck.p3,neck.p5"
families = pytest.mark.parametrize("model", ["yolov5n", "yolov8n", "yolox-nano"])


def detector_of(model: str, expression: str = "") -> Detector:
    spec = model_spec(model, num_classes=CLASSES)
    return build(graft(spec, parse_graft(expression)) if expression else spec, seed=3)


def batch() -> tuple[Tensor, Targets]:
    """Two images; the boxes, two of them overlapping, are in the first."""
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [16.0, 8.0, 48.0, 40.0], [60.0, 30.0, 90.0, 60.0]])
    zeros = torch.zeros(3, dtype=torch.int64)
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return images, Targets(boxes, zeros, zeros, 2)


def inner(detector: Detector, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in detector.layers.modules() if isinstance(module, kind)]


def with_scores(raw: RawPredictions, patterns: list[Tensor], model: str) -> RawPredictions:
    """Raw predictions whose class scores are the patterns [B, 1, H, W], level by level."""
    levels = []
    for maps, pattern in zip(raw.levels, patterns, strict=True):
        logit = pattern.logit()
        if model == "yolov5n":
            batch, _, height, width = maps[0].shape
            level = torch.zeros(batch, 3, 5 + CLASSES, height, width)
            level[:, :, 4], level[:, :, 5:] = 40.0, logit[:, :, None]
            levels.append((level.flatten(1, 2),))
        elif model == "yolov8n":
            levels.append((torch.zeros_like(maps[0]), logit.expand(-1, CLASSES, -1, -1)))
        else:
            obj = torch.full_like(maps[1], 40.0)
            levels.append((torch.zeros_like(maps[0]), obj, logit.expand(-1, CLASSES, -1, -1)))
    return raw._replace(levels=tuple(levels))


@families
@torch.no_grad()
def test_densities_stand_in_the_order_of_decode_and_the_map_passes_untouched(model: str) -> None:
    detector, plain = detector_of(model, DENSITY).eval(), detector_of(model).eval()
    images, _ = batch()
    assert detector.densities() is None and plain.densities() is None
    raw, stock = detector(images), plain(images)
    for maps, same in zip(raw.levels, stock.levels, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(maps, same, strict=True))
    assert plain.densities() is None
    found = detector.densities()
    assert found is not None and found.dtype == torch.float32

    # Every cell of every level and image has a number of its own, as density and as class score.
    sizes = [(SIZE[0] // stride, SIZE[1] // stride) for stride in raw.strides]
    torch.manual_seed(1)
    numbers = torch.rand(2, sum(h * w for h, w in sizes)) * 0.8 + 0.1
    cut = numbers.split([h * w for h, w in sizes], 1)
    patterns = [part.view(2, 1, *size) for part, size in zip(cut, sizes, strict=True)]
    for module, pattern in zip(inner(detector, Density), (patterns[0], patterns[2]), strict=True):
        assert module.density.shape == pattern.shape  # type: ignore[union-attr]
        module.density = pattern  # type: ignore[assignment]
    _, scores = detector.decode(with_scores(raw, patterns, model))
    densities = detector.densities()
    assert densities is not None and densities.shape == scores.shape[:2] == found.shape
    _, level = detector.decode(with_scores(raw, [p * 0 + (i + 1) / 5 for i, p in enumerate(patterns)], model))
    middle = (level[..., 0] - 2 / 5).abs() < 0.01
    torch.testing.assert_close(densities, torch.where(middle, 0.0, scores[..., 0]), rtol=1e-4, atol=1e-5)
    assert int(middle.sum()) == 2 * 4 * 6 * (3 if model == "yolov5n" else 1)


@families
def test_every_family_trains_what_the_boxes_supervise(model: str) -> None:
    text = "guided:init=identity@neck.p3,neck.p4+guided:mode=background@neck.p5+density@neck.p3"
    detector = detector_of(model, text).train()
    images, targets = batch()
    detector(images)
    assert detector.auxiliary_loss() is None
    loss = detector.auxiliary_loss(targets)
    assert loss is not None and loss.isfinite()
    loss.backward()
    for module in (*inner(detector, GuidedAttention), *inner(detector, Density)):
        assert all(p.grad is not None and p.grad.any() for p in module.parameters())


def test_the_sum_is_penalties_and_supervision_times_the_batch() -> None:
    detector = detector_of("yolov8n", "nam:penalty=0.1@neck.p4+guided@neck.p3").train()
    images, targets = batch()
    penalty = detector.auxiliary_loss()
    assert penalty is not None and penalty.item() == pytest.approx(0.1 * 128)
    detector(images)
    [guided] = inner(detector, GuidedAttention)
    kept = guided.logits
    both = detector.auxiliary_loss(targets)
    guided.logits = kept  # type: ignore[assignment]
    alone = guided.supervise(targets, image_size=SIZE)  # type: ignore[operator]
    assert both is not None and both.item() == pytest.approx(penalty.item() + 2 * alone.item(), rel=1e-6)
    guided.eval()
    detector(images)
    held_still = detector.auxiliary_loss(targets)
    assert held_still is not None and held_still.item() == penalty.item()
    assert detector_of("yolov8n").auxiliary_loss(targets) is None


def test_a_step_of_an_arm_trains_them_and_its_detector_copies() -> None:
    expression = "guided@neck.p3+density:joint=off@neck.p4"
    spec = graft(model_spec("yolov8n", num_classes=CLASSES), parse_graft(expression))
    given = {"epochs": 1, "batch": 2, "imgsz": SIZE, "precision": "fp32", "close_mosaic": 0}
    run = ArmRun(
        Arm("both", spec),
        Recipe.model_validate(given),
        fabric=open_fabric("cpu", "fp32"),
        precision="fp32",
        seed=0,
        length=Length(total_steps=4, steps_per_epoch=4),
    )
    watched = (*inner(run.detector, GuidedAttention), *inner(run.detector, Density))
    before = [p.detach().clone() for module in watched for p in module.parameters()]
    images, targets = batch()
    run.step(images, targets, ("a", "b"))
    empty = Targets(targets.boxes[:0], targets.labels[:0], targets.image[:0], 2)
    run.step(images, empty, ("a", "b"))
    assert run.steps == 2 and run.status == "running"
    after = [p for module in watched for p in module.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    run.detector(images)  # the graph of this pass is still held
    twin = copy.deepcopy(run.detector)
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), run.detector.parameters(), strict=True))
    assert not any(key.endswith((".density", ".logits")) for key in run.tensors())
    with torch.no_grad():
        run.shadow(images)
    found = run.shadow.densities()
    assert found is not None and found.shape == (2, 8 * 12 + 4 * 6 + 2 * 3) and not found.requires_grad


def test_a_density_where_no_level_is_read_is_none() -> None:
    """Adaptive suppression would be hard suppression and not say so."""
    detector = detector_of("yolov8n", "density@stem").eval()
    with torch.no_grad():
        detector(batch()[0])
    [module] = inner(detector, Density)
    assert module.density is not None and detector.densities() is None


class Told(nn.Module):
    """A stranger's module whose loss is of any form."""

    answer: object = None

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


TOLD = "test_supervised.py::Told"
CODE = {TOLD: UserClass(Told, "Told", __name__, "", "")}


@pytest.mark.parametrize("answer", [torch.ones(2, 1, 3, 3), torch.ones(0), 0.5, None])
def test_a_loss_that_is_no_single_number_is_one_line(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = graft(model_spec("yolov8n", num_classes=CLASSES), parse_graft(f"{TOLD}@neck.p3"))
    detector = build(spec, code=CODE).train()
    monkeypatch.setattr(Told, "answer", answer)
    with pytest.raises(ModuleError, match=r"YG208 Told\.supervise returns") as caught:
        detector.auxiliary_loss(batch()[1])
    assert len(caught.value.line()) <= MAX_LINE
    monkeypatch.setattr(Told, "answer", torch.full((1, 1), 0.5))
    one = detector.auxiliary_loss(batch()[1])
    assert one is not None and one.shape == () and one.item() == 1.0


def test_what_a_strangers_loss_raises_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = graft(model_spec("yolov8n", num_classes=CLASSES), parse_graft(f"{TOLD}@neck.p3"))
    given = {"epochs": 1, "batch": 2, "imgsz": SIZE, "precision": "fp32", "close_mosaic": 0}
    run = ArmRun(
        Arm("told", spec, code=CODE),
        Recipe.model_validate(given),
        fabric=open_fabric("cpu", "fp32"),
        precision="fp32",
        seed=0,
        length=Length(total_steps=4, steps_per_epoch=4),
    )
    monkeypatch.setattr(Told, "answer", ValueError("no boxes here"))
    with pytest.raises(ModuleError, match=r"YG208 .*ValueError: no boxes here") as caught:
        run.step(*batch(), ("a", "b"))
    assert "test_supervised.py:" in caught.value.line()
