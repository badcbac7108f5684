"""The other arms leave no trace: alone, beside others, in any order and grouping, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import arm_of, assert_same_end, differing, run_arms, snapshot, tiny_dataset, tiny_recipe

from yolograft.data.eval_stream import EvalStream
from yolograft.engine.arm import DIVERGED, DONE, Arm, ArmRun
from yolograft.engine.evaluate import evaluate
from yolograft.models.detector import Detector


class Solo(dict[str, ArmRun]):
    """Every arm trained alone, by "precision label", when first asked for."""

    def __init__(self, base: Path, own_py: Path) -> None:
        super().__init__()
        self.base, self.own_py = base, own_py

    def __missing__(self, key: str) -> ArmRun:
        precision, label = key.split()
        arm = _noisy(self.own_py) if label == "noisy" else _attentive()
        self[key] = run_arms([arm], self.base / precision, recipe=tiny_recipe(precision=precision))[0]
        return self[key]


@pytest.fixture(scope="module")
def solo(tmp_path_factory: pytest.TempPathFactory, own_py: Path) -> Solo:
    return Solo(tmp_path_factory.mktemp("solo"), own_py)


def _noisy(own_py: Path) -> Arm:
    # Dropout draws from torch's global generator: hidden state would show.
    return arm_of(f"noisy={own_py}::Own@neck.p4")


def _attentive() -> Arm:
    return arm_of("coord_att@neck.p3", label="ca")


def test_a_run_trains(solo: Solo) -> None:
    run = solo["fp32 noisy"]
    assert (run.status, run.steps, run.epochs, len(run.history)) == (DONE, 4, 2, 2)
    assert [row["epoch"] for row in run.history] == [0, 1]
    assert run.detector.layers["neck/p4+own"].calls.item() == 4  # type: ignore[union-attr]
    assert differing(snapshot(run), snapshot(solo["bf16 noisy"]))


@pytest.mark.parametrize(("precision", "turned"), [("fp32", False), ("fp32", True), ("bf16", False)])
def test_beside_another_arm(precision: str, turned: bool, solo: Solo, own_py: Path, tmp_path: Path) -> None:
    arms = [_noisy(own_py), _attentive()][:: -1 if turned else 1]
    for run in run_arms(arms, tmp_path, recipe=tiny_recipe(precision=precision)):
        assert_same_end(run, solo[f"{precision} {run.arm.label}"])


def test_beside_an_arm_that_diverges(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    bad = arm_of(f"bad={own_py}::Own:inf_at=2@neck.p3")
    failed, run = run_arms([bad, _noisy(own_py)], tmp_path)
    assert failed.status == DIVERGED
    assert_same_end(run, solo["fp32 noisy"])


def test_beside_an_arm_that_writes_into_the_image(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    vandal = arm_of(f"vandal={own_py}::Overwrites@before:stem")
    assert_same_end(run_arms([vandal, _noisy(own_py)], tmp_path)[1], solo["fp32 noisy"])


def test_in_groups_of_one(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    arms = [_noisy(own_py), _attentive()]
    for run in run_arms(arms, tmp_path, group=1):
        assert_same_end(run, solo[f"fp32 {run.arm.label}"])


def test_with_workers(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    assert_same_end(run_arms([_noisy(own_py)], tmp_path, workers=2)[0], solo["fp32 noisy"])


def test_hidden_random_state_changes_nothing(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    def disturb(runs: Sequence[ArmRun]) -> None:
        torch.manual_seed(runs[0].steps * 7919)
        torch.rand(runs[0].steps)
        np.random.seed(runs[0].steps)
        random.seed(runs[0].steps)

    torch.manual_seed(99)
    assert_same_end(run_arms([_noisy(own_py)], tmp_path, after=disturb)[0], solo["fp32 noisy"])


def test_measuring_the_curve_changes_nothing_else(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    stream = EvalStream(tiny_dataset().split("val"), imgsz=(64, 64), batch=4)

    def curve(detector: Detector) -> dict[str, float]:
        assert not detector.training
        return {"boxes": float(len(evaluate(detector, stream, fingerprint="")))}

    run = run_arms([_noisy(own_py)], tmp_path, curve=curve, recipe=tiny_recipe())[0]
    alone = solo["fp32 noisy"]
    assert differing(snapshot(run), snapshot(alone)) == []
    measured = [row.pop("boxes") for row in run.history]
    assert len(measured) == 2 and run.history == alone.history


def test_another_seed_is_another_run(solo: Solo, own_py: Path, tmp_path: Path) -> None:
    other = run_arms([_noisy(own_py)], tmp_path, seed=1)[0]
    names = differing(snapshot(other), snapshot(solo["fp32 noisy"]))
    assert "model.layers.stem.conv.weight" in names and "ema.layers.stem.conv.weight" in names
