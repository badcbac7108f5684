"""From a detector and a split to detections; `eval`, `compare` and `predict` share this path.

Evaluation runs in fp32 at confidence .001, multi-label, IoU .7, 300 boxes, for every family.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from yolograft.data.eval_stream import EvalBatch, EvalStream
from yolograft.engine.candidates import on_cpu, scenes
from yolograft.metrics.detections import DetectionTable
from yolograft.models.detector import Detector
from yolograft.ops.nms import empty_detections, suppress
from yolograft.ops.suppression.table import read_suppression
from yolograft.types import Detections

STANDARD = "hard"


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """How raw predictions become detections.

    confidence: least score, exclusive. iou: of suppression. limit: most boxes per image. nms: the method of
    suppression, as text (`ops.suppression.table`).
    """

    confidence: float = 0.001
    iou: float = 0.7
    limit: int = 300
    nms: str = STANDARD

    def to_json(self) -> dict[str, Any]:
        """A plain structure for JSON, without the standard method: tables from before it compare equal."""
        return {key: value for key, value in asdict(self).items() if (key, value) != ("nms", STANDARD)}


def detect(
    detector: Detector, batches: Iterable[EvalBatch], *, images: int, settings: EvalSettings | None = None
) -> list[Detections]:
    """Detections of every image, on the CPU, boxes in original pixels, in the order of the records.

    Args:
        images: number of images the batches cover.

    Raises:
        SpecError: the settings name no method of suppression (YG371, YG372), or one that takes predicted
            density where the detector predicts none (YG370).
    """
    how = settings or EvalSettings()
    method = read_suppression(how.nms)
    found = [empty_detections() for _ in range(images)]
    for scene in scenes(detector, batches, confidence=how.confidence):
        # Sums over boxes have no fixed order on a GPU; hard has no sums.
        offer = scene.found if method.name == STANDARD else on_cpu(scene.found)
        kept = suppress(offer, method=method, confidence=how.confidence, iou=how.iou, limit=how.limit)
        original = scene.to_original(kept.boxes)
        found[scene.image] = Detections(original.cpu(), kept.scores.cpu(), kept.labels.cpu())
    return found


def evaluate(
    detector: Detector, stream: EvalStream, *, fingerprint: str, settings: EvalSettings | None = None
) -> DetectionTable:
    """The detection table of a split, with the settings and the ground truth it belongs to."""
    how = settings or EvalSettings()
    found = detect(detector, stream, images=len(stream.records), settings=how)
    return DetectionTable.from_lists(found, settings=how.to_json(), fingerprint=fingerprint)
