"""A loss or a gradient that is not finite stops that arm before the update, and only that arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_runs import arm_of, assert_same_end, differing, run_arms, snapshot, tiny_dataset, tiny_recipe
from torch import Tensor

from yolograft.data.loader import TrainStream
from yolograft.engine.arm import DIVERGED, DONE, ArmRun
from yolograft.engine.checkpoint import read_checkpoint, step_folder


def moving(tensors: dict[str, Tensor], run: ArmRun) -> dict[str, Tensor]:
    """What an update moves: weights, EMA, moments. Buffers have already seen the batch in the forward."""
    weights = {f"model.{name}" for name, _ in run.detector.named_parameters()}
    return {k: v for k, v in tensors.items() if k in weights or not k.startswith("model.")}


@pytest.mark.parametrize(
    ("fault", "word"), [("inf_at=3", "loss "), ("steep_at=3", "gradient norm ")], ids=["loss", "gradient"]
)
def test_it_stops_before_the_update(fault: str, word: str, own_py: Path, tmp_path: Path) -> None:
    after: list[dict[str, Tensor]] = []

    def keep(runs: Sequence[ArmRun]) -> None:
        after.append(snapshot(runs[0]))

    bad = arm_of(f"bad={own_py}::Own:{fault}@neck.p3")
    arms = [bad, arm_of()]
    failed, fine = run_arms(arms, tmp_path / "both", after=keep)

    assert (failed.status, failed.steps, fine.status) == (DIVERGED, 2, DONE)
    assert failed.reason.startswith(word)
    assert word.strip() == "loss" or failed.reason.split()[2] in ("inf", "nan")
    # Nothing moved in step 3, nor later; the step before it did move.
    for later in after[2:]:
        assert differing(moving(after[1], failed), moving(later, failed)) == []
    assert "model.layers.stem.conv.weight" in differing(moving(after[0], failed), moving(after[1], failed))
    assert all(bool(v.isfinite().all()) for v in moving(snapshot(failed), failed).values())
    # The same arm without the fault was in the same place after two steps.
    same_until_then: list[dict[str, Tensor]] = []
    healthy = arm_of(f"bad={own_py}::Own:inf_at=0@neck.p3")
    run_arms([healthy], tmp_path / "healthy", after=lambda runs: same_until_then.append(snapshot(runs[0])))
    assert differing(moving(same_until_then[1], failed), moving(after[1], failed)) == []

    # The other arm is where it would have been alone.
    assert_same_end(fine, run_arms([arm_of()], tmp_path / "alone")[0])

    _, state = read_checkpoint(step_folder(tmp_path / "both" / "bad", 2))
    assert (state["status"], state["reason"]) == (DIVERGED, failed.reason)


def test_the_reason_names_step_and_batch(own_py: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(batch=6)
    stream = TrainStream(
        tiny_dataset().split("train"), imgsz=(64, 64), batch=6, seed=0, augment=recipe.augment, epochs=2
    )
    ids = stream.batch(0, 1).image_ids
    run = run_arms([arm_of(f"bad={own_py}::Own:inf_at=2@neck.p3")], tmp_path, recipe=recipe)[0]
    assert run.reason == f"loss nan at step 1; batch: {', '.join(ids[:4])} and 2 more"


def test_all_arms_diverged_ends_the_run(own_py: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    arms = [arm_of(f"{label}={own_py}::Own:inf_at={label[1]}@neck.p3") for label in ("a1", "b2")]
    runs = run_arms(arms, tmp_path, after=lambda runs: steps.append(max(run.steps for run in runs)))
    assert [(run.status, run.steps) for run in runs] == [(DIVERGED, 0), (DIVERGED, 1)]
    assert steps == [1, 1]


def test_a_huge_but_finite_gradient_is_clipped(tmp_path: Path) -> None:
    recipe = tiny_recipe(optimizer="sgd", momentum=0, weight_decay=0, clip=1e-3, lr=1.0, warmup_epochs=0)
    before: list[dict[str, Tensor]] = []
    run_arms([arm_of()], tmp_path, recipe=recipe, after=lambda runs: before.append(snapshot(runs[0])))
    run = run_arms([arm_of()], tmp_path, recipe=recipe)[0]
    moved = torch.cat(
        [
            (before[1][f"model.{name}"] - before[0][f"model.{name}"]).flatten()
            for name, parameter in run.detector.named_parameters()
            if parameter.requires_grad
        ]
    )
    # One step of plain SGD moves by lr * |gradient|; lr is 1 times the schedule, |gradient| the clip.
    assert moved.norm().item() == pytest.approx(1e-3 * run_factor(1, 4, recipe.lr_final), rel=1e-2)


def run_factor(step: int, total: int, final: float) -> float:
    """The cosine schedule without warm-up, written out."""
    return final + (1 - final) * (1 + float(torch.cos(torch.tensor(torch.pi * step / (total - 1))))) / 2
