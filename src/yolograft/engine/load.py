"""A stored model, ready on a device: what `eval` and `predict` begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolograft.engine.device import default_device, exact_arithmetic, places
from yolograft.engine.foreignfolder import read_source
from yolograft.engine.modelfolder import StoredModel
from yolograft.models.detector import Detector
from yolograft.models.layout import to_channels_last


def load_detector(
    path: Path, *, device: str | None = None, code: Sequence[str | Path] = (), force: bool = False
) -> tuple[Detector, StoredModel]:
    """The detector of a model folder or of a file from elsewhere, in eval mode, and what is stored with it.

    Args:
        device: ``cpu`` or a GPU index. force: take of a file what fits though the rest does not.

    Raises:
        CheckpointError: no model there, damaged, not of ours, or a class of the user's own has no file.
        MachineError: no such device (YG701).
    """
    exact_arithmetic()
    stored = read_source(path, force=force)
    place = places(device or default_device())[0]
    detector = stored.detector(code=code)
    to_channels_last(detector, place)
    return detector, stored
