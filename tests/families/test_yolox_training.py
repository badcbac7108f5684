"""A whole YOLOX under its criterion: gradients for all parameters, grafts at its sites, a short run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from batch_cases import BATCHES, targets

from yolograft.data.loader import TrainStream
from yolograft.data.shapes import shapes
from yolograft.engine.arm import Arm, ArmRun
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Settings, train
from yolograft.families.yolox import YOLOXCriterion
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.models.weights import prove_identity
from yolograft.types import Losses, Targets

SPEC = model_spec("yolox-nano", num_classes=3)
SITES = tuple(role for role, _ in SPEC.sites)
BLOCKS = tuple(layer.name for layer in SPEC.layers if layer.module == "c3")
BRANCHES = tuple(f"head.p{level}.{branch}" for level in (3, 4, 5) for branch in ("cls", "box"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build(SPEC, seed=1)


CASES = BATCHES | {
    "only boxes outside": ((64, 64), targets((0, 0, 400, 400, 460, 460), batch=1)),
    "a point": ((64, 64), targets((0, 0, 20, 20, 20, 20), batch=1)),
}


def step(model: Detector, size: tuple[int, int], wanted: Targets, *, final: bool = True) -> Losses:
    model.train().zero_grad(set_to_none=True)
    pixels = torch.randint(256, (wanted.batch_size, 3, *size), generator=torch.Generator().manual_seed(0))
    losses = YOLOXCriterion(model.head)(model(model.normalise(pixels.byte())), wanted, final=final)
    losses.total.backward()
    return losses


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_has_a_finite_gradient(detector: Detector, name: str) -> None:
    losses = step(detector, *CASES[name], final=name != "boxes")
    assert losses.total.isfinite() and losses.total.requires_grad
    assert not any(part.requires_grad for part in losses.parts.values())
    batch = CASES[name][1].batch_size
    assert losses.total.item() == pytest.approx(sum(map(float, losses.parts.values())) * batch)
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), key
    assert bool(detector.get_parameter("layers.stem.conv.conv.weight").grad.any())  # type: ignore[union-attr]
    matched = name not in ("no boxes at all", "only boxes outside")
    assert (float(losses.parts["box"]) > 0) == (float(losses.parts["cls"]) > 0) == matched
    assert (float(losses.parts["l1"]) > 0) == (matched and name != "boxes")


@pytest.mark.parametrize("expression", ["eca@{sites}", "se@{branches}", "eca@{blocks}"])
def test_a_step_with_a_graft_at_every_place(expression: str, detector: Detector) -> None:
    places = {"sites": SITES, "branches": BRANCHES, "blocks": [f"inside:{block}" for block in BLOCKS]}
    text = expression.format_map({kind: ",".join(names) for kind, names in places.items()})
    model = build(graft(SPEC, parse_graft(text)))
    assert step(model, *CASES["boxes"]).total.isfinite()
    stock = {key for key, _ in detector.named_parameters()}
    new = {key: p for key, p in model.named_parameters() if key not in stock}
    assert len(new) + len(stock) == len(list(model.named_parameters()))
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in new.values())
    bottlenecks = sum(dict(SPEC.layer(block).args)["repeats"] for block in BLOCKS)  # type: ignore[misc]
    count = {"eca@{sites}": len(SITES), "se@{branches}": 4 * len(BRANCHES), "eca@{blocks}": bottlenecks}
    assert len(new) == count[expression]


@pytest.mark.parametrize(
    "sites", ["backbone.p3,backbone.p4,backbone.p5", "neck.p3,neck.p4,neck.p5", "head.p3.cls,head.p5.box"]
)
def test_a_graft_with_the_start_of_an_identity(sites: str) -> None:
    grafted = build(graft(SPEC, parse_graft(f"cbam:init=identity@{sites}")), seed=1)
    assert prove_identity(build(SPEC, seed=1), grafted, imgsz=(64, 96)).holds


def test_upsampling_can_be_bilinear(detector: Detector) -> None:
    item = parse_graft("upsample:mode=bilinear@replace:neck.td4.up,replace:neck.p3.up")
    model = build(graft(SPEC, item), seed=1)
    assert model.state_dict().keys() == detector.state_dict().keys()
    assert [m.upsample.mode for m in model.modules() if hasattr(m, "upsample")] == ["bilinear"] * 2
    losses, stock = (step(net, *CASES["non-square"]) for net in (model, detector))
    assert losses.total.isfinite() and losses.total != stock.total


def test_edges_name_the_connections_of_this_family() -> None:
    spec = graft(SPEC, parse_graft("se@edge:neck.lat4..neck.p4"))
    (new,) = (layer.name for layer in spec.layers if "+" in layer.name)
    assert spec.layer("neck.p4.cat").inputs == ("neck.p4.down", new)
    assert spec.layer("neck.p3.up").inputs == ("neck.lat4",)


def test_training_and_evaluation_return_one_type(detector: Detector) -> None:
    x = torch.rand(1, 3, 64, 96)
    for mode in (True, False):
        raw = detector.train(mode)(x)
        shapes = [tuple(t.shape) for level in raw.levels for t in level]
        assert shapes == [(1, c, 64 // s, 96 // s) for s in (8, 16, 32) for c in (4, 1, 3)]
        assert raw.strides == (8, 16, 32) and raw.image_size == (64, 96)


def test_a_few_steps_learn_one_batch() -> None:
    model = build(SPEC, seed=0).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    totals = []
    for _ in range(18):
        losses = step(model, *CASES["boxes"])
        optimiser.step()
        totals.append(losses.total.item())
    assert max(totals[-3:]) < 0.8 * totals[0], totals


class Silent:
    """A progress that says nothing."""

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        pass

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def test_a_short_run_on_the_built_in_shapes(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {"epochs": 4, "batch": 8, "imgsz": (64, 64), "precision": "fp32", "close_mosaic": 1}
    )
    dataset = shapes(train=16, val=4, size=64)
    stream = TrainStream(
        dataset.split("train"),
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=0,
        augment=recipe.augment,
        epochs=recipe.epochs,
        close_mosaic=recipe.close_mosaic,
    )
    base = model_spec("yolox-nano", num_classes=len(dataset.names))
    specs = {
        "baseline": base,
        "posts": graft(base, parse_graft("coord_att@backbone.p3,backbone.p4,backbone.p5")),
    }
    runs = train(
        [Arm(label, spec) for label, spec in specs.items()],
        stream,
        recipe,
        seed=0,
        folders=[tmp_path / label for label in specs],
        settings=Settings(checkpoint_seconds=1e9, group=2),
        progress=Silent(),
    )
    for run in runs:
        assert run.status == "done", run.reason
        assert all(math.isfinite(value) for row in run.history for value in row.values())
        # The L1 term comes with the last epochs, those without mosaic.
        assert [row["l1"] > 0 for row in run.history] == [False, False, False, True]
