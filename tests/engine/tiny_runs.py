"""Experiments small enough for a test: eight images of 64 x 64, two steps an epoch, YOLOv8n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolograft.data.loader import TrainStream
from yolograft.data.records import Dataset
from yolograft.data.shapes import shapes
from yolograft.engine.arm import Arm, ArmRun
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Curve, Settings, train
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import model_spec
from yolograft.models.codebook import from_grafts

# Draws from torch's global generator, keeps a buffer by putting a new tensor in its place, and has a bare
# parameter of each kind; `inf_at` and `steep_at` (1 is the first step) spoil its output or its gradient.
OWN_CLASS = """
import torch
from torch import nn


class Steep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("inf")


class Own(nn.Module):
    def __init__(self, channels, inf_at=0, steep_at=0, drop=0.2):
        super().__init__()
        self.inf_at, self.steep_at = inf_at, steep_at
        self.gain = nn.Parameter(torch.ones(()))
        self.mix = nn.Parameter(torch.eye(channels) + 0.01 * torch.randn(channels, channels))
        self.drop = nn.Dropout(drop)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("level", torch.zeros(()))

    def forward(self, x):
        x = self.drop(torch.einsum("oc,bchw->bohw", self.mix.to(x.dtype), x) * self.gain.to(x.dtype))
        if self.training:
            self.calls = self.calls + 1
            self.level = 0.9 * self.level + 0.1 * x.detach().float().mean()
            if self.calls.item() == self.inf_at:
                x = x * float("inf")
            if self.calls.item() == self.steep_at:
                x = Steep.apply(x)
        return x


class Overwrites(nn.Module):
    def forward(self, x):
        return x.mul_(0.5)
"""


class Listener:
    """A progress that calls `after(runs)` after every step and `note(text)` with every note."""

    def __init__(
        self, after: Callable[[Sequence[ArmRun]], None] | None, note: Callable[[str], None] | None
    ) -> None:
        self._after, self._note = after, note

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        pass

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        if self._after is not None:
            self._after(runs)

    def note(self, text: str) -> None:
        if self._note is not None:
            self._note(text)


def tiny_dataset() -> Dataset:
    return shapes(train=8, val=4, size=64)


def tiny_recipe(**values: Any) -> Recipe:
    given = {"epochs": 2, "batch": 4, "imgsz": (64, 64), "precision": "fp32", "close_mosaic": 1}
    return Recipe.model_validate({**given, **values})


def arm_of(expression: str = "", *, label: str = "") -> Arm:
    """An arm of YOLOv8n for the five shapes; the stock detector without an expression."""
    spec = model_spec("yolov8n", num_classes=5)
    if not expression:
        return Arm(label or "baseline", spec)
    item = parse_graft(expression)
    return Arm(label or item.label, graft(spec, item), from_grafts([item]))


def run_arms(
    arms: Sequence[Arm],
    base: Path,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    workers: int = 0,
    group: int | None = None,
    every_epoch: bool = False,
    after: Callable[[Sequence[ArmRun]], None] | None = None,
    note: Callable[[str], None] | None = None,
    curve: Curve | None = None,
    until: int | None = None,
    trunk: Path | None = None,
) -> list[ArmRun]:
    """Train `arms` in lockstep, resuming what is under `base`; checkpoints at the end, or every epoch."""
    recipe = recipe or tiny_recipe()
    stream = TrainStream(
        tiny_dataset().split("train"),
        imgsz=recipe.imgsz,
        batch=recipe.batch,
        seed=seed,
        augment=recipe.augment,
        epochs=recipe.epochs,
        close_mosaic=recipe.close_mosaic,
        workers=workers,
    )
    return train(
        arms,
        stream,
        recipe,
        seed=seed,
        folders=[base / arm.label for arm in arms],
        settings=Settings(checkpoint_seconds=0.0 if every_epoch else 1e9, group=group or len(arms)),
        progress=Listener(after, note),
        curve=curve,
        until=until,
        trunk=trunk,
    )


def snapshot(run: ArmRun) -> dict[str, Tensor]:
    """A copy of all tensors of a run: weights, EMA, optimiser moments."""
    return {name: tensor.detach().clone() for name, tensor in run.tensors().items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not bitwise equal; nan equals nan."""
    assert one.keys() == other.keys()
    return [name for name in one if not _same_bits(one[name], other[name])]


def _same_bits(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and torch.equal(a.isnan(), b.isnan())
        and bool(((a == b) | a.isnan()).all())
    )


def assert_same_end(one: ArmRun, other: ArmRun) -> None:
    """Both runs ended in the same place, bit for bit, by the same way."""
    assert (one.steps, one.status, one.reason) == (other.steps, other.status, other.reason)
    assert one.history == other.history
    assert differing(snapshot(one), snapshot(other)) == []
