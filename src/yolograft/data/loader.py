"""Batches for training: a pure function of (seed, epoch, step), whoever computes them and in what order.

Slot `p` of an epoch has its own generator, `stream(seed, "augment", epoch, p)`, the order of images is
drawn from `stream(seed, "order", epoch)` and the size of a batch from `stream(seed, "scale", epoch, step)`.
So workers, ranks and restarts change nothing, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from yolograft.data.augment import AugmentConfig, training_sample
from yolograft.data.balance import balanced_order, image_weights
from yolograft.data.eval_stream import EvalBatch, EvalStream
from yolograft.data.images import STRIDE, Letterbox
from yolograft.data.memory import available_bytes
from yolograft.data.records import ImageRecord
from yolograft.data.store import CACHE_SHARE, ImageStore
from yolograft.errors import DataError
from yolograft.rng import stream
from yolograft.types import Targets

__all__ = ["Batch", "EvalBatch", "EvalStream", "Letterbox", "TrainStream"]

Key = tuple[int, int]


class Batch(NamedTuple):
    """One training batch.

    images: uint8 [B, 3, H, W], channels_last memory, RGB; (H, W) is the stream's `imgsz`, with
    `multi_scale` its `size(epoch, step)`. targets: boxes in input pixels.
    image_ids: of the image each sample is about (the first of its mosaic).
    """

    images: Tensor
    targets: Targets
    image_ids: tuple[str, ...]


class TrainStream:
    """All training batches of a run, addressable by (epoch, step).

    The last batch of an epoch is filled up from the start of the same epoch's order, so every batch has
    `batch` images. Making a stream sets OpenCV to one thread in this process: the images are small, and
    its threads would fight torch's.

    Args:
        records: the training split.
        imgsz: (H, W) of the batches, pixels.
        batch: images per step over all ranks.
        seed: the run's seed.
        augment: how images are varied.
        epochs: length of the run.
        close_mosaic: number of last epochs without mosaic and mixup; sizes go on changing there.
        workers: processes that make batches ahead; 0 makes them where they are asked for.
        cache, cache_dir: ``"ram"``, ``"disk"`` or ``"none"`` and where, as in `ImageStore`.
        multi_scale: each batch has a size of its own, from 1 - m .. 1 + m times `imgsz`. Images are kept
            at `imgsz` and scaled once, straight into the batch: larger sizes show larger objects, not
            finer ones.
        class_balance: 0 shows every image once an epoch; up to 1, images of rare classes come more often
            (`balance`), as their own sample and inside those of others.

    Raises:
        DataError: YG334 when there is no image or a setting no batch can have, those of `ImageStore`.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        *,
        imgsz: tuple[int, int],
        batch: int,
        seed: int,
        augment: AugmentConfig,
        epochs: int,
        close_mosaic: int = 0,
        workers: int = 0,
        cache: str = "ram",
        cache_dir: Path | None = None,
        multi_scale: float = 0.0,
        class_balance: float = 0.0,
    ) -> None:
        if not records:
            raise DataError("YG334", "no image to train on", fix="see `yolograft data check`")
        if batch < 1 or min(imgsz) < 1:
            raise DataError("YG334", f"batch {batch} at image size {imgsz[0]},{imgsz[1]} is not possible")
        if not (0 <= multi_scale < 1 and 0 <= class_balance <= 1):
            cause = f"multi_scale {multi_scale}, class_balance {class_balance}"
            raise DataError("YG334", cause, fix="multi_scale from 0 to below 1, class_balance from 0 to 1")
        cv2.setNumThreads(1)
        limit = int(available_bytes() * CACHE_SHARE / max(workers, 1))
        self.store = ImageStore(records, imgsz=imgsz, cache=cache, cache_dir=cache_dir, limit_bytes=limit)
        self.imgsz, self.batch_size, self.seed = imgsz, batch, seed
        self.augment, self.epochs, self.close_mosaic, self.workers = augment, epochs, close_mosaic, workers
        self.multi_scale, self.class_balance = multi_scale, class_balance
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self._weights: NDArray[np.float64] | None = None
        if class_balance:
            labels = [record.labels[~record.crowd] for record in records]
            self._weights = image_weights(labels, strength=class_balance)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one epoch: ceil(images / batch)."""
        return -(-len(self.store) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The image (position in the records) of every slot of an epoch, int64 [steps * batch]."""
        if self._order is None or self._order[0] != epoch:
            rng, slots = stream(self.seed, "order", epoch), self.steps_per_epoch * self.batch_size
            if self._weights is None:
                order = np.resize(rng.permutation(len(self.store)), slots)
            else:
                order = balanced_order(self._weights, slots=slots, rng=rng)
            self._order = (epoch, order)
        return self._order[1]

    def size(self, epoch: int, step: int) -> tuple[int, int]:
        """(H, W) of one batch: `imgsz`, with `multi_scale` times one factor and in multiples of 32."""
        if not self.multi_scale:
            return self.imgsz
        factor = 1 + self.multi_scale * stream(self.seed, "scale", epoch, step).uniform(-1, 1)
        height, width = (max(round(side * factor / STRIDE), 1) * STRIDE for side in self.imgsz)
        return height, width

    def batch(self, epoch: int, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """The batch of one step, or this rank's contiguous slice of it.

        Raises:
            DataError: YG335 when the step does not exist or a rank would get no image; YG330 and YG333 for
                a damaged or changed image.
        """
        slots = self._slots(epoch, step, rank=rank, world=world)
        order = self.order(epoch)
        # Where rare classes come more often, they do so inside mosaics and blends too.
        pool = np.arange(len(self.store)) if self._weights is None else order
        pixels = np.empty((len(slots), *self.size(epoch, step), 3), np.uint8)
        boxes: list[NDArray[np.float64]] = []
        labels: list[NDArray[np.int64]] = []
        mixing = epoch < self.epochs - self.close_mosaic
        for out, slot in zip(pixels, slots, strict=True):
            rng = stream(self.seed, "augment", epoch, slot)
            index = int(order[slot])
            found = training_sample(
                self.store, index, config=self.augment, rng=rng, mixing=mixing, pool=pool, out=out
            )
            boxes.append(found[0])
            labels.append(found[1])
        counts = torch.tensor([len(each) for each in labels], dtype=torch.int64)
        targets = Targets(
            boxes=torch.from_numpy(np.concatenate(boxes).astype(np.float32)),
            labels=torch.from_numpy(np.concatenate(labels)),
            image=torch.arange(len(slots)).repeat_interleave(counts),
            batch_size=len(slots),
        )
        ids = tuple(self.store.records[order[slot]].image_id for slot in slots)
        return Batch(torch.from_numpy(pixels).permute(0, 3, 1, 2), targets, ids)

    def _slots(self, epoch: int, step: int, *, rank: int, world: int) -> range:
        if not (0 <= epoch < self.epochs and 0 <= step < self.steps_per_epoch and 0 <= rank < world):
            cause = f"no batch at epoch {epoch}, step {step}, rank {rank} of {world}"
            raise DataError("YG335", cause, fix=f"{self.epochs} epochs of {self.steps_per_epoch} steps")
        low, high = rank * self.batch_size // world, (rank + 1) * self.batch_size // world
        if low == high:
            fix = f"use --batch {world} or more"
            raise DataError("YG335", f"batch {self.batch_size} over {world} devices", fix=fix)
        return range(step * self.batch_size + low, step * self.batch_size + high)

    def iterate(
        self, *, start_epoch: int = 0, start_step: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[int, int, Batch]]:
        """(epoch, step, batch) from a place in the run to its end."""
        steps = self.steps_per_epoch
        first = start_epoch * steps + start_step
        keys = _Keys(range(first, self.epochs * steps), steps)
        if self.workers == 0 or not len(keys):
            for epoch, step in keys:
                yield epoch, step, self.batch(epoch, step, rank=rank, world=world)
            return
        loader = DataLoader(
            _Batches(self, rank, world),
            sampler=keys,
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=self.workers,
            worker_init_fn=_one_thread,
            # Its own generator, or the loader would draw a number from torch's global one.
            generator=torch.Generator(),
        )
        for (epoch, step), batch in zip(keys, loader, strict=True):
            yield epoch, step, batch


class _Keys:
    """(epoch, step) of every batch position, in order."""

    def __init__(self, positions: range, steps: int) -> None:
        self.positions, self.steps = positions, steps

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Key]:
        return (divmod(position, self.steps) for position in self.positions)


class _Batches(TorchDataset[Batch]):
    """The stream as torch's loader wants it: an item per (epoch, step)."""

    def __init__(self, train: TrainStream, rank: int, world: int) -> None:
        self.train, self.rank, self.world = train, rank, world

    def __getitem__(self, key: Key) -> Batch:
        return self.train.batch(*key, rank=self.rank, world=self.world)


def _unchanged(batch: Any) -> Any:
    return batch


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
