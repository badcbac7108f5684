"""Optimiser groups and the learning-rate schedule, a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from yolograft.engine.recipe import Recipe

MIN_WARMUP_STEPS = 100
# A parameter group is one part of the model, with or without weight decay; this key names its part.
PART, WHOLE = "part", "whole"


def build_optimizer(
    model: nn.Module,
    recipe: Recipe,
    num_classes: int,
    *,
    fused: bool = True,
    parts: Mapping[str, str] | None = None,
    beside: Iterable[tuple[str, nn.Parameter]] = (),
) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum over every trainable parameter, bare ones included.

    Weights of two or more dimensions decay; biases, norm scales and 0-dim identity scales do not.

    Args:
        fused: must be off under loss scaling, where a fused step would unscale before clipping sees it.
        parts: parameter name -> part; a part has groups, and so a rate, of its own. One part when left out.
        beside: named parameters that train with the model and are no part of it.
    """
    names = dict.fromkeys(parts.values()) if parts else (WHOLE,)
    held: dict[tuple[str, bool], list[nn.Parameter]] = {(n, d): [] for n in names for d in (True, False)}
    for name, parameter in (*model.named_parameters(), *beside):
        if parameter.requires_grad:
            held[parts[name] if parts else WHOLE, parameter.ndim >= 2].append(parameter)
    groups = [
        {"params": parameters, "weight_decay": recipe.weight_decay if decays else 0.0, PART: name}
        for (name, decays), parameters in held.items()
    ]
    lr = recipe.peak_lr(num_classes)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=(recipe.momentum, 0.999), fused=fused)
    return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused)


def lr_factor(step: int, *, total_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Learning rate of a step as a fraction of the peak: linear warm-up, then cosine to lr_final."""
    ramp = warmup_steps(recipe, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    return cosine(step, total_steps=total_steps, recipe=recipe) * warmup(step, ramp)


def cosine(step: int, *, total_steps: int, recipe: Recipe) -> float:
    """From 1 at step 0 down to lr_final at the last step."""
    progress = min(step / max(total_steps - 1, 1), 1.0)
    return recipe.lr_final + (1 - recipe.lr_final) * (1 + math.cos(math.pi * progress)) / 2


def warmup(step: int, steps: float) -> float:
    """From 1 / steps at step 0 up to 1, linearly; without steps 1 at once."""
    return min((step + 1) / steps, 1.0) if steps else 1.0


def warmup_steps(recipe: Recipe, *, total_steps: int, steps_per_epoch: int) -> float:
    """Length of the warm-up: as asked but at least 100 steps, and at most a tenth of the run."""
    if not recipe.warmup_epochs:
        return 0
    return min(max(recipe.warmup_epochs * steps_per_epoch, MIN_WARMUP_STEPS), total_steps / 10)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float | Mapping[str, float]) -> None:
    """Give every group the rate, or each the one of its part."""
    for group in optimizer.param_groups:
        group["lr"] = lr[group[PART]] if isinstance(lr, Mapping) else lr


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
