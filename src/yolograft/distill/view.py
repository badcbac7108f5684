"""What a detector shows of a batch: the maps its head reads, and what the head makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from yolograft.models.detector import Detector
from yolograft.types import RawPredictions

Maps = tuple[Tensor, ...]


class View:
    """One batch as one detector sees it.

    maps: what the head reads, the pyramid at neck.p3, neck.p4, neck.p5 with whatever is grafted there, each
    [B, C_l, H_l, W_l]. raw: what the head returns. seconds: what the view took to make, where it was timed.
    """

    def __init__(self, detector: Detector, maps: Maps, raw: RawPredictions, *, seconds: float = 0.0) -> None:
        self._detector, self.maps, self.raw, self.seconds = detector, maps, raw, seconds

    @cached_property
    def scores(self) -> Tensor:
        """Class scores float32 [B, A, C] in 0..1, anchors in the order of `Detector.decode`."""
        return self._detector.decode(self.raw)[1]

    @cached_property
    def edges(self) -> Tensor:
        """Logits of the edge distributions [B, A, 4, bins] (left, top, right, bottom), see `has_edges`."""
        return torch.cat([level[0].flatten(2) for level in self.raw.levels], 2).mT.unflatten(2, (4, -1))


def has_edges(detector: Detector) -> bool:
    """Whether a detector predicts each edge of a box as a distribution over bins."""
    return hasattr(detector.head, "dfl")


@contextmanager
def watching(detector: Detector) -> Iterator[list[Maps]]:
    """The maps that a detector's head receives, one entry a forward pass in the block.

    They are the tensors themselves, gradients and autocast type included; nothing is left behind.
    """
    seen: list[Maps] = []

    def keep(_head: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen.append(tuple(arguments[0]))

    handle = detector.head.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
