"""A trained detector that teaches: it looks at every batch once, whoever learns from what it sees."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from yolograft.distill.view import View, watching
from yolograft.models.detector import Detector
from yolograft.models.layout import to_channels_last


class Teacher:
    """A detector in eval mode without gradients.

    sha256: of its weights file, by which a run knows its teacher again.
    """

    def __init__(self, detector: Detector, *, sha256: str) -> None:
        self.detector, self.sha256 = detector.eval().requires_grad_(False), sha256

    def go_to(self, device: torch.device) -> None:
        """Move to a device, in place."""
        to_channels_last(self.detector, device)

    @torch.no_grad()
    def look(self, images: Tensor) -> View:
        """What it sees in uint8 RGB [B, 3, H, W] on its device; it normalises them as its own family does."""
        began = time.perf_counter()
        with watching(self.detector) as seen:
            raw = self.detector(self.detector.normalise(images))
        if images.is_cuda:
            # Else the first arm that learns from it would pay for the whole look.
            torch.cuda.synchronize(images.device)
        return View(self.detector, seen[0], raw, seconds=time.perf_counter() - began)
