"""A trained model on disk: a checkpoint folder with EMA weights, the spec and the hashes of foreign code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.engine.arm import Arm
from yolograft.engine.best import Best
from yolograft.engine.checkpoint import STATE, TENSORS, read_checkpoint, read_json, write_checkpoint
from yolograft.errors import CheckpointError
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build
from yolograft.models.codebook import Codebook, from_files
from yolograft.models.detector import Detector

KIND = "model"
LAST, BEST = "model", "best"


@dataclass(frozen=True)
class StoredModel:
    """What a model folder holds. tensors: EMA weights, float32. about: imgsz, names, origin."""

    spec: ModelSpec
    tensors: dict[str, Tensor]
    hashes: dict[str, str]
    about: dict[str, Any]

    @property
    def imgsz(self) -> tuple[int, int]:
        """Training size (height, width), input pixels."""
        height, width = self.about["imgsz"]
        return int(height), int(width)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.about["names"])

    def detector(self, *, code: Sequence[str | Path] = ()) -> Detector:
        """The detector in eval mode; classes of the user's own need their files named.

        Raises:
            CheckpointError: a class has no file (YG410) or the weights do not fit the spec (YG402).
        """
        return self.built(from_files(self.hashes, code))

    def built(self, code: Codebook) -> Detector:
        """The detector in eval mode, from classes that are loaded already.

        Raises:
            ModuleError: a class is not among them (YG203).
            CheckpointError: the weights do not fit the spec (YG402).
        """
        built = build(self.spec, code=code)
        try:
            built.load_state_dict(self.tensors, strict=True)
        except RuntimeError as error:
            raise CheckpointError("YG402", f"the weights do not fit their spec: {error}") from error
        return built.eval()


def store_model(folder: Path, arm: Arm, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a model folder."""
    hashes = {ref: user.sha256 for ref, user in arm.code.items()}
    state = {"kind": KIND, "spec": arm.spec.to_json(), "code": hashes, **about}
    write_checkpoint(folder, tensors, state)


def store_best(folder: Path, arm: Arm, best: Best, about: dict[str, Any], *, split: str, last: Path) -> None:
    """Write the model folder of the best point of the curve, where there is one, marked as what it is.

    Args:
        split: the split it was chosen on. last: model folder of the end; where the end is the best point,
            both share one file on the disk.
    """
    if not best.facts:
        return
    marked = {**about, "which": BEST, "chosen_on": split, "for_verdicts": False, **best.facts}
    store_model(folder, arm, best.tensors, marked)
    if tensors_sha256(folder) == tensors_sha256(last):
        _share_file(last / TENSORS, folder / TENSORS)


def _share_file(kept: Path, twin: Path) -> None:
    """Make `twin`, equal in content, a second name of `kept`; without links it stays a copy."""
    spare = twin.with_name(f".{twin.name}.tmp")
    try:
        spare.hardlink_to(kept)
        spare.replace(twin)
    except OSError:
        spare.unlink(missing_ok=True)


def best_warning(about: Mapping[str, Any]) -> str:
    """What must be said whenever a best model is used; empty for the weights at the end."""
    if about.get("which") != BEST:
        return ""
    return (
        f"best of the curve (epoch {about['epoch'] + 1}), chosen on '{about['chosen_on']}': "
        "its numbers there flatter; not for verdicts"
    )


def tensors_sha256(folder: Path) -> str:
    """SHA-256 of the tensors of a model folder, as its state records it.

    Raises:
        CheckpointError: it is missing (YG401) or no checkpoint (YG403).
    """
    state = read_json(folder / STATE)
    if not isinstance(state, dict) or not isinstance(state.get("sha256"), str):
        raise CheckpointError("YG403", "no checkpoint", where=str(folder))
    return state["sha256"]


def read_model(folder: Path) -> StoredModel:
    """Read a model folder.

    Raises:
        CheckpointError: not a model folder (YG405), or damaged (YG402).
    """
    tensors, state = read_checkpoint(folder)
    if state.get("kind") != KIND:
        raise CheckpointError("YG405", "this folder holds no trained model", where=str(folder))
    about = {k: v for k, v in state.items() if k not in ("spec", "code", "kind", "format", "sha256")}
    return StoredModel(ModelSpec.from_json(state["spec"]), tensors, dict(state["code"]), about)
