"""Focus: every 2x2 patch becomes one position with four times the channels (YOLOX, arXiv 2107.08430)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct


class Focus(nn.Module):
    """Space to depth, then a convolution: [B,C,H,W] -> [B,out_channels,H/2,W/2], H and W even.

    The four pixels of a patch are stacked column by column: top left, bottom left, top right, bottom right.
    """

    def __init__(self, in_channels: int, *, out_channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = 2
        self.conv = ConvBNAct(4 * in_channels, out_channels=out_channels, kernel=kernel)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x[..., ::2], x[..., 1::2]
        patches = (left[..., ::2, :], left[..., 1::2, :], right[..., ::2, :], right[..., 1::2, :])
        return self.conv(torch.cat(patches, 1))
