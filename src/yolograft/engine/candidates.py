"""What a detector offers before suppression, image by image, at one input size or at several."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from yolograft.data.eval_stream import EvalBatch
from yolograft.data.images import Letterbox
from yolograft.models.detector import Detector
from yolograft.ops.nms import MAX_CANDIDATES, Candidates, candidates
from yolograft.types import RawPredictions


class Scene(NamedTuple):
    """The candidates of one image.

    image: its place among the records. found: its candidates. level: int64 [N], the level of the pyramid each
    came from, 0 .. levels - 1; those of further sizes count on. letterbox: where the image lies in the frame
    of the boxes: input pixels, or original ones, whose letterbox only clips.
    """

    image: int
    found: Candidates
    level: Tensor
    levels: int
    letterbox: Letterbox

    def to_original(self, boxes: Tensor) -> Tensor:
        """Boxes in the frame of the candidates -> original pixels, clipped to the image."""
        return self.letterbox.to_original(boxes)


@torch.no_grad()
def scenes(detector: Detector, batches: Iterable[EvalBatch], *, confidence: float = 0.001) -> Iterator[Scene]:
    """The candidates of every image above ``confidence``, in the order of the batches.

    They lie on the detector's device, which is in evaluation mode meanwhile and as it was afterwards.
    """
    device = next(detector.parameters()).device
    was_training = detector.training
    detector.eval()
    try:
        for batch in batches:
            raw = detector(detector.normalise(batch.images.to(device)))
            boxes, scores = detector.decode(raw)
            densities = detector.densities()
            level = level_of_anchor(raw, boxes.shape[1])
            for row, index in enumerate(batch.indices):
                density = None if densities is None else densities[row]
                found = candidates(boxes[row], scores[row], confidence=confidence, density=density)
                yield Scene(index, found, level[found.anchor], len(raw.levels), batch.letterboxes[row])
    finally:
        detector.train(was_training)


def merged(sizes: Sequence[Iterable[Scene]]) -> Iterator[Scene]:
    """The images of several passes over the same records, all candidates in original pixels, on the CPU.

    All passes but the last are held in memory: about 40 bytes a candidate. Of an image the best
    `MAX_CANDIDATES` are kept. Levels of later passes are numbered behind those of earlier ones.
    """
    *earlier, last = sizes
    held: dict[int, list[Scene]] = {}
    for one in earlier:
        for scene in one:
            held.setdefault(scene.image, []).append(_in_original(scene))
    for scene in last:
        yield _joined([*held.pop(scene.image, []), _in_original(scene)])


def level_of_anchor(raw: RawPredictions, anchors: int) -> Tensor:
    """The level of every anchor point in the order of decode, int64 [A], 0 at the finest."""
    cells = [maps[0].shape[-2] * maps[0].shape[-1] for maps in raw.levels]
    counts = torch.tensor(cells) * (anchors // sum(cells))
    return torch.arange(len(cells)).repeat_interleave(counts).to(raw.levels[0][0].device)


def _in_original(scene: Scene) -> Scene:
    # Not clipped yet: boxes that hang over an edge would become near-twins before they are suppressed.
    boxes, size = scene.letterbox.to_original(scene.found.boxes, clip=False), scene.letterbox.original
    found = on_cpu(scene.found._replace(boxes=boxes))
    return scene._replace(found=found, level=scene.level.cpu(), letterbox=Letterbox(size, size, size, 0, 0))


def on_cpu(found: Candidates) -> Candidates:
    """The candidates on the CPU."""
    return Candidates(*(None if part is None else part.cpu() for part in found))  # type: ignore[arg-type]


def _joined(parts: Sequence[Scene]) -> Scene:
    # By the number of levels, not by those seen: a level that offers nothing here may elsewhere.
    first = list(itertools.accumulate((part.levels for part in parts), initial=0))
    level = torch.cat([part.level + start for part, start in zip(parts, first, strict=False)])
    *columns, crowding = zip(*(part.found for part in parts), strict=True)
    density = None if any(one is None for one in crowding) else torch.cat(crowding)
    found = Candidates(*(torch.cat(column) for column in columns), density)  # type: ignore[arg-type]
    best = found.scores.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    kept = Candidates(*(None if part is None else part[best] for part in found))  # type: ignore[arg-type]
    return Scene(parts[0].image, kept, level[best], first[-1], parts[0].letterbox)
