"""A study's progress in the terminal: one bar per group of arms, with loss, rate and time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from yolograft.cli.terminal import printable
from yolograft.engine.arm import DIVERGED, ArmRun


class TerminalProgress:
    """Shows progress on stderr, so that ``--json`` leaves stdout alone.

    quiet lines are printed once per tenth of a run when stderr is no terminal.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: int | None = None
        self._seen, self._clock, self._told = 0, time.monotonic(), -1

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        """A group of arms begins."""
        if self._task is not None:
            self._bar.remove_task(self._task)  # type: ignore[arg-type]
        name = labels[0] if len(labels) == 1 else f"{len(labels)} arms in lockstep"
        self._task = self._bar.add_task(name, total=steps, completed=start, facts="")
        self._seen, self._clock, self._told = 0, time.monotonic(), -1

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        """All arms have taken a step."""
        self._seen += 1
        done = max(run.steps for run in runs)
        rate = self._seen * batch * sum(r.status != DIVERGED for r in runs) / (time.monotonic() - self._clock)
        losses = [r.history[-1]["loss"] for r in runs if r.history]
        facts = f"{rate:.0f} images/s" + (f"  loss {losses[0]:.2f}" if losses else "")
        if self._task is not None:
            self._bar.update(self._task, completed=done, facts=facts)  # type: ignore[arg-type]
        tenth = 10 * done // runs[0].length.total_steps
        if not self._console.is_terminal and tenth > self._told:
            self._told = tenth
            self.note(f"step {done}/{runs[0].length.total_steps}  {facts}")

    def note(self, text: str) -> None:
        """One line above the bar."""
        self._console.print(printable(text), markup=False, soft_wrap=True)
