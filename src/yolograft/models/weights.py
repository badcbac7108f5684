"""Weights are kept by layer identity: what a load kept, made anew, missed or could not place.

State-dict keys derive from layer names, so inserting a layer renames nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from yolograft.errors import CheckpointError
from yolograft.models.detector import Detector, key_of

LEAST_KEPT = 0.99


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Keys by what became of them.

    kept: loaded. new: of this model only (grafts). missing: of the file only. misplaced: same key, another
    shape. remade: head tensors whose shape depends on the class count; they start anew and do not count.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    missing: tuple[str, ...]
    misplaced: tuple[str, ...]
    remade: tuple[str, ...]

    @property
    def share(self) -> float:
        """Kept tensors as a share of those in the file that could be kept."""
        countable = len(self.kept) + len(self.missing) + len(self.misplaced)
        return len(self.kept) / countable if countable else 1.0

    def line(self) -> str:
        """The report in one line."""
        parts = [
            f"kept {len(self.kept)} of {len(self.kept) + len(self.missing) + len(self.misplaced)} tensors"
        ]
        for word in ("new", "missing", "misplaced"):
            if keys := getattr(self, word):
                parts.append(f"{len(keys)} {word}")
        if self.remade:
            parts.append(f"{len(self.remade)} re-made for another class count")
        return ", ".join(parts)


def compare_weights(detector: Detector, tensors: Mapping[str, Tensor], *, num_classes: int) -> LoadReport:
    """What loading ``tensors``, of a model with ``num_classes`` classes, into the detector would do."""
    mine = detector.state_dict()
    head = f"layers.{key_of(detector.spec.head.name)}."
    kept, misplaced, remade = [], [], []
    for key in mine.keys() & tensors.keys():
        if mine[key].shape == tensors[key].shape:
            kept.append(key)
        elif key.startswith(head) and num_classes != detector.spec.num_classes:
            remade.append(key)
        else:
            misplaced.append(key)
    return LoadReport(
        kept=tuple(sorted(kept)),
        new=tuple(sorted(mine.keys() - tensors.keys())),
        missing=tuple(sorted(tensors.keys() - mine.keys())),
        misplaced=tuple(sorted(misplaced)),
        remade=tuple(sorted(remade)),
    )


def kept_weights(
    detector: Detector, tensors: Mapping[str, Tensor], *, num_classes: int, force: bool = False
) -> tuple[dict[str, Tensor], LoadReport]:
    """The tensors to start the detector from, and the report.

    Raises:
        CheckpointError: under 99 % kept, or a tensor misplaced, and not forced (YG420).
    """
    report = compare_weights(detector, tensors, num_classes=num_classes)
    if not force and (report.misplaced or report.share < LEAST_KEPT):
        raise _wrong_layers(detector, tensors, report)
    return {key: tensors[key] for key in report.kept}, report


def _wrong_layers(detector: Detector, tensors: Mapping[str, Tensor], report: LoadReport) -> CheckpointError:
    """The message for weights that would land in wrong layers, with the first tensor that would."""
    where, mine = "", detector.state_dict()
    cause = f"these weights do not fit {detector.spec.name}: {report.line()}"
    if report.misplaced:
        where = report.misplaced[0]
        cause += f"; this one is {list(tensors[where].shape)} in the file, {list(mine[where].shape)} here"
    fix = f"weights of {detector.spec.name} with the same levels, or --force"
    return CheckpointError("YG420", cause, where=where, fix=fix)


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """Largest |difference| between the outputs of two detectors on one batch; 0 is a proof of identity."""

    fp32: float
    bf16: float

    @property
    def holds(self) -> bool:
        """True if both differences are exactly zero."""
        return self.fp32 == 0 and self.bf16 == 0

    def line(self) -> str:
        """The proof in one line."""
        word = "identical to the base" if self.holds else "NOT identical to the base"
        return f"{word}: max |difference| {self.fp32:g} in fp32, {self.bf16:g} in bf16"


@torch.no_grad()
def prove_identity(base: Detector, grafted: Detector, *, imgsz: tuple[int, int]) -> IdentityProof:
    """Run both in eval mode on the same noise, in fp32 and under bf16 autocast, and compare every output."""
    device = next(base.parameters()).device
    x = torch.rand(2, 3, *imgsz, generator=torch.Generator().manual_seed(0)).to(device)
    modes = base.training, grafted.training
    base.eval()
    grafted.eval()
    worst = {}
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
            pairs = zip(base(x).levels, grafted(x).levels, strict=True)
            gaps = [
                (a.float() - b.float()).abs().max().item()
                for p, q in pairs
                for a, b in zip(p, q, strict=True)
            ]
        # max() of Python would drop a nan, and call a net that overflows identical.
        worst[dtype] = torch.tensor(gaps).max().item()
    base.train(modes[0])
    grafted.train(modes[1])
    return IdentityProof(worst[torch.float32], worst[torch.bfloat16])
