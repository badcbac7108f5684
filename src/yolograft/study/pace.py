"""How long a study will take, said once, after its first steps: hands everything on and times it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from yolograft.engine.arm import ArmRun
from yolograft.engine.train import Progress
from yolograft.study.report.notation import duration

# The first step compiles and fills caches; an estimate from few steps or a few seconds is worth nothing.
_SKIPPED, _STEPS, _SECONDS = 2, 12, 10.0
# A study shorter than this needs no announcement.
_WORTH_SAYING = 60.0


class Pace:
    """A `Progress` that hands on what it hears, and adds one line with the hours to come.

    Args:
        inner: who hears everything. arms: of a whole seed. clock: seconds, monotonic.
    """

    def __init__(self, inner: Progress, *, arms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._arms, self._clock = inner, arms, clock
        self._seeds, self._said = 1, False
        self._labels = 1
        self._seen, self._began = 0, 0.0

    def seeds_left(self, count: int) -> None:
        """How many seeds are to come at most, the one that begins counted."""
        self._seeds = count

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins."""
        self._labels, self._seen = max(len(labels), 1), 0
        self._inner.group(labels, start=start, steps=steps)

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        """All arms have taken a step."""
        self._inner.step(runs, batch)
        if self._said:
            return
        self._seen += 1
        if self._seen == _SKIPPED:
            self._began = self._clock()
        counted, spent = self._seen - _SKIPPED, self._clock() - self._began
        if counted >= _STEPS and spent >= _SECONDS:
            self._said = True
            total, done = runs[0].length.total_steps, max(run.steps for run in runs)
            groups = math.ceil(self._arms / self._labels)
            ahead = spent / counted * (groups * self._seeds * total - done)
            if ahead >= _WORTH_SAYING:
                most = "at most " if self._seeds > 1 else ""
                self.note(f"about {duration(ahead)} of training to come, for {most}{self._seeds} seed(s)")

    def note(self, text: str) -> None:
        """Something worth a line."""
        self._inner.note(text)
