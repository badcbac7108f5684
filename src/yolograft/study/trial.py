"""A few training steps, timed: how long a study will take where nothing like it has run yet."""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from yolograft.data.records import ImageRecord
from yolograft.engine.arm import Arm, ArmRun
from yolograft.engine.batches import recipe_stream
from yolograft.engine.recipe import Recipe
from yolograft.engine.train import Settings, train

STEPS = 6


class _Clock:
    """A progress that notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        pass

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        self.times.append(time.perf_counter())

    def note(self, text: str) -> None:
        pass


def seconds_per_epoch(
    arms: Sequence[Arm], records: Sequence[ImageRecord], recipe: Recipe, *, settings: Settings
) -> float:
    """Training time of one epoch of all arms side by side, from the median of a few steps.

    The first step, in which memory is taken, does not count; evaluation is not in it.
    """
    plain = {name: Recipe.model_fields[name].get_default() for name in recipe.fine_tuning()}
    short = recipe.model_copy(update={"epochs": 1, **plain})
    few = list(records[: STEPS * recipe.batch])
    stream = recipe_stream(few, short, seed=0, cache="none")
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / arm.label for arm in arms]
        start = time.perf_counter()
        train(arms, stream, short, seed=0, folders=places, settings=settings, progress=clock)
    ends = [start, *clock.times]
    steps = [after - before for before, after in itertools.pairwise(ends)]
    # Groups of arms that do not fit together take the same steps one after another.
    groups = max(len(steps) // max(stream.steps_per_epoch, 1), 1)
    usual = statistics.median(steps[1:] or steps)
    return groups * usual * math.ceil(len(records) / recipe.batch)
