"""Spatial pyramid pooling (He et al. 2014, arXiv 1406.4729): poolings in series, and side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct
from yolograft.nn.options import whole_numbers


class SPPF(nn.Module):
    """Three k x k max poolings in series, equal to poolings of k, 2k-1, 3k-2: [B,C,H,W] -> [B,C',H,W]."""

    def __init__(self, in_channels: int, *, out_channels: int, kernel: int = 5) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.out_channels = out_channels
        self.cv1 = ConvBNAct(in_channels, out_channels=hidden)
        self.cv2 = ConvBNAct(4 * hidden, out_channels=out_channels)
        self.pool = nn.MaxPool2d(kernel, 1, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.cv1(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class SPP(nn.Module):
    """Max poolings side by side, the published form; with kernels 5, 9, 13 the weights are those of `SPPF`.

    kernels: sides of the poolings, odd. [B,C,H,W] -> [B,out_channels,H,W].

    Raises:
        ModuleError: YG210 (an even kernel).
    """

    def __init__(self, in_channels: int, *, out_channels: int, kernels: Sequence[int] = (5, 9, 13)) -> None:
        super().__init__()
        sides = whole_numbers("spp", "kernels", kernels, odd=True)
        hidden = in_channels // 2
        self.out_channels = out_channels
        self.cv1 = ConvBNAct(in_channels, out_channels=hidden)
        self.cv2 = ConvBNAct((len(sides) + 1) * hidden, out_channels=out_channels)
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, side // 2) for side in sides)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(pool(x) for pool in self.pools)], 1))
