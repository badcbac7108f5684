"""A whole YOLOv5 under its criterion: finite losses, gradients for all parameters, a graft at every site."""

from __future__ import annotations

import pytest
import torch
from batch_cases import BATCHES, targets

from yolograft.families.yolov5 import YOLOv5Criterion
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.types import Losses, Targets

SPEC = model_spec("yolov5n", num_classes=3)
SITES = tuple(role for role, _ in SPEC.sites)
BLOCKS = tuple(layer.name for layer in SPEC.layers if layer.module == "c3")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build(SPEC, seed=1)


CASES = BATCHES | {
    "outside": ((64, 64), targets((0, 0, 200, 200, 260, 260), (0, 1, -90, -70, -30, -30), batch=1)),
    "a point": ((64, 64), targets((0, 0, 20, 20, 20, 20), batch=1)),
}


def step(model: Detector, size: tuple[int, int], wanted: Targets) -> Losses:
    model.train().zero_grad(set_to_none=True)
    images = torch.rand(wanted.batch_size, 3, *size, generator=torch.Generator().manual_seed(0))
    losses = YOLOv5Criterion(model.head)(model(images), wanted)
    losses.total.backward()
    return losses


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_has_a_finite_gradient(detector: Detector, name: str) -> None:
    losses = step(detector, *CASES[name])
    assert losses.total.isfinite() and losses.total.requires_grad
    assert not any(part.requires_grad for part in losses.parts.values())
    batch = CASES[name][1].batch_size
    assert losses.total.item() == pytest.approx(sum(map(float, losses.parts.values())) * batch)
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), key
    assert bool(detector.get_parameter("layers.stem.conv.weight").grad.any())  # type: ignore[union-attr]
    matched = name not in ("no boxes at all", "a point")
    assert (float(losses.parts["box"]) > 0) == (float(losses.parts["cls"]) > 0) == matched


@pytest.mark.parametrize("site", SITES)
def test_a_step_with_a_graft_at_every_site(site: str) -> None:
    model = build(graft(SPEC, parse_graft(f"coord_att@{site}")))
    assert step(model, *CASES["boxes"]).total.isfinite()
    new = {key: p for key, p in model.named_parameters() if "+" in key}
    assert new and all(p.grad is not None and bool(p.grad.isfinite().all()) for p in new.values())


@pytest.mark.parametrize("block", BLOCKS)
def test_a_step_with_a_graft_inside_every_block(block: str) -> None:
    model = build(graft(SPEC, parse_graft(f"eca@inside:{block}")))
    assert step(model, *CASES["boxes"]).total.isfinite()
    new = {key: p for key, p in model.named_parameters() if ".inner." in key}
    assert len(new) == dict(SPEC.layer(block).args)["repeats"] and all(
        p.grad is not None for p in new.values()
    )


def test_edges_name_the_connections_of_this_family() -> None:
    spec = graft(SPEC, parse_graft("se@edge:neck.lat5..neck.p5"))
    (new,) = (layer.name for layer in spec.layers if "+" in layer.name)
    assert spec.layer("neck.p5.cat").inputs == ("neck.p5.down", new)
    assert spec.layer("neck.td4.up").inputs == ("neck.lat5",)


def test_a_few_steps_learn_one_batch() -> None:
    model = build(SPEC, seed=0).train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = YOLOv5Criterion(model.head)
    totals = []
    for _ in range(15):
        losses = criterion(model(images), CASES["boxes"][1])
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        totals.append(losses.total.item())
    assert totals[-1] < 0.8 * totals[0], totals


def test_training_and_evaluation_return_one_type(detector: Detector) -> None:
    x = torch.rand(1, 3, 64, 96)
    for mode in (True, False):
        raw = detector.train(mode)(x)
        shapes = [tuple(t.shape) for level in raw.levels for t in level]
        assert shapes == [(1, 3 * (5 + 3), 64 // s, 96 // s) for s in (8, 16, 32)]
        assert raw.strides == (8, 16, 32) and raw.image_size == (64, 96)
