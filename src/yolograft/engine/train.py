"""The lockstep trainer: any number of arms on one stream of batches, each batch made once.

An arm's result depends on its own spec, recipe, seed and the batches; the other arms leave no trace.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from lightning_fabric import Fabric

from yolograft.data.loader import Batch, TrainStream
from yolograft.distill.teacher import Teacher
from yolograft.distill.view import View
from yolograft.engine import checkpoint
from yolograft.engine.arm import RUNNING, Arm, ArmRun, Length
from yolograft.engine.device import open_fabric, places, resolve_precision
from yolograft.engine.interrupt import Interrupts
from yolograft.engine.memory import arms_per_group, keep_freed_memory, need_of
from yolograft.engine.recipe import Recipe
from yolograft.engine.recorder import Recorder
from yolograft.errors import CheckpointError
from yolograft.models.detector import Detector
from yolograft.types import Targets


@dataclass(frozen=True)
class Settings:
    """What may differ between machines without changing the experiment.

    device: ``cpu`` or a GPU index. precision: fp32, bf16 or fp16; the recipe's when None.
    checkpoint_seconds: least time between checkpoints, which are written at epoch ends. group: most arms
    held in memory at once; None works it out.
    """

    device: str = "cpu"
    precision: str | None = None
    checkpoint_seconds: float = 30.0
    group: int | None = None


class Progress(Protocol):
    """Hears what happens; every method may ignore it."""

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins at ``start`` of ``steps``."""

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        """All arms have taken a step."""

    def note(self, text: str) -> None:
        """Something worth a line."""


Curve = Callable[[Detector], dict[str, float]]


def train(
    arms: Sequence[Arm],
    stream: TrainStream,
    recipe: Recipe,
    *,
    seed: int,
    folders: Sequence[Path],
    settings: Settings,
    progress: Progress,
    curve: Curve | None = None,
    recorders: Sequence[Recorder] = (),
    until: int | None = None,
    trunk: Path | None = None,
) -> list[ArmRun]:
    """Train all arms of one seed, resuming whatever their folders hold.

    Args:
        stream: the batches; all arms see the same ones in the same order.
        folders: one per arm, for its checkpoints.
        curve: measures the EMA detector at the recipe's evaluation epochs; where it gives ``ap``, the best
            weights are kept.
        recorders: hear the numbers of every epoch.
        until: stop after this epoch's end and save; the runs are then still running.
        trunk: folder of a run's checkpoints; arms without one of their own branch from the newest.

    Returns:
        the runs, done or diverged; running where they were to stop.

    Raises:
        Interrupted: a signal asked to stop; everything is saved first.
    """
    keep_freed_memory()
    length = Length(stream.steps_per_epoch * recipe.epochs, stream.steps_per_epoch)
    stop = length.total_steps if until is None else until * length.steps_per_epoch
    finished: list[ArmRun] = []
    with Interrupts() as interrupts:
        # Within reach of a signal: counting memory runs the user's own classes once.
        size = settings.group or _group_size(arms, recipe, settings.device)
        interrupts.raise_if_pending()
        if size < len(arms):
            progress.note(f"arms run in groups of {size} over the same batches")
        for first in range(0, len(arms), size):
            chosen = slice(first, first + size)
            runs = _open_runs(arms[chosen], recipe, settings, seed=seed, length=length)
            kept_in = list(folders[chosen])
            _resume(runs, kept_in, progress, trunk)
            _run_group(runs, kept_in, stream, settings, progress, curve, interrupts, recorders, stop)
            finished += runs
        interrupts.raise_if_pending()
    return finished


def _open_runs(
    arms: Sequence[Arm], recipe: Recipe, settings: Settings, *, seed: int, length: Length
) -> list[ArmRun]:
    precision = settings.precision or resolve_precision(recipe, settings.device)
    # One Fabric an arm: its loss scaler belongs to that arm alone.
    return [
        ArmRun(
            arm,
            recipe,
            fabric=open_fabric(settings.device, precision),
            precision=precision,
            seed=seed,
            length=length,
        )
        for arm in arms
    ]


def _group_size(arms: Sequence[Arm], recipe: Recipe, device: str) -> int:
    if len(arms) < 2:
        return 1
    return arms_per_group([need_of(arm, recipe) for arm in arms], recipe.batch, places(device)[0])


