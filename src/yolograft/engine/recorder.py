"""Where numbers of a run go while it trains: the seam for loggers, and TensorBoard behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from yolograft.engine.arm import ArmRun
from yolograft.errors import MachineError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOGGERS = ("tensorboard",)
_MEASURED = ("ap", "ap50")


class Recorder(Protocol):
    """Hears the numbers of every arm. Rows are those of ``ArmRun.history``."""

    def begin(self, run: ArmRun) -> None:
        """An arm starts, or goes on after ``run.steps`` with ``run.history`` behind it."""

    def epoch(self, run: ArmRun, row: Mapping[str, Any]) -> None:
        """An epoch is over: epoch, step, lr, losses, and AP where the curve was measured."""

    def close(self) -> None:
        """Nothing more comes."""


def check_loggers(names: Sequence[str]) -> None:
    """See before anything is trained whether the loggers can be had.

    Raises:
        MachineError: unknown, or its package is not installed (YG707).
    """
    from importlib.util import find_spec

    for name in names:
        if name not in LOGGERS:
            raise MachineError("YG707", f"no logger '{name}'", fix=f"loggers: {', '.join(LOGGERS)}")
        if find_spec(name) is None:
            raise MachineError(
                "YG707", f"the logger {name} is not installed", fix='pip install "yolograft[loggers]"'
            )


def open_recorders(names: Sequence[str], run: Path) -> list[Recorder]:
    """One recorder a name, writing below the run folder.

    Raises:
        MachineError: as `check_loggers`.
    """
    check_loggers(names)
    return [TensorBoard(run / name) for name in names]


class TensorBoard:
    """Scalars in ``FOLDER/LABEL/seed-K``: learning rate, losses and AP (points) over optimiser steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def begin(self, run: ArmRun) -> None:
        """Open the arm's event file; what a killed run wrote beyond its last checkpoint is taken back."""
        from torch.utils.tensorboard import SummaryWriter

        place = self.folder / run.arm.label / f"seed-{run.seed}"
        earlier = place.is_dir() and any(place.iterdir())
        # Readers drop what stands at or after this step in older files of the folder.
        purge = run.steps + 1 if earlier else None
        self._writers[run.arm.label] = SummaryWriter(str(place), purge_step=purge)
        if not earlier:
            for row in run.history:
                self.epoch(run, row)

    def epoch(self, run: ArmRun, row: Mapping[str, Any]) -> None:
        """Write one row of the history, and see it to the disk: the next moment may be the last."""
        writer = self._writers[run.arm.label]
        for key, value in row.items():
            if key not in ("epoch", "step"):
                room = "eval" if key in _MEASURED else "train"
                writer.add_scalar(f"{room}/{key}", value, row["step"])
        writer.flush()

    def close(self) -> None:
        """Close the event files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
