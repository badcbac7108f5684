"""The density head of adaptive NMS: how crowded the object at a position is, learned beside the detector.

Liu, Huang, Wang, "Adaptive NMS: Refining Pedestrian Detection in a Crowd", CVPR 2019, arXiv 1904.03629: the
density of an object is its largest IoU with another; a small net, a 1x1 convolution and a 5x5 one, predicts
it per position, trained with smooth L1. Suppression then raises its threshold where it is high.

Deviations
- The paper's net reads the map beside the objectness and the boxes predicted there; a graft sees the map.
- A cell is trained where it belongs to a box (`ops.box_maps`); the paper trains the anchors that match one.
- With several classes the density counts boxes of the own class: suppression acts within a class.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.nn import options
from yolograft.nn.supervision import waiting_map
from yolograft.ops.box_maps import density_map, foreground_map, masked_mean
from yolograft.ops.precision import full_precision
from yolograft.types import Targets


class Density(nn.Module):
    """Hands its map through, the same tensor, and reads a density off it; (C + 26) h + 1 parameters.

    ``density``, float32 [B, 1, H, W] in 0..1, is that of the last forward pass; None before it and in copies.

    Args:
        in_channels: channels of the map.
        hidden: channels h between the two convolutions.
        weight: of the supervision, beside the terms of the detector's loss.
        joint: its gradient reaches the detector, as published; off: the detector learns as without the graft,
            up to gradient clipping, which goes by the norm of all gradients.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not on or off).
    """

    def __init__(
        self, in_channels: int, *, hidden: int = 32, weight: float = 1.0, joint: bool = True
    ) -> None:
        super().__init__()
        self.out_channels = options.whole_number("density", "in_channels", in_channels)
        options.whole_number("density", "hidden", hidden)
        self.weight = options.number("density", "weight", weight)
        self.joint = options.switch("density", "joint", joint)
        self.reduce = nn.Conv2d(in_channels, hidden, 1)
        self.act = nn.SiLU()
        self.predict = nn.Conv2d(hidden, 1, 5, padding=2)
        self.density: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        # An exported graph hands the map through and holds no density.
        if not torch.compiler.is_exporting():
            logits = self.predict(self.act(self.reduce(x if self.joint else x.detach())))
            density = logits.float().sigmoid()
            self.density = density if self.training else density.detach()
        return x

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor:
        """Scalar float32, weighted: smooth L1 of the last forward pass over the cells of the boxes.

        Args:
            image_size: (height, width) of the network input, the frame of the boxes.

        Raises:
            ModuleError: YG250 (no forward pass yet).
        """
        density = waiting_map("density", self.density)
        self.density = density.detach()
        size = (density.shape[2], density.shape[3])
        truth = density_map(targets, size=size, image_size=image_size)
        inside = foreground_map(targets, size=size, image_size=image_size)
        with full_precision(density):
            return self.weight * masked_mean(F.smooth_l1_loss(density, truth, reduction="none"), inside)

    def __getstate__(self) -> dict[str, Any]:
        """Copies leave the last map behind: a tensor inside a graph cannot be copied."""
        return {**self.__dict__, "density": None}
