"""Fine-tuning: kept and new parameters, their rates, and what stands still while it is frozen."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import arm_of, assert_same_end, differing, run_arms, snapshot, tiny_recipe
from torch import Tensor, nn

from yolograft.engine.arm import DONE, Arm, ArmRun
from yolograft.engine.finetune import (
    HELD,
    KEPT,
    NEW,
    FineTuning,
    check_fine_tuning,
    part_rates,
)
from yolograft.engine.interrupt import Interrupted
from yolograft.engine.optim import PART, WHOLE, build_optimizer, lr_factor
from yolograft.engine.recipe import Recipe
from yolograft.errors import SpecError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.sites import backbone_layers
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector
from yolograft.models.weights import kept_weights

IDENTITY = "coord_att:init=identity@neck.p3"


@cache
def base_tensors(classes: int = 5) -> dict[str, Tensor]:
    """Weights of a stock YOLOv8n of another seed than any run here."""
    return dict(build(model_spec("yolov8n", num_classes=classes), seed=77).state_dict())


def onto_weights(expression: str = "", *, classes: int = 5) -> Arm:
    """An arm for five classes that starts from the weights of a detector with ``classes``."""
    arm = arm_of(expression, label="x")
    tensors = base_tensors(classes)
    weights, _ = kept_weights(build(arm.spec), tensors, num_classes=classes)
    return replace(arm, weights=weights)


def optimizer_of(detector: Detector, recipe: Recipe, kept: Sequence[str]) -> torch.optim.Optimizer:
    tuning = FineTuning(detector, recipe, kept)
    return build_optimizer(detector, recipe, 5, parts=tuning.parts)


# --- groups ------------------------------------------------------------------------------------------------

TERMS = (
    "se@backbone.p4",
    "coord_att:init=identity@neck.p3,neck.p5",
    "cbam@inside:neck.p4",
    "eca@head.p3.cls",
    "double_att:init=identity@edge:backbone.p4..neck.td4",
)


@cache
def grafted(terms: frozenset[str]) -> Detector:
    spec = model_spec("yolov8n", num_classes=5)
    return build(graft(spec, parse_graft("x=" + "+".join(sorted(terms)))) if terms else spec)


@given(
    terms=st.frozensets(st.sampled_from(TERMS), max_size=3),
    classes=st.sampled_from((5, 80)),
    freeze=st.sampled_from(("kept", "backbone")),
    epochs=st.sampled_from((0, 2)),
    optimizer=st.sampled_from(("adamw", "sgd")),
)
@settings(max_examples=8, deadline=None)
def test_the_groups_are_a_partition(
    terms: frozenset[str], classes: int, freeze: str, epochs: int, optimizer: str
) -> None:
    detector = grafted(terms)
    kept, report = kept_weights(detector, base_tensors(classes), num_classes=classes)
    values = {"freeze": freeze, "freeze_epochs": epochs, "optimizer": optimizer, "weight_decay": 0.03}
    groups = optimizer_of(detector, Recipe.model_validate(values), tuple(kept)).param_groups
    where = [(id(p), group[PART], group["weight_decay"]) for group in groups for p in group["params"]]
    trainable = {id(p): name for name, p in detector.named_parameters() if p.requires_grad}
    assert len(where) == len(trainable) and {item[0] for item in where} == trainable.keys()
    in_backbone = tuple(f"layers.{name.replace('.', '/')}." for name in backbone_layers(detector.spec))
    for place, part, decay in where:
        name, parameter = trainable[place], detector.get_parameter(trainable[place])
        assert decay == (0.03 if parameter.ndim >= 2 else 0.0), name
        frozen = epochs and (freeze == "kept" or name.startswith(in_backbone))
        expected = NEW if name not in kept else HELD if frozen else KEPT
        assert part == expected, name
    new = {trainable[place] for place, part, _ in where if part == NEW}
    # Counted by what the load said: grafts, and head tensors made anew for five classes.
    assert new == {key for key in (*report.new, *report.remade) if key in set(trainable.values())}
    assert bool(new) == bool(terms or classes == 80)


def test_without_weights_there_are_the_two_groups_of_old_in_their_order() -> None:
    detector = grafted(frozenset(TERMS[:2]))
    recipe = Recipe(kept_lr=0.5, new_lr=3.0, freeze_epochs=2)
    assert FineTuning(detector, recipe, ()).parts == {}
    groups = optimizer_of(detector, recipe, ()).param_groups
    trainable = [p for p in detector.parameters() if p.requires_grad]
    for group, matrices in zip(groups, (True, False), strict=True):
        expected = [id(p) for p in trainable if (p.ndim >= 2) == matrices]
        assert [id(p) for p in group["params"]] == expected


def test_the_scale_of_an_identity_graft_is_new_and_does_not_decay() -> None:
    arm = onto_weights(IDENTITY)
    detector = build(arm.spec)
    groups = optimizer_of(detector, Recipe(), tuple(arm.weights)).param_groups
    scale = detector.get_parameter("layers.neck/p3+coord_att.scale")
    (group,) = (g for g in groups if any(p is scale for p in g["params"]))
    assert (group[PART], group["weight_decay"]) == (NEW, 0.0)


# --- rates -------------------------------------------------------------------------------------------------

RECIPES = st.fixed_dictionaries(
    {
        "epochs": st.integers(1, 60),
        "lr_final": st.floats(0.001, 1),
        "warmup_epochs": st.sampled_from((0, 0.5, 3, 40)),
        "new_warmup_epochs": st.sampled_from(("auto", 0, 0.25, 2, 50)),
        "kept_lr": st.floats(0.01, 2),
        "new_lr": st.floats(0.01, 20),
        "freeze_epochs": st.integers(0, 5),
    }
)


@given(values=RECIPES, per_epoch=st.integers(1, 40), share=st.floats(0, 1))
@settings(max_examples=120)
def test_every_rate_is_its_formula(values: dict[str, Any], per_epoch: int, share: float) -> None:
    recipe = Recipe.model_validate(values)
    total = recipe.epochs * per_epoch
    step = min(int(share * total), total - 1)
    rates = part_rates(step, total_steps=total, steps_per_epoch=per_epoch, recipe=recipe)
    fall = values["lr_final"] + (1 - values["lr_final"]) * 0.5 * (
        1 + math.cos(math.pi * step / max(total - 1, 1))
    )
    # Lengths of the two warm-ups in steps, a tenth of the run at most.
    long = min(max(values["warmup_epochs"] * per_epoch, 100), total / 10) if values["warmup_epochs"] else 0
    asked = values["new_warmup_epochs"]
    short = long if asked == "auto" else min(asked * per_epoch, total / 10)

    def ramp(done: int, length: float) -> float:
        return 1.0 if length == 0 else min(1.0, (done + 1) / length)

    assert rates[NEW] == pytest.approx(values["new_lr"] * fall * ramp(step, short))
    assert rates[KEPT] == pytest.approx(values["kept_lr"] * fall * ramp(step, long))
    thaw = values["freeze_epochs"] * per_epoch
    held = values["kept_lr"] * fall * ramp(step - thaw, long) if step >= thaw else 0
    assert rates[HELD] == pytest.approx(held)
    assert rates[WHOLE] == lr_factor(step, total_steps=total, steps_per_epoch=per_epoch, recipe=recipe)


def test_the_optimiser_trains_with_these_rates_and_the_history_holds_them(tmp_path: Path) -> None:
    recipe = tiny_recipe(epochs=3, lr=0.001, kept_lr=0.25, new_lr=2.0, freeze_epochs=1, freeze="backbone")
    seen: list[dict[str, float]] = []

    def look(runs: Sequence[ArmRun]) -> None:
        groups = runs[0]._optimizer.param_groups
        seen.append({group[PART]: group["lr"] for group in groups})

    run = run_arms([onto_weights(IDENTITY)], tmp_path, recipe=recipe, after=look)[0]
    for step, rates in enumerate(seen):
        expected = part_rates(step, total_steps=6, steps_per_epoch=2, recipe=recipe)
        assert rates == {part: 0.001 * expected[part] for part in (HELD, KEPT, NEW)}
    assert [rates[HELD] > 0 for rates in seen] == [False, False, True, True, True, True]
    row = run.history[1]
    assert {key: row[key] for key in row if key.startswith("lr")} == {
        f"lr_{p}": r for p, r in seen[3].items()
    }


# --- freezing ----------------------------------------------------------------------------------------------


def test_frozen_tensors_are_the_loaded_ones_bit_for_bit_until_they_thaw(tmp_path: Path) -> None:
    arm = onto_weights(IDENTITY, classes=80)
    recipe = tiny_recipe(epochs=2, freeze_epochs=1, weight_decay=0.1)
    at: list[dict[str, Tensor]] = []
    run_arms([arm], tmp_path, recipe=recipe, after=lambda runs: at.append(snapshot(runs[0])))
    # The counter of a batch norm that was made anew has no shape to tell it by.
    kept = {key: value for key, value in arm.weights.items() if value.is_floating_point()}
    assert 250 < len(kept) < len(build(arm.spec).state_dict())
    for name in ("model", "ema"):
        frozen, thawed = at[1], at[3]
        assert [key for key, value in kept.items() if not torch.equal(frozen[f"{name}.{key}"], value)] == []
        still = {key for key, value in kept.items() if torch.equal(thawed[f"{name}.{key}"], value)}
        # What is left is constant by nature: the weights of the distribution.
        assert still == {key for key in kept if ".dfl" in key}
    new = [f"model.{key}" for key in build(arm.spec).state_dict() if key not in arm.weights]
    weights = [key for key in new if at[0][key].ndim >= 2]
    assert weights and all(not torch.equal(at[0][key], at[1][key]) for key in weights)


def test_freezing_the_backbone_leaves_the_rest_to_move(tmp_path: Path) -> None:
    arm = onto_weights("se@backbone.p4")
    recipe = tiny_recipe(epochs=1, freeze_epochs=5, freeze="backbone")
    run = run_arms([arm], tmp_path, recipe=recipe)[0]
    end = run.detector.state_dict()
    still = {key.split(".")[1] for key, value in arm.weights.items() if torch.equal(end[key], value)}
    stages = {"stem", "backbone/sppf"} | {
        f"backbone/p{n}{down}" for n in (2, 3, 4, 5) for down in ("", "/down")
    }
    assert {place for place in still if "head" not in place} == stages
    assert "backbone/p4+se" not in still and "neck/p3" not in still
    assert not run.detector.layers["stem"].training and run.detector.layers["neck/p3"].training


def test_what_was_fixed_before_the_freeze_is_fixed_after_it() -> None:
    arm = onto_weights()
    detector = build(arm.spec)
    fixed = {name for name, p in detector.named_parameters() if not p.requires_grad}
    tuning = FineTuning(detector, Recipe(freeze_epochs=1), tuple(arm.weights))
    detector.train()
    tuning.hold_still(0)
    assert not any(p.requires_grad for p in detector.parameters())
    assert not any(module.training for module in detector.modules() if isinstance(module, nn.BatchNorm2d))
    detector.train()
    tuning.hold_still(1)
    assert fixed and {name for name, p in detector.named_parameters() if not p.requires_grad} == fixed
    assert all(module.training for module in detector.modules())


def test_a_block_with_a_graft_inside_keeps_its_own_statistics() -> None:
    arm = onto_weights("cbam@inside:neck.p4")
    detector = build(arm.spec)
    tuning = FineTuning(detector, Recipe(freeze_epochs=1), tuple(arm.weights))
    detector.train()
    tuning.hold_still(0)
    for name, module in detector.named_modules():
        own = [f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)]
        if own:
            assert module.training == any(key not in arm.weights for key in own), name


def test_an_arm_with_nothing_new_waits_and_then_trains(tmp_path: Path) -> None:
    arm, recipe = onto_weights(), tiny_recipe(epochs=2, freeze_epochs=1, precision="bf16")
    at: list[dict[str, Tensor]] = []
    run = run_arms([arm], tmp_path, recipe=recipe, after=lambda runs: at.append(snapshot(runs[0])))[0]
    assert run.status == DONE and len(run.history) == 2
    assert all(torch.equal(at[1][f"model.{key}"], value) for key, value in arm.weights.items())
    assert not torch.equal(at[2]["model.layers.stem.conv.weight"], arm.weights["layers.stem.conv.weight"])


# --- resume ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "stops"), [("adamw", (1, 3)), ("sgd", (1,))])
def test_resume_is_exact_in_the_middle_of_the_freeze_and_after_it(
    optimizer: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    recipe = tiny_recipe(epochs=2, freeze_epochs=1, optimizer=optimizer, kept_lr=0.5, new_warmup_epochs=1)
    arms = [onto_weights(IDENTITY, classes=80)]
    whole = run_arms(arms, tmp_path / "whole", recipe=recipe)[0]
    for step in stops:

        def stop(runs: Sequence[ArmRun], step: int = step) -> None:
            if runs[0].steps == step:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted):
            run_arms(arms, tmp_path / "pieces", recipe=recipe, after=stop)
    assert_same_end(run_arms(arms, tmp_path / "pieces", recipe=recipe)[0], whole)


def test_the_settings_that_change_nothing_change_nothing(tmp_path: Path) -> None:
    # Groups apart at one rate are the groups together.
    arm = onto_weights(IDENTITY)
    tuned = run_arms([arm], tmp_path / "parts")[0]
    detector = build(arm.spec, seed=0)
    fresh = {**detector.state_dict(), **arm.weights}
    together = run_arms([replace(arm, weights=fresh)], tmp_path / "whole")[0]
    ends = [{k: v for k, v in snapshot(run).items() if "optimizer" not in k} for run in (tuned, together)]
    assert differing(*ends) == []


# --- identity start ----------------------------------------------------------------------------------------


def test_only_the_scale_has_a_gradient_first_then_every_new_parameter(tmp_path: Path) -> None:
    arm = onto_weights(IDENTITY)
    new = {name for name, _ in build(arm.spec).named_parameters() if name not in arm.weights}
    moved: list[set[str]] = []

    def look(runs: Sequence[ArmRun]) -> None:
        moments = runs[0]._optimizer.state
        known = runs[0].detector.named_parameters()
        moved.append({name for name, p in known if p in moments and moments[p]["exp_avg"].any()})

    run_arms([arm], tmp_path, recipe=tiny_recipe(epochs=1, freeze_epochs=1), after=look)
    assert moved == [{"layers.neck/p3+coord_att.scale"}, new] and len(new) > 5


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [{"kept_lr": 0.5}, {"new_lr": 2}, {"freeze_epochs": 1}, {"new_warmup_epochs": 1}], ids=str
)
def test_settings_for_weights_need_weights(values: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(values)
    check_fine_tuning(recipe, weights=True)
    with pytest.raises(SpecError, match=rf"YG170 {next(iter(values))}: .*--weights RUN"):
        check_fine_tuning(recipe, weights=False)


def test_a_backbone_frozen_for_no_epoch_is_refused() -> None:
    for weights in (True, False):
        with pytest.raises(SpecError, match="YG192 freeze: backbone with freeze_epochs: 0"):
            check_fine_tuning(Recipe(freeze="backbone"), weights=weights)
    check_fine_tuning(Recipe(freeze="backbone", freeze_epochs=1), weights=True)


def _without_sites(spec: ModelSpec) -> ModelSpec:
    return replace(spec, sites=())


def test_a_backbone_that_is_none_is_said() -> None:
    detector = build(_without_sites(model_spec("yolov8n", num_classes=5)))
    with pytest.raises(SpecError, match="YG171"):
        FineTuning(detector, Recipe(freeze="backbone", freeze_epochs=1), tuple(base_tensors()))
    FineTuning(detector, Recipe(freeze="backbone"), tuple(base_tensors()))


@pytest.fixture(autouse=True, scope="module")
def forget() -> Iterator[None]:
    yield
    grafted.cache_clear()
    base_tensors.cache_clear()
