"""Optimiser groups, the learning-rate schedule, the EMA, and what enters the gradient."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import arm_of, run_arms, snapshot, tiny_recipe
from torch import nn

from yolograft.engine.optim import EMA, MIN_WARMUP_STEPS, build_optimizer, lr_factor, set_learning_rate
from yolograft.engine.recipe import Recipe
from yolograft.models.build import build


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_groups_hold_every_trainable_parameter_once(optimizer: str, own_py: Path) -> None:
    arm = arm_of(f"x=coord_att:init=identity@neck.p3+{own_py}::Own@neck.p4")
    detector = build(arm.spec, code=arm.code)
    recipe = Recipe.model_validate({"optimizer": optimizer, "weight_decay": 0.03})
    groups = build_optimizer(detector, recipe, 5).param_groups
    held = [id(p) for group in groups for p in group["params"]]
    trainable = {name: p for name, p in detector.named_parameters() if p.requires_grad}
    assert len(held) == len(set(held)) and set(held) == {id(p) for p in trainable.values()}

    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    for name, parameter in trainable.items():
        assert (id(parameter) in decayed) == (parameter.ndim >= 2), name
    names = {name.split("/")[-1] for name in trainable}
    assert {"p3+coord_att.scale", "p4+own.gain", "p4+own.mix"} <= names
    assert {group["weight_decay"] for group in groups} == {0.03, 0.0}


def test_the_fixed_distribution_weights_are_not_trained(tmp_path: Path) -> None:
    run = run_arms([arm_of()], tmp_path, recipe=tiny_recipe(epochs=1))[0]
    fixed = {name for name, p in run.detector.named_parameters() if not p.requires_grad}
    assert len(fixed) == 1
    weight = run.detector.get_parameter(fixed.pop())
    assert torch.equal(weight.flatten(), torch.arange(16.0))


def test_a_frozen_parameter_stays_out() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].weight.requires_grad_(False)
    model[1].weight = model[0].bias  # type: ignore[assignment]
    held = [p for g in build_optimizer(model, Recipe(), 5).param_groups for p in g["params"]]
    assert [id(p) for p in held].count(id(model[0].bias)) == 1 and len(held) == 2


SCHEDULES = st.fixed_dictionaries(
    {
        "warmup_epochs": st.floats(0, 20),
        "lr_final": st.floats(0.001, 1),
        "epochs": st.integers(1, 400),
    }
)


@given(values=SCHEDULES, per_epoch=st.integers(1, 60))
@settings(max_examples=60)
def test_the_rate_rises_then_falls_to_its_end(values: dict[str, float], per_epoch: int) -> None:
    recipe = Recipe.model_validate(values)
    total = recipe.epochs * per_epoch
    rates = [
        lr_factor(s, total_steps=total, steps_per_epoch=per_epoch, recipe=recipe)
        for s in range(0, total, max(total // 500, 1))
    ]
    end = lr_factor(total - 1, total_steps=total, steps_per_epoch=per_epoch, recipe=recipe)
    assert all(0 < rate <= 1 for rate in rates)
    assert total == 1 or end == pytest.approx(recipe.lr_final)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert all(a >= b - 1e-12 for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
    # The warm-up is never longer than a tenth of the run.
    assert peak * max(total // 500, 1) <= total / 10 + max(total // 500, 1)


def test_the_warm_up_is_linear_and_as_long_as_asked() -> None:
    recipe = Recipe(epochs=100, warmup_epochs=5, lr_final=1.0)
    rates = [lr_factor(s, total_steps=4000, steps_per_epoch=40, recipe=recipe) for s in range(400)]
    assert rates[:200] == pytest.approx([(s + 1) / 200 for s in range(200)])
    assert rates[200:] == [1.0] * 200
    short = Recipe(epochs=100, warmup_epochs=0.1, lr_final=1.0)
    rates = [lr_factor(s, total_steps=4000, steps_per_epoch=40, recipe=short) for s in range(120)]
    assert rates.index(1.0) == MIN_WARMUP_STEPS - 1
    none = Recipe(epochs=100, warmup_epochs=0, lr_final=1.0)
    assert lr_factor(0, total_steps=4000, steps_per_epoch=40, recipe=none) == 1.0


def test_every_group_gets_the_rate() -> None:
    optimizer = build_optimizer(nn.Linear(3, 3), Recipe(), 5)
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


@pytest.mark.parametrize(("classes", "rate"), [(80, 0.000119), (5, 0.001111), (1, 0.002)])
def test_the_automatic_rate(classes: int, rate: float) -> None:
    assert Recipe().peak_lr(classes) == rate
    assert Recipe(optimizer="sgd").peak_lr(classes) == 0.01
    assert Recipe(lr=0.5).peak_lr(classes) == 0.5


class _Level(nn.Module):
    """Puts a new tensor in the place of its buffer, as running statistics are often written."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(3)
        self.level: torch.Tensor
        self.register_buffer("level", torch.zeros(3))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.level = 0.9 * self.level + x.detach().mean(0)
        self.seen = self.seen + 1
        return self.bn(x)


def test_the_ema_is_the_plain_loop() -> None:
    model, recipe = _Level(), Recipe(ema_decay=0.99, ema_tau=3.0)
    ema = EMA(model, copy.deepcopy(model), recipe)
    plain = {k: v.double().clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for step in range(12):
        model(torch.randn(7, 3, generator=generator)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        ema.update(step)
        decay = 0.99 * (1 - math.exp(-(step + 1) / 3.0))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                plain[key] = decay * plain[key] + (1 - decay) * value.double()
            else:
                plain[key] = value.double()
    for key, value in ema.shadow.state_dict().items():
        torch.testing.assert_close(value.double(), plain[key], rtol=1e-5, atol=1e-6, msg=key)
    assert ema.shadow.get_buffer("seen").item() == 12
    assert not ema.shadow.training and not any(p.requires_grad for p in ema.shadow.parameters())


def test_a_penalty_enters_the_gradient(tmp_path: Path) -> None:
    # One step of plain SGD on the same batch: the gammas differ by exactly the penalty's gradient.
    values = {"optimizer": "sgd", "momentum": 0, "lr": 0.5, "warmup_epochs": 0, "clip": 1e9}
    recipe = tiny_recipe(epochs=1, batch=8, **values)
    runs = {
        p: run_arms([arm_of(f"nam:penalty={p}@neck.p3", label=f"p{p}")], tmp_path, recipe=recipe)[0]
        for p in (0, 0.25)
    }
    key = "model.layers.neck/p3+nam.bn.weight"
    gap = snapshot(runs[0.25])[key] - snapshot(runs[0])[key]
    torch.testing.assert_close(gap, torch.full_like(gap, -0.5 * 0.25), rtol=0, atol=1e-5)
    extra = runs[0.25].history[0]["loss"] - runs[0].history[0]["loss"]
    assert extra == pytest.approx(0.25 * gap.numel() / 8, rel=1e-4)
