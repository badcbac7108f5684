"""One training run of another tool, as its folder tells it: settings, curve, how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolograft.study.judge.bounded import Scalar

DONE, DIVERGED, UNFINISHED = "done", "diverged", "unfinished"
# Two ways in which tools weigh AP50 and AP into the fitness by which the best epoch is chosen.
_FITNESS = ((0.1, 0.9), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run folder as read.

    tool: ``ultralytics``, ``yolov5`` or ``yolox``. recipe: settings that make the experiment; seed, names and
    paths of the run itself are left out. data: what it was trained and evaluated on, as its settings say.
    planned: epochs asked for. curve: (epoch from 1, AP in points) of every evaluated epoch. status: ``done``,
    ``diverged`` or ``unfinished``, why in ``reason``. early: stopped by its patience. predictions: COCO
    results beside it. of_best: these are of the best epoch's weights.
    """

    folder: Path
    tool: str
    seed: int | None
    recipe: Mapping[str, Scalar]
    data: str
    planned: int
    curve: tuple[tuple[int, float], ...]
    status: str
    reason: str = ""
    early: bool = False
    predictions: Path | None = None
    of_best: bool = False

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def last(self) -> float:
        """AP of the last epoch, in points; nan without one."""
        return self.curve[-1][1] if self.curve else math.nan

    @property
    def best(self) -> float:
        """The highest AP of any epoch, in points; nan without one."""
        return max((ap for _, ap in self.curve), default=math.nan)


def ending(
    epochs: Sequence[int],
    ap50: Sequence[float],
    ap: Sequence[float],
    *,
    planned: int,
    patience: int,
    cut: bool,
) -> tuple[str, str, bool]:
    """(status, reason, stopped early) of a run from its curve; epochs count from 1, AP in points.

    A run whose last row is not its last planned epoch was killed, unless its patience explains it.
    """
    if not epochs:
        return UNFINISHED, "no epoch was evaluated", False
    if not math.isfinite(ap[-1]):
        return DIVERGED, f"AP is no number at epoch {epochs[-1]}", False
    if cut:
        return UNFINISHED, f"the file ends in the middle of a row after epoch {epochs[-1]}", False
    if epochs[-1] >= planned > 0:
        return DONE, "", False
    for half, whole in _FITNESS:
        fitness = [half * a + whole * b for a, b in zip(ap50, ap, strict=True)]
        top = max(range(len(fitness)), key=lambda i: fitness[i] if math.isfinite(fitness[i]) else -1.0)
        if 0 < patience <= epochs[-1] - epochs[top]:
            return DONE, "", True
    return UNFINISHED, f"stopped at epoch {epochs[-1]} of {planned}", False


def whole(value: object) -> int | None:
    """The whole number a setting stands for, None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) < 12 else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 1e12 else None
    return value if isinstance(value, int) and abs(value) < 10**12 else None


def by_epoch(rows: Sequence[tuple[float, float, float]]) -> list[tuple[int, float, float]]:
    """(epoch, AP50, AP) rows in order, a resumed run's later row in place of the earlier one."""
    latest = {int(epoch): (ap50, ap) for epoch, ap50, ap in rows if math.isfinite(epoch) and 0 <= epoch < 1e9}
    return [(epoch, *latest[epoch]) for epoch in sorted(latest)]


def in_points(share: float) -> float:
    """A share in 0..1 as points; nan for anything else."""
    return 100 * share if 0 <= share <= 1 else math.nan
