"""A trained model on disk: a checkpoint folder with EMA weights, the spec and the hashes of foreign code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from yolograft.engine.arm import Arm
from yolograft.engine.checkpoint import read_checkpoint, write_checkpoint
from yolograft.errors import CheckpointError
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build
from yolograft.models.codebook import from_files
from yolograft.models.detector import Detector

KIND = "model"


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
        built = build(self.spec, code=from_files(self.hashes, code))
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
