"""Arms that branch from a half-trained baseline: its weights, moments and counters go with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import arm_of, assert_same_end, differing, run_arms, snapshot, tiny_recipe

from yolograft.engine.arm import DONE, RUNNING, Arm, ArmRun
from yolograft.engine.checkpoint import newest_checkpoint
from yolograft.errors import CheckpointError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec

RECIPE = tiny_recipe(epochs=4)


def _identity() -> Arm:
    item = parse_graft("coord_att@neck.p3", init="identity")
    return Arm("ca", graft(model_spec("yolov8n", num_classes=5), item))


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a baseline, the newest after two of four epochs."""
    base = tmp_path_factory.mktemp("trunk")
    (run,) = run_arms([arm_of()], base, recipe=RECIPE, until=2)
    assert (run.status, run.steps) == (RUNNING, 4)
    return base / "baseline"


def test_a_pause_leaves_no_trace(trunk: Path, tmp_path: Path) -> None:
    (whole,) = run_arms([arm_of()], tmp_path / "whole", recipe=RECIPE)
    (paused,) = run_arms([arm_of()], tmp_path / "paused", recipe=RECIPE, trunk=trunk)
    assert whole.status == DONE
    assert_same_end(paused, whole)


def test_the_same_net_branches_as_if_it_had_gone_on(trunk: Path, tmp_path: Path) -> None:
    twin = Arm("twin", arm_of().spec)
    straight, branched = run_arms([arm_of(), twin], tmp_path, recipe=RECIPE, trunk=trunk)
    assert differing(snapshot(straight), snapshot(branched)) == []


def test_an_identity_graft_starts_where_the_baseline_stands(trunk: Path, tmp_path: Path) -> None:
    (run,) = run_arms([_identity()], tmp_path, recipe=RECIPE, trunk=trunk, until=2)
    (base,) = run_arms([arm_of()], tmp_path, recipe=RECIPE, trunk=trunk, until=2)
    assert (run.steps, run.history) == (base.steps, base.history)
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for grafted, stock in ((run.shadow, base.shadow), (run.detector, base.detector)):
            found, meant = (net.decode(net.eval()(image)) for net in (grafted, stock))
            assert all(torch.equal(a, b) for a, b in zip(found, meant, strict=True))


def test_moments_follow_their_parameter_by_name(trunk: Path, tmp_path: Path) -> None:
    (run,) = run_arms([_identity()], tmp_path, recipe=RECIPE, trunk=trunk, until=2)
    found = newest_checkpoint(trunk)
    assert found is not None
    tensors, state = found
    moments = {
        f"{state['parameters'][int(key.split('.')[1])]}.{key.split('.')[2]}": value
        for key, value in tensors.items()
        if key.startswith("optimizer.")
    }
    own = _moments_by_name(run)
    assert moments.keys() == own.keys()
    assert all(torch.equal(moments[key], own[key]) for key in moments)
    assert not any("ca" in key or "+" in key for key in own)


def _moments_by_name(run: ArmRun) -> dict[str, torch.Tensor]:
    names = run.state()["parameters"]
    return {
        f"{names[int(key.split('.')[1])]}.{key.split('.')[2]}": value
        for key, value in run.tensors().items()
        if key.startswith("optimizer.")
    }


def test_a_branched_arm_trains_every_parameter(trunk: Path, tmp_path: Path) -> None:
    arm = _identity()
    (start,) = run_arms([arm], tmp_path / "start", recipe=RECIPE, trunk=trunk, until=2)
    before = {name: p.detach().clone() for name, p in start.detector.named_parameters()}
    (run,) = run_arms([arm], tmp_path / "whole", recipe=RECIPE, trunk=trunk)
    assert run.status == DONE
    still = [n for n, p in run.detector.named_parameters() if p.requires_grad and torch.equal(p, before[n])]
    # A bias in front of a batch norm has no gradient.
    assert still == ["layers.neck/p3+coord_att.module.conv1.bias"]


def test_interrupted_after_branching_it_resumes_from_its_own_checkpoint(trunk: Path, tmp_path: Path) -> None:
    arm = _identity()
    (whole,) = run_arms([arm], tmp_path / "whole", recipe=RECIPE, trunk=trunk)
    (third,) = run_arms([arm], tmp_path / "cut", recipe=RECIPE, trunk=trunk, until=3)
    assert third.epochs == 3
    (resumed,) = run_arms([arm], tmp_path / "cut", recipe=RECIPE, trunk=trunk)
    assert_same_end(resumed, whole)


def test_what_has_no_room_for_the_trunk_is_refused(trunk: Path, tmp_path: Path) -> None:
    narrow = Arm("other", model_spec("yolov5n", num_classes=5))
    with pytest.raises(CheckpointError, match="YG409"):
        run_arms([narrow], tmp_path, recipe=RECIPE, trunk=trunk)
    with pytest.raises(CheckpointError, match="another seed"):
        run_arms([arm_of()], tmp_path, recipe=RECIPE, trunk=trunk, seed=1)
