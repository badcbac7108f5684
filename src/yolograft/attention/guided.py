"""Guided attention: a gate per position that learns from the boxes where objects are.

Cai, Du, Zhang, Wen, Wang, Wu, Lyu, "Guided Attention Network for Object Detection and Counting on Drones",
ACM MM 2020, arXiv 1909.11307: attention on a feature pyramid that is supervised instead of left to itself.
Background attention tells background from objects, foreground attention looks at the global and the local
appearance of an object.

Deviations. This is our reading of that description; the published layers, equations and weights are not
reproduced.
- ``background``: p = sigmoid(logits) is the share of background, y = x (1 - p): background is dimmed.
- ``foreground``: p is the share of foreground, y = x (1 + p): objects are raised. The hidden layer also sees
  the mean of the map, the global appearance.
- One 1x1 and one 3x3 convolution make the logits. The paper fuses levels of the pyramid under its background
  attention; a graft sees one map.
- The boxes are painted on the cells of the level (`ops.box_maps`). The loss is the mean of two means of the
  binary cross-entropy, over the cells of the boxes and over all others: a small object weighs like a large
  background.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.nn import options
from yolograft.nn.supervision import waiting_map
from yolograft.ops.box_maps import foreground_map, masked_mean
from yolograft.ops.precision import full_precision
from yolograft.types import Targets

MODES = ("foreground", "background")


class GuidedAttention(nn.Module):
    """One supervised gate per position; C h + 10 h + 1 parameters, and C h more for ``foreground``.

    Args:
        in_channels: channels of the map.
        mode: ``foreground`` or ``background``, as above.
        hidden: channels h between the two convolutions.
        weight: of the supervision, beside the terms of the detector's loss; 0 leaves the gate to itself.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(
        self, in_channels: int, *, mode: str = "foreground", hidden: int = 16, weight: float = 0.2
    ) -> None:
        super().__init__()
        self.out_channels = options.whole_number("guided", "in_channels", in_channels)
        options.whole_number("guided", "hidden", hidden)
        self.raises = options.choice("guided", "mode", mode, MODES) == "foreground"
        self.weight = options.number("guided", "weight", weight)
        self.local = nn.Conv2d(in_channels, hidden, 1)
        self.whole = nn.Conv2d(in_channels, hidden, 1, bias=False) if self.raises else None
        self.act = nn.SiLU()
        self.predict = nn.Conv2d(hidden, 1, 3, padding=1)
        self.logits: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        seen = self.local(x)
        if self.whole is not None:
            seen = seen + self.whole(x.mean((2, 3), keepdim=True))
        logits = self.predict(self.act(seen))
        # They wait for their loss, and hold the graph of this step until it is asked for.
        self.logits = logits if self.training and torch.is_grad_enabled() else None
        share = logits.sigmoid()
        return x * (1 + share) if self.raises else x * (1 - share)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor:
        """Scalar float32, weighted: the last training forward pass against the boxes of its batch.

        Args:
            image_size: (height, width) of the network input, the frame of the boxes.

        Raises:
            ModuleError: YG250 (no training forward pass since the last call).
        """
        logits, self.logits = waiting_map("guided", self.logits), None
        truth = foreground_map(targets, size=(logits.shape[2], logits.shape[3]), image_size=image_size)
        wanted = truth if self.raises else ~truth
        with full_precision(logits):
            loss = F.binary_cross_entropy_with_logits(logits.float(), wanted.float(), reduction="none")
            return self.weight * (masked_mean(loss, truth) + masked_mean(loss, ~truth)) / 2

    def __getstate__(self) -> dict[str, Any]:
        """Copies leave the waiting map behind: a tensor inside a graph cannot be copied."""
        return {**self.__dict__, "logits": None}
