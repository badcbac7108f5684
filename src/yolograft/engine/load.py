"""A stored model, ready on a device: what `eval` and `predict` begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolograft.engine.device import default_device, exact_arithmetic, places
from yolograft.engine.modelfolder import StoredModel, read_model
from yolograft.models.detector import Detector
from yolograft.models.layout import to_channels_last


def load_detector(
    folder: Path, *, device: str | None = None, code: Sequence[str | Path] = ()
) -> tuple[Detector, StoredModel]:
    """The detector of a model folder in eval mode on ``cpu`` or a GPU index, and what is stored with it.

    Raises:
        CheckpointError: no model there, damaged, or a class of the user's own has no file.
        MachineError: no such device (YG701).
    """
    exact_arithmetic()
    stored = read_model(folder)
    place = places(device or default_device())[0]
    detector = stored.detector(code=code)
    to_channels_last(detector, place)
    return detector, stored
