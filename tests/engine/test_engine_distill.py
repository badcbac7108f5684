"""Distillation in lockstep: one look of the teacher for all, no trace on others, and resumed bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_engine_resume import stopped
from tiny_runs import arm_of, assert_same_end, differing, run_arms, snapshot, tiny_recipe
from torch import Tensor

from yolograft.distill.teacher import Teacher
from yolograft.distill.view import View
from yolograft.engine.arm import DONE, Arm, ArmRun
from yolograft.engine.memory import HELD_BESIDE, Need, need_of, need_of_lesson
from yolograft.errors import CheckpointError
from yolograft.graph.spec import ModuleRef, frozen_args
from yolograft.models.build import build, model_spec


class Counting(Teacher):
    """A teacher that counts its looks."""

    def __init__(self, *, seed: int = 7, sha256: str = "t", model: str = "yolov8n") -> None:
        super().__init__(build(model_spec(model, num_classes=5), seed=seed), sha256=sha256)
        self.looks = 0

    def look(self, images: Tensor) -> View:
        self.looks += 1
        assert images.dtype is torch.uint8
        return super().look(images)


SHORT = tiny_recipe(epochs=1)


def taught(arm: Arm, teacher: Teacher, *methods: str, label: str = "", **options: object) -> Arm:
    refs = tuple(ModuleRef(name, frozen_args(options if name == "cwd" else {})) for name in methods)
    return replace(arm, label=label or arm.label, distill=refs, teacher=teacher)


@pytest.fixture(scope="module")
def teacher() -> Counting:
    return Counting()


ALL = ("cwd", "mgd", "logit", "ld")


@pytest.fixture(scope="module")
def alone(teacher: Counting, tmp_path_factory: pytest.TempPathFactory) -> ArmRun:
    """The arm with all methods, trained by itself: two steps."""
    arm = taught(arm_of(), teacher, *ALL, label="kd")
    return run_arms([arm], tmp_path_factory.mktemp("alone"), recipe=SHORT)[0]


def test_side_by_side_with_one_look_a_batch(alone: ArmRun, teacher: Counting, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in teacher.detector.state_dict().items()}
    other, teacher.looks = Counting(model="yolox-nano", sha256="x"), 0
    arms = [arm_of(), taught(arm_of(), teacher, *ALL, label="kd")]
    arms += [taught(arm_of(), t, "cwd", label=f"by-{t.sha256}") for t in (teacher, other)]
    plain, kd, mine, its = run_arms(arms, tmp_path / "four", recipe=SHORT)
    assert (teacher.looks, other.looks) == (2, 2) and (kd.status, kd.steps) == (DONE, 2)
    assert_same_end(kd, alone)
    assert_same_end(plain, run_arms([arm_of()], tmp_path / "one", recipe=SHORT)[0])
    # The teacher is as it was, and nothing hangs on the pupils.
    after = teacher.detector.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not teacher.detector.training and not kd.detector.head._forward_pre_hooks
    assert not kd.shadow.head._forward_pre_hooks
    # What it says stands in the history beside the losses, and the sum is the loss.
    for run, named in ((plain, ()), (kd, ALL), (mine, ("cwd",)), (its, ("cwd",))):
        row, taught_by = run.history[-1], [f"distill_{name}" for name in named]
        parts = [row[key] for key in ("box", "cls", "dfl", *taught_by)]
        assert [key for key in row if key.startswith("distill")] == taught_by
        assert row["loss"] == pytest.approx(sum(parts), rel=1e-5) and all(map(math.isfinite, parts))
    assert mine.history[-1]["distill_cwd"] != its.history[-1]["distill_cwd"]
    # An arm that branches from the plain one takes its weights; what stands beside is at rest.
    found = plain.tensors(), plain.state()
    branched = ArmRun(kd.arm, SHORT, fabric=kd.fabric, precision="fp32", seed=0, length=kd.length)
    fresh = branched.tensors()
    branched.branch(*found)
    ended = branched.tensors()
    assert branched.steps == 2
    assert all(torch.equal(ended[key], found[0][key]) for key in found[0] if key.startswith("model."))
    assert all(torch.equal(ended[key], fresh[key]) for key in fresh if key.startswith("distill."))


def test_a_finished_model_is_a_plain_detector(alone: ArmRun) -> None:
    stock = build(alone.arm.spec)
    assert alone.shadow.state_dict().keys() == stock.state_dict().keys() == alone.detector.state_dict().keys()
    beside = {key for key in alone.tensors() if key.startswith("distill.")}
    # Equal channels need no adapters: what is there are six convolutions of mgd.
    assert {key.split(".")[2] for key in beside} == {"mgd"} and len(beside) == 12
    # What stands beside has trained: every parameter has a moment that is not 0.
    names, moments = alone.state()["parameters"], alone.tensors()
    of_beside = [index for index, name in enumerate(names) if name.startswith("distill.")]
    assert len(of_beside) == 12
    assert all(moments[f"optimizer.{index}.exp_avg"].abs().max() > 0 for index in of_beside)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_and_taken_up_again(precision: str, alone: ArmRun, teacher: Counting, tmp_path: Path) -> None:
    recipe = tiny_recipe(epochs=1, precision=precision)
    arm = taught(arm_of(), teacher, *ALL, label="kd")
    whole = alone if precision == "fp32" else run_arms([arm], tmp_path / "whole", recipe=recipe)[0]
    stopped([arm], tmp_path / "pieces", at=1, recipe=recipe)
    assert_same_end(run_arms([arm], tmp_path / "pieces", recipe=recipe)[0], whole)
    assert bool(differing(snapshot(whole), snapshot(alone))) is (precision == "bf16")


def test_a_checkpoint_of_other_lessons_is_refused(alone: ArmRun, teacher: Counting) -> None:
    arm, how = alone.arm, {"fabric": alone.fabric, "precision": "fp32", "seed": 0, "length": alone.length}
    found = alone.tensors(), alone.state()
    ArmRun(arm, SHORT, **how).restore(*found)
    hotter = taught(arm_of(), teacher, *ALL, label="kd", tau=2)
    for other in (replace(arm, distill=arm.distill[:1]), hotter, arm_of(label="kd")):
        with pytest.raises(CheckpointError, match=r"YG404.*another distill"):
            ArmRun(other, SHORT, **how).restore(*found)
    renamed = Teacher(teacher.detector, sha256="another")
    with pytest.raises(CheckpointError, match=r"YG404.*another teacher_sha256"):
        ArmRun(replace(arm, teacher=renamed), SHORT, **how).restore(*found)


def test_going_on_from_weights_adapters_count_as_new(tmp_path: Path) -> None:
    stock = arm_of()
    arm = taught(stock, Counting(model="yolov8s"), "cwd", label="kd")
    arm = replace(arm, weights=build(stock.spec, seed=3).state_dict())
    recipe = tiny_recipe(epochs=1, freeze="kept", freeze_epochs=1, kept_lr=0.1)
    run = run_arms([arm], tmp_path, recipe=recipe)[0]
    assert {"lr_new", "lr_held"} <= run.history[0].keys()
    kept = dict(run.detector.named_parameters())
    assert all(torch.equal(kept[name], arm.weights[name]) for name in kept)
    fresh = ArmRun(arm, recipe, fabric=run.fabric, precision="fp32", seed=0, length=run.length).tensors()
    ended = run.tensors()
    adapters = [key for key in fresh if key.startswith("distill.")]
    assert len(adapters) == 3
    assert differing({k: fresh[k] for k in adapters}, {k: ended[k] for k in adapters}) == adapters


def test_methods_without_a_teacher_are_refused(tmp_path: Path) -> None:
    arm = replace(arm_of(), distill=(ModuleRef("cwd"),))
    with pytest.raises(CheckpointError, match=r"YG446 arm 'baseline'.*--teacher"):
        run_arms([arm], tmp_path)


def test_memory_counts_the_teacher_and_what_it_makes(teacher: Counting) -> None:
    plain, kd = arm_of(), taught(arm_of(), teacher, "mgd")
    levels = ((64, 64), (128, 16), (256, 4))  # channels and positions of the maps of 64 x 64 pixels
    generators = sum(2 * (9 * c * c + c) for c, _ in levels)
    weight = sum(p.numel() for p in teacher.detector.parameters())
    # Maps and raw outputs of the teacher: 64 bins and 5 classes a position.
    shown = sum(n * (c + 64 + 5) for c, n in levels)
    # Kept for the backward pass: the mask, the masked map, the map between the convolutions, the one made.
    kept = sum(n * (1 + 3 * c) for c, n in levels)
    lesson = need_of_lesson(kd, build(kd.spec), (64, 64))
    assert lesson == Need(20 * generators, 4 * (shown + kept), shared=4 * weight)
    assert lesson.of(3) == 20 * generators + 4 * weight + 12 * (shown + kept)
    assert need_of_lesson(plain, build(plain.spec), (64, 64)) == Need(0, 0)
    mine, its = need_of(kd, SHORT), need_of(plain, SHORT)
    assert mine.fixed - its.fixed == lesson.fixed and mine.shared == lesson.shared
    assert mine.image - its.image == pytest.approx(HELD_BESIDE * lesson.image)
    # Nothing of the student or the teacher is changed by counting.
    assert not any(p.requires_grad for p in teacher.detector.parameters())
