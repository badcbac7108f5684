"""One arm in training: its network, optimiser, EMA and counters. Nothing in it knows of other arms."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import Tensor

from yolograft import rng
from yolograft.distill.distiller import Distiller
from yolograft.distill.teacher import Teacher
from yolograft.distill.view import View, watching
from yolograft.engine.best import Best
from yolograft.engine.criteria import build_criterion
from yolograft.engine.finetune import NEW, FineTuning, part_rates
from yolograft.engine.optim import EMA, WHOLE, build_optimizer, set_learning_rate
from yolograft.engine.recipe import Recipe
from yolograft.errors import CheckpointError
from yolograft.graph.spec import ModelSpec, ModuleRef
from yolograft.models.build import build
from yolograft.models.codebook import Codebook, own_failures_in_one_line
from yolograft.models.detector import Detector
from yolograft.models.fusion_weights import fusion_curves
from yolograft.models.layout import to_channels_last
from yolograft.types import Losses, Targets

DONE, RUNNING, DIVERGED = "done", "running", "diverged"


@dataclass(frozen=True)
class Arm:
    """What is trained: a label safe as a folder name, a spec, and the user's classes it refers to.

    weights: state dict to start from, keys by layer identity; empty for a fresh start. distill: methods by
    which it learns from its teacher, one object for all arms that share it.
    """

    label: str
    spec: ModelSpec
    code: Codebook = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    distill: tuple[ModuleRef, ...] = ()
    teacher: Teacher | None = None


@dataclass(frozen=True)
class Length:
    """How long a run is: optimiser steps in all, and per epoch."""

    total_steps: int
    steps_per_epoch: int


class ArmRun:
    """An arm on its way through a run.

    steps: optimiser steps done. history: one row per finished epoch. best: the highest point of the curve so
    far. status: running, done or diverged; reason says why a diverged arm stopped. seconds: training time,
    evaluation not counted. shared_seconds: of these, spent once for all arms that branch from one run.
    """

    def __init__(
        self, arm: Arm, recipe: Recipe, *, fabric: Fabric, precision: str, seed: int, length: Length
    ) -> None:
        self._scaled = precision == "fp16"
        self.arm, self.recipe, self.fabric, self.seed, self.length = arm, recipe, fabric, seed, length
        detector = build(arm.spec, seed=seed, code=arm.code)
        if arm.weights:
            detector.load_state_dict({**detector.state_dict(), **arm.weights})
        to_channels_last(detector, fabric.device)
        self.detector: Detector = detector
        self.ema = EMA(detector, copy.deepcopy(detector), recipe)
        self._distiller = _distiller(arm, detector, seed=seed, device=fabric.device)
        self._tuning = FineTuning(detector, recipe, arm.weights.keys())
        beside, parts = self._beside(), self._tuning.parts
        self._parts = parts and {**parts, **dict.fromkeys(beside, NEW)}
        optimizer = build_optimizer(
            detector,
            recipe,
            arm.spec.num_classes,
            fused=not self._scaled,
            parts=self._parts,
            beside=beside.items(),
        )
        self._model, self._optimizer = fabric.setup(detector, optimizer)
        self._peak = recipe.peak_lr(arm.spec.num_classes)
        self._criterion = build_criterion(detector, recipe)
        self.steps, self.seconds, self.shared_seconds = 0, 0.0, 0.0
        self.status, self.reason = RUNNING, ""
        self.history: list[dict[str, Any]] = []
        self._sums: dict[str, float] = {}
        self.best = Best()

    @property
    def shadow(self) -> Detector:
        """The EMA detector, the one results are measured on."""
        return self.ema.shadow  # type: ignore[return-value]

    def look(self, images: Tensor) -> View | None:
        """What the arm's teacher sees in a uint8 batch, in the run's precision; None without a teacher."""
        if self._distiller is None or self.arm.teacher is None:
            return None
        with self.fabric.autocast():
            return self.arm.teacher.look(images.to(self.fabric.device, non_blocking=True))

    def step(
        self, images: Tensor, targets: Targets, image_ids: tuple[str, ...], *, shown: View | None = None
    ) -> None:
        """One optimiser step on a normalised batch; a non-finite loss or gradient stops the arm before it.

        Args:
            shown: what `look` gave for the batch, to this arm or to one with the same teacher.
        """
        began = time.perf_counter()
        rates = self._rates()
        set_learning_rate(self._optimizer, rates)
        # Dropout and its kin draw from a seed of their own step, so that no arm disturbs another.
        torch.manual_seed(rng.seed_of(self.seed, "step", self.steps))
        self._model.train()
        self._tuning.hold_still(self.epochs)
        with own_failures_in_one_line(self.arm.code):
            losses = self._losses(images, targets, shown)
            extra = self.detector.auxiliary_loss(targets)
        total = losses.total if extra is None else losses.total + extra
        if not math.isfinite(total.item()):
            self._diverge(f"loss {total.item()}", image_ids)
            return
        # An arm with nothing but frozen parameters stands still until they thaw.
        if total.requires_grad and not self._update(total, image_ids):
            return
        self.ema.update(self.steps)
        self.steps += 1
        self._count(losses.parts, total / targets.batch_size)
        # The teacher's look counts for every arm that used it, as if each had trained alone.
        self.seconds += time.perf_counter() - began + (shown.seconds if shown else 0.0)
        if self.steps % self.length.steps_per_epoch == 0:
            self._close_epoch(rates)

    def _losses(self, images: Tensor, targets: Targets, shown: View | None) -> Losses:
        """The detector's own losses and, beside them, those of what its teacher was shown."""
        final = self._in_final_epochs()
        if self._distiller is None or shown is None:
            return self._criterion(self._model(images), targets, final=final)
        with watching(self.detector) as seen:
            raw = self._model(images)
        own = self._criterion(raw, targets, final=final)
        draw = rng.seed_of(self.seed, "distill", self.steps)
        with self.fabric.autocast():
            taught = self._distiller(View(self.detector, seen[0], raw), shown, draw=draw)
        total = own.total + torch.stack(list(taught.values())).sum() * targets.batch_size
        return Losses(total, own.parts | {name: value.detach() for name, value in taught.items()})

    def _rates(self) -> dict[str, float]:
        """The learning rate of every part in this step."""
        length = self.length
        factors = part_rates(
            self.steps,
            total_steps=length.total_steps,
            steps_per_epoch=length.steps_per_epoch,
            recipe=self.recipe,
        )
        return {part: self._peak * factor for part, factor in factors.items()}

    def _update(self, total: Tensor, image_ids: tuple[str, ...]) -> bool:
        """Backward and one optimiser step; False where the gradient is not finite and the arm stops."""
        with own_failures_in_one_line(self.arm.code):
            self.fabric.backward(total)
        norm = self.fabric.clip_gradients(
            self._model, self._optimizer, max_norm=self.recipe.clip, error_if_nonfinite=False
        )
        # A loss scaler expects overflow now and then and skips that update by itself.
        if norm is not None and not self._scaled and not math.isfinite(norm.item()):
            self._diverge(f"gradient norm {norm.item()}", image_ids)
            return False
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return True

    def _in_final_epochs(self) -> bool:
        return self.epochs >= self.recipe.epochs - self.recipe.plain_epochs()

    def _diverge(self, what: str, image_ids: tuple[str, ...]) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self.status = DIVERGED
        self.reason = f"{what} at step {self.steps}; batch: {', '.join(image_ids[:4])}" + (
            f" and {len(image_ids) - 4} more" if len(image_ids) > 4 else ""
        )

    def _count(self, parts: Mapping[str, Tensor], total: Tensor) -> None:
        for name, value in (*parts.items(), ("loss", total)):
            self._sums[name] = self._sums.get(name, 0.0) + value.item()

    def _close_epoch(self, rates: Mapping[str, float]) -> None:
        parts = dict.fromkeys(self._parts.values())
        lr = {f"lr_{part}": rates[part] for part in parts} or {"lr": rates[WHOLE]}
        means = {name: value / self.length.steps_per_epoch for name, value in self._sums.items()}
        self._sums = {}
        row = {"epoch": self.epochs - 1, "step": self.steps, **lr, **means}
        self.history.append(row | fusion_curves(self.detector))
        if self.steps >= self.length.total_steps:
            self.status = DONE

    @property
    def epochs(self) -> int:
        """Whole epochs done."""
        return self.steps // self.length.steps_per_epoch

    def tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs as tensors: weights, EMA, best EMA, optimiser moments."""
        out = {f"model.{k}": v for k, v in self.detector.state_dict().items()}
        out |= {f"ema.{k}": v for k, v in self.shadow.state_dict().items()}
        out |= {f"best.{k}": v for k, v in self.best.tensors.items()}
        if self._distiller is not None:
            out |= {f"distill.{k}": v for k, v in self._distiller.state_dict().items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            out |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
        return out

    def state(self) -> dict[str, Any]:
        """The counters of the run as JSON."""
        return {
            "label": self.arm.label,
            "seed": self.seed,
            "steps": self.steps,
            "status": self.status,
            "reason": self.reason,
            "seconds": self.seconds,
            "shared_seconds": self.shared_seconds,
            "history": self.history,
            "sums": self._sums,
            "best": self.best.facts,
            "parameters": self._names(),
            "loss_scale": self.fabric.strategy.precision.state_dict(),
            "spec": self.arm.spec.to_json(),
            "spec_sha256": self.arm.spec.digest(),
            "recipe": self.recipe.to_json(),
            "recipe_sha256": self.recipe.digest(),
            **self._taught(),
        }

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Continue from what `tensors` and `state` gave.

        Raises:
            CheckpointError: another spec, recipe or seed wrote it (YG404).
        """
        self._check_origin(state, spec_sha256=self.arm.spec.digest(), **self._taught())
        part = _by_prefix(tensors)
        self.detector.load_state_dict(part["model"])
        self.shadow.load_state_dict(part["ema"])
        if self._distiller is not None:
            self._distiller.load_state_dict(part.get("distill", {}))
        self._take_moments(_by_index(part.get("optimizer", {})))
        self._take_counters(state)
        self.best.restore(state.get("best", {}), part.get("best", {}))

    def branch(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from another arm's run of this seed: tensors both nets name, their moments, all counters.

        What only this net has stays as it was built, at rest in the optimiser; the best epoch begins anew.

        Raises:
            CheckpointError: another recipe or seed wrote it (YG404), or it names a tensor that this net does
                not have, or in another shape (YG409).
        """
        self._check_origin(state)
        part = _by_prefix(tensors)
        for net, key in ((self.detector, "model"), (self.shadow, "ema")):
            own = net.state_dict()
            lost = [k for k, v in part[key].items() if k not in own or own[k].shape != v.shape]
            if lost:
                cause = f"arm '{self.arm.label}' has no place for {lost[0]} of the run it branches from"
                raise CheckpointError("YG409", cause, fix="a graft that only adds layers can branch")
            net.load_state_dict({**own, **part[key]})
        theirs = dict(enumerate(state["parameters"]))
        mine = {name: index for index, name in enumerate(self._names())}
        moments = _by_index(part.get("optimizer", {}))
        self._take_moments({mine[theirs[index]]: found for index, found in moments.items()})
        self._take_counters(state)
        self.shared_seconds = self.seconds

    def _names(self) -> list[str]:
        """The parameters by name, in the order in which the optimiser counts them."""
        named = (*self.detector.named_parameters(), *self._beside().items())
        name_of = {id(p): name for name, p in named}
        return [name_of[id(p)] for group in self._optimizer.param_groups for p in group["params"]]

    def _beside(self) -> dict[str, torch.nn.Parameter]:
        """What trains with the detector and is no part of it, by name."""
        return dict(self._distiller.named_parameters("distill")) if self._distiller is not None else {}

    def _taught(self) -> dict[str, Any]:
        """By what and by whom the arm is taught; Nones for an arm that is not."""
        methods = [ref.text() for ref in self.arm.distill]
        return {
            "distill": methods or None,
            "teacher_sha256": self.arm.teacher.sha256 if methods and self.arm.teacher else None,
        }

    def _check_origin(self, state: Mapping[str, Any], **also: str | None) -> None:
        same = {**also, "recipe_sha256": self.recipe.digest(), "seed": self.seed}
        for key, mine in same.items():
            found = _digest_today(state) if key == "recipe_sha256" else state.get(key)
            if found != mine:
                raise CheckpointError("YG404", f"the checkpoint of arm '{self.arm.label}' has another {key}")

    def _take_moments(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        laid_out = {
            index: {k: _laid_out_as(parameters[index], v) for k, v in found.items()}
            for index, found in moments.items()
        }
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": laid_out, "param_groups": groups})

    def _take_counters(self, state: Mapping[str, Any]) -> None:
        self.steps, self.seconds = int(state["steps"]), float(state["seconds"])
        self.shared_seconds = float(state.get("shared_seconds", 0.0))
        self.status, self.reason = state["status"], state["reason"]
        self.history, self._sums = list(state["history"]), dict(state["sums"])
        if scale := state.get("loss_scale"):
            self.fabric.strategy.precision.load_state_dict(scale)


def _distiller(arm: Arm, detector: Detector, *, seed: int, device: torch.device) -> Distiller | None:
    """What stands beside the detector of an arm that is taught, on its device.

    Raises:
        CheckpointError: there are methods and no teacher (YG446).
    """
    if not arm.distill:
        return None
    if arm.teacher is None:
        cause = f"arm '{arm.label}' is to be distilled, and there is no teacher"
        raise CheckpointError("YG446", cause, fix="add --teacher RUN")
    arm.teacher.go_to(device)
    return Distiller(arm.distill, detector, arm.teacher.detector, seed=seed).to(device)


def _digest_today(state: Mapping[str, Any]) -> str:
    """The digest of the recipe in a state, read as today: it may lack keys that came later."""
    try:
        return Recipe.model_validate(state.get("recipe")).digest()
    except ValidationError:
        return ""


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the memory layout of its parameter: fused optimisers walk both side by side."""
    return torch.empty_like(parameter).copy_(moment) if moment.shape == parameter.shape else moment


def _by_index(moments: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    out: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        out.setdefault(int(index), {})[name] = value
    return out


def _by_prefix(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    out: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        prefix, _, rest = key.partition(".")
        out.setdefault(prefix, {})[rest] = value
    return out