def _resume(runs: Sequence[ArmRun], folders: Sequence[Path], progress: Progress, trunk: Path | None) -> None:
    for run, folder in zip(runs, folders, strict=True):
        found = checkpoint.newest_checkpoint(folder)
        if found is not None:
            run.restore(*found)
            progress.note(f"{run.arm.label}: resumed after step {run.steps}")
        elif trunk is not None:
            shared = checkpoint.newest_checkpoint(trunk)
            if shared is None:
                raise CheckpointError("YG401", "no checkpoint to branch from", where=str(trunk))
            run.branch(*shared)
            progress.note(f"{run.arm.label}: branches after step {run.steps}")


def _run_group(
    runs: Sequence[ArmRun],
    folders: Sequence[Path],
    stream: TrainStream,
    settings: Settings,
    progress: Progress,
    curve: Curve | None,
    interrupts: Interrupts,
    recorders: Sequence[Recorder],
    stop: int,
) -> None:
    active = [run for run in runs if run.status == RUNNING and run.steps < stop]
    if not active:
        return
    start = min(run.steps for run in active)
    for recorder, run in itertools.product(recorders, active):
        recorder.begin(run)
    progress.group([run.arm.label for run in runs], start=start, steps=stop)
    saved_at = time.monotonic()
    for position, batch in _batches(stream, start, active[0].fabric):
        views: dict[Teacher, View | None] = {}
        for run in active:
            # After a crash an arm may be ahead of the others; it waits for them.
            if run.status == RUNNING and run.steps == position:
                # Floats of its own: a module that writes into its input must not reach the next arm.
                images, targets = _to_device(batch, run)
                run.step(images, targets, batch.image_ids, shown=_shown(run, batch, views))
        closed = [r for r in active if r.steps == position + 1 and r.steps % stream.steps_per_epoch == 0]
        _measure(closed, curve)
        for recorder, run in itertools.product(recorders, closed):
            recorder.epoch(run, run.history[-1])
        progress.step(runs, stream.batch_size)
        over = all(run.status != RUNNING or run.steps >= stop for run in active)
        due = bool(closed) and time.monotonic() - saved_at >= settings.checkpoint_seconds
        if due or over or interrupts.pending:
            for run, folder in zip(runs, folders, strict=True):
                _save(run, folder)
            saved_at = time.monotonic()
        interrupts.raise_if_pending()
        if over:
            break


def _batches(stream: TrainStream, start: int, fabric: Fabric) -> Iterator[tuple[int, Batch]]:
    epoch, step = divmod(start, stream.steps_per_epoch)
    rank, world = fabric.global_rank, fabric.world_size
    for e, s, batch in stream.iterate(start_epoch=epoch, start_step=step, rank=rank, world=world):
        yield e * stream.steps_per_epoch + s, batch


def _to_device(batch: Batch, run: ArmRun) -> tuple[torch.Tensor, Targets]:
    device = run.fabric.device
    images = run.detector.normalise(batch.images.to(device, non_blocking=True))
    boxes, labels, image, size = batch.targets
    return images, Targets(boxes.to(device), labels.to(device), image.to(device), size)


def _shown(run: ArmRun, batch: Batch, views: dict[Teacher, View | None]) -> View | None:
    """What the arm's teacher sees in a batch; it looks once, for all its arms."""
    teacher = run.arm.teacher
    if teacher is None or not run.arm.distill:
        return None
    if teacher not in views:
        views[teacher] = run.look(batch.images)
    return views[teacher]


def _measure(runs: Sequence[ArmRun], curve: Curve | None) -> None:
    for run in runs:
        row = run.history[-1]
        if curve is not None and row["epoch"] in run.recipe.eval_epochs():
            row |= curve(run.shadow)
            run.best.offer(row, run.shadow.state_dict())


def _save(run: ArmRun, folder: Path) -> None:
    if not run.fabric.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    target = checkpoint.step_folder(folder, run.steps)
    if run.status == RUNNING and target.exists():
        return
    checkpoint.write_checkpoint(target, run.tensors(), run.state())
    checkpoint.drop_old_checkpoints(folder, keep=2)
