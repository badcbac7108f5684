"""Spatial pyramid pooling (He et al. 2014, arXiv 1406.4729), the fast serial form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct


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
