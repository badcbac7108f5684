"""Optimiser groups and the learning-rate schedule, a pure function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from yolograft.engine.recipe import Recipe

MIN_WARMUP_STEPS = 100


def build_optimizer(
    model: nn.Module, recipe: Recipe, num_classes: int, *, fused: bool = True
) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum over every trainable parameter, bare ones included.

    Weights of two or more dimensions decay; biases, norm scales and 0-dim identity scales do not.
    ``fused`` must be off under loss scaling, where a fused step would unscale before clipping sees it.
    """
    decay: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (decay if parameter.ndim >= 2 else plain).append(parameter)
    groups = [
        {"params": decay, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    lr = recipe.peak_lr(num_classes)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=(recipe.momentum, 0.999), fused=fused)
    return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused)


def lr_factor(step: int, *, total_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Learning rate of a step as a fraction of the peak: linear warm-up, then cosine to lr_final."""
    warmup = max(recipe.warmup_epochs * steps_per_epoch, MIN_WARMUP_STEPS) if recipe.warmup_epochs else 0
    warmup = min(warmup, total_steps / 10)
    progress = min(step / max(total_steps - 1, 1), 1.0)
    cosine = recipe.lr_final + (1 - recipe.lr_final) * (1 + math.cos(math.pi * progress)) / 2
    return cosine * min((step + 1) / warmup, 1.0) if warmup else cosine


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class EMA:
    """Moving average of weights and batch-norm statistics: the weights results are measured on."""

    def __init__(self, model: nn.Module, shadow: nn.Module, recipe: Recipe) -> None:
        self._model, self.shadow = model, shadow.eval().requires_grad_(False)
        self.decay, self.tau = recipe.ema_decay, recipe.ema_tau

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the live weights after optimiser step ``step`` (from 0)."""
        from torch.optim.swa_utils import get_ema_multi_avg_fn

        decay = self.decay * (1 - math.exp(-(step + 1) / self.tau))
        # Looked up every time: a module may put a new tensor in the place of a buffer.
        live, kept = self._model.state_dict(), self.shadow.state_dict()
        floats = [key for key, value in live.items() if value.is_floating_point()]
        get_ema_multi_avg_fn(decay)([kept[key] for key in floats], [live[key] for key in floats], step)
        for key in live.keys() - set(floats):
            kept[key].copy_(live[key])
