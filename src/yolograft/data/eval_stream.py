"""Batches for evaluation and prediction: letterboxed, equal shapes in a batch, a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from yolograft.data.images import STRIDE, Image, Letterbox, paste, rectangle, resize
from yolograft.data.records import ImageRecord
from yolograft.data.store import ImageStore
from yolograft.errors import DataError


class EvalBatch(NamedTuple):
    """One batch to evaluate.

    images: uint8 [B, 3, h, w], channels_last memory, RGB. indices: positions in the records.
    letterboxes: one per image; ``to_original`` maps detections back.
    """

    images: Tensor
    indices: tuple[int, ...]
    letterboxes: tuple[Letterbox, ...]


class EvalStream:
    """A split, letterboxed to the smallest stride-multiple rectangle inside `imgsz`.

    Images of one shape are batched together, shapes ascending, records in their order: the batches
    depend on the records and these arguments alone. Making a stream sets OpenCV to one thread in this
    process, as for training.

    Args:
        records: the split.
        imgsz: (H, W) multiples of `stride`, pixels.
        batch: most images in a batch.
        stride: largest stride of the model.
        cache, cache_dir: ``"ram"``, ``"disk"`` or ``"none"`` and where, as in `ImageStore`.
        store: that of another stream of these records at this `imgsz`, to share its cache.

    Raises:
        DataError: YG331 when `imgsz` is not a multiple of `stride`, YG334 when `batch` is below 1, those of
            `ImageStore`.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        *,
        imgsz: tuple[int, int],
        batch: int,
        stride: int = STRIDE,
        cache: str = "ram",
        cache_dir: Path | None = None,
        store: ImageStore | None = None,
    ) -> None:
        if batch < 1:
            raise DataError("YG334", f"batch {batch} is not possible")
        cv2.setNumThreads(1)
        self.records = tuple(records)
        self.store = store or ImageStore(records, imgsz=imgsz, cache=cache, cache_dir=cache_dir)
        self.letterboxes = tuple(
            rectangle((record.height, record.width), imgsz=imgsz, stride=stride) for record in records
        )
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, box in enumerate(self.letterboxes):
            by_shape.setdefault(box.input, []).append(index)
        self._batches = [
            tuple(members[start : start + batch])
            for _, members in sorted(by_shape.items())
            for start in range(0, len(members), batch)
        ]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[EvalBatch]:
        for indices in self._batches:
            images = [self.store[index].image for index in indices]
            yield _batch(images, [self.letterboxes[index] for index in indices], indices)


def batch_of_image(image: Image, *, imgsz: tuple[int, int], stride: int = STRIDE) -> EvalBatch:
    """The batch an evaluation would make of one decoded image, RGB uint8 [H, W, 3].

    Raises:
        DataError: YG331 when `imgsz` is not a multiple of `stride`.
    """
    box = rectangle((image.shape[0], image.shape[1]), imgsz=imgsz, stride=stride)
    return _batch([resize(image, box.resized)], [box], (0,))


def _batch(images: list[Image], boxes: list[Letterbox], indices: tuple[int, ...]) -> EvalBatch:
    pixels = np.empty((len(images), *boxes[0].input, 3), np.uint8)
    for out, image, box in zip(pixels, images, boxes, strict=True):
        paste(image, box, out=out)
    return EvalBatch(torch.from_numpy(pixels).permute(0, 3, 1, 2), indices, tuple(boxes))
