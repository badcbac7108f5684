"""From a detector and a split to detections; `eval`, `compare` and `predict` share this path.

Evaluation runs in fp32 at confidence .001, multi-label, IoU .7, 300 boxes, for every family.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from yolograft.data.eval_stream import EvalBatch, EvalStream
from yolograft.metrics.detections import DetectionTable
from yolograft.models.detector import Detector
from yolograft.ops.nms import empty_detections, multi_label_nms
from yolograft.types import Detections


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """How raw predictions become detections: score threshold, NMS IoU, most boxes per image."""

    confidence: float = 0.001
    iou: float = 0.7
    limit: int = 300

    def to_json(self) -> dict[str, Any]:
        """A plain structure for JSON."""
        return asdict(self)


@torch.no_grad()
def detect(
    detector: Detector, batches: Iterable[EvalBatch], *, images: int, settings: EvalSettings | None = None
) -> list[Detections]:
    """Detections of every image, on the CPU, boxes in original pixels, in the order of the records.

    Args:
        images: number of images the batches cover.
    """
    how = settings or EvalSettings()
    device = next(detector.parameters()).device
    found = [empty_detections() for _ in range(images)]
    was_training = detector.training
    detector.eval()
    try:
        for batch in batches:
            raw = detector(detector.normalise(batch.images.to(device)))
            boxes, scores = detector.decode(raw)
            for row, index in enumerate(batch.indices):
                kept = multi_label_nms(
                    boxes[row], scores[row], confidence=how.confidence, iou=how.iou, limit=how.limit
                )
                original = batch.letterboxes[row].to_original(kept.boxes)
                found[index] = Detections(original.cpu(), kept.scores.cpu(), kept.labels.cpu())
    finally:
        detector.train(was_training)
    return found


def evaluate(
    detector: Detector, stream: EvalStream, *, fingerprint: str, settings: EvalSettings | None = None
) -> DetectionTable:
    """The detection table of a split, with the settings and the ground truth it belongs to."""
    how = settings or EvalSettings()
    found = detect(detector, stream, images=len(stream.records), settings=how)
    return DetectionTable.from_lists(found, settings=how.to_json(), fingerprint=fingerprint)
