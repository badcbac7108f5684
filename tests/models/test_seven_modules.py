"""The seven modules of the posts at three places: whole detectors, one step of their criterion."""

from __future__ import annotations

import gc

import pytest
import torch

from yolograft.families.yolov8 import YOLOv8Criterion
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.types import Targets

SEVEN = ("se", "eca", "cbam", "coord_att", "nam", "double_att", "cloformer")
SITES = ("neck.p3", "backbone.p4", "inside:backbone.p3")


def step(scale: str, expression: str) -> None:
    """One forward and backward at 64 px, one of the two images without boxes."""
    spec = graft(model_spec(f"yolov8{scale}", num_classes=3), parse_graft(expression))
    detector = build(spec, seed=1).train()
    boxes = torch.tensor([[4.0, 4, 30, 40], [20, 10, 60, 50], [2, 30, 20, 62]])
    targets = Targets(boxes, torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64), 2)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    losses = YOLOv8Criterion()(detector(images), targets)
    assert losses.total.isfinite()
    losses.total.backward()
    grafted = 0
    for name, parameter in detector.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
        grafted += int("+" in name or ".inner." in name)
    assert grafted, "no parameter of the graft was found"


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("module", SEVEN)
def test_one_step_at_scale_n(module: str, site: str) -> None:
    step("n", f"{module}@{site}")


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("module", SEVEN)
@pytest.mark.parametrize("scale", "smlx")
def test_one_step_at_the_larger_scales(scale: str, module: str, site: str) -> None:
    step(scale, f"{module}@{site}")
    gc.collect()
