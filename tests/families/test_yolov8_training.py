"""A whole YOLOv8 under its criterion: finite losses, and a gradient for every parameter."""

from __future__ import annotations

import pytest
import torch
from batch_cases import BATCHES, targets

from yolograft.families.yolov8 import YOLOv8Criterion
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector

SPEC = model_spec("yolov8n", num_classes=3)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build(SPEC, seed=1)


CASES = BATCHES | {
    "only boxes outside": ((64, 64), targets((0, 0, 200, 200, 260, 260), batch=1)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_has_a_finite_gradient(detector: Detector, name: str) -> None:
    size, wanted = CASES[name]
    detector.train()
    detector.zero_grad(set_to_none=True)
    images = torch.rand(wanted.batch_size, 3, *size, generator=torch.Generator().manual_seed(0))
    losses = YOLOv8Criterion()(detector(images), wanted)
    assert losses.total.isfinite() and losses.total.requires_grad
    assert not any(part.requires_grad for part in losses.parts.values())
    assert losses.total.item() == pytest.approx(sum(map(float, losses.parts.values())) * wanted.batch_size)
    losses.total.backward()
    for key, parameter in detector.named_parameters():
        if key == "layers.head.dfl.conv.weight":
            assert parameter.grad is None and not parameter.requires_grad
            continue
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), key
    alive = {key for key, p in detector.named_parameters() if p.grad is not None and bool(p.grad.any())}
    branches = {"cls"} if name in ("no boxes at all", "only boxes outside") else {"cls", "box"}
    assert {key.split(".")[2] for key in alive if key.startswith("layers.head.")} == branches
    assert "layers.stem.conv.weight" in alive


def test_training_moves_the_loss_down() -> None:
    detector = build(SPEC, seed=0).train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    optimiser = torch.optim.SGD(detector.parameters(), lr=0.002, momentum=0.9)
    totals = []
    for _ in range(12):
        losses = YOLOv8Criterion()(detector(images), CASES["boxes"][1])
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        totals.append(losses.total.item())
    assert totals[-1] < 0.8 * totals[0]
    assert torch.equal(detector.head.dfl.conv.weight.flatten(), torch.arange(16.0))


def test_training_and_evaluation_return_one_type() -> None:
    detector = build(SPEC)
    x = torch.rand(1, 3, 64, 96)
    for mode in (True, False):
        raw = detector.train(mode)(x)
        assert [tuple(t.shape) for level in raw.levels for t in level] == [
            (1, c, 64 // s, 96 // s) for s in (8, 16, 32) for c in (64, 3)
        ]
        assert raw.strides == (8, 16, 32) and raw.image_size == (64, 96)
