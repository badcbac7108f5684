"""Finds one trained model inside a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from yolograft.engine.checkpoint import STATE, read_json
from yolograft.engine.foreignfolder import is_file_from_elsewhere
from yolograft.engine.modelfolder import BEST, LAST
from yolograft.engine.runfolder import arm_folder
from yolograft.errors import CheckpointError
from yolograft.study.planning.manifest import MANIFEST, read_manifest


def model_folder(
    run: Path, *, arm: str | None = None, seed: int | None = None, which: Literal["last", "best"] = "last"
) -> Path:
    """The model folder of a run; a model folder itself and a file from elsewhere are returned as they are.

    Args:
        which: the weights at the end, or those of the highest point of the curve.

    Raises:
        CheckpointError: there is none, or several and no choice was made (YG407).
    """
    if is_file_from_elsewhere(run):
        if arm is not None or seed is not None or which == "best":
            cause = "a file from elsewhere holds one model"
            raise CheckpointError("YG407", cause, where=str(run), fix="leave out --arm, --seed and --which")
        return run
    if (run / STATE).is_file():
        if which == "best" and read_json(run / STATE).get("which") != "best":
            fix = "name its run folder, or leave out --which"
            raise CheckpointError(
                "YG407", "this model folder is not of the best point", where=str(run), fix=fix
            )
        return run
    manifest = read_manifest(run)
    labels = [item["label"] for item in manifest["arms"]]
    if arm is None and len(labels) > 1:
        raise CheckpointError(
            "YG407", f"this run has arms {', '.join(labels)}", where=str(run), fix="choose: --arm LABEL"
        )
    if arm is not None and arm not in labels:
        raise CheckpointError("YG407", f"no arm '{arm}'", where=str(run), fix=f"arms: {', '.join(labels)}")
    place = arm_folder(run, arm or labels[0], manifest["seeds"][0] if seed is None else seed)
    folder = place / (BEST if which == "best" else LAST)
    if not (folder / STATE).is_file():
        raise CheckpointError("YG407", "no finished model here", where=str(folder))
    return folder


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest of the run a model folder belongs to; None where it stands alone."""
    runs = (
        parent for parent in folder.resolve().parents if folder.is_dir() and (parent / MANIFEST).is_file()
    )
    run = next(runs, None)
    return None if run is None else read_manifest(run)


def data_of(folder: Path) -> str:
    """The dataset path of the run a model folder belongs to.

    Raises:
        CheckpointError: the folder stands alone (YG408).
    """
    if manifest := manifest_of(folder):
        return manifest["data"]["path"]
    raise CheckpointError(
        "YG408", "this model stands alone", where=str(folder), fix="name the dataset: --data PATH"
    )
