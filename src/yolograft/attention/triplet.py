"""Triplet attention.

Misra, Nalamada, Arasanipalai, Hou, "Rotate to Attend: Convolutional Triplet Attention Module", 2020,
arXiv 2010.03045, equations 1-4: three planes (channel x width, height x channel, height x width), each gated
by a convolution over maximum and mean along the third axis; the three gated maps are averaged.

Deviations: none in value. Only the pooled planes are turned, never the map, and the gates are averaged
before the one multiplication. Momentum of the batch norms: .01, as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn import options


def _pooled(x: Tensor, dim: int) -> Tensor:
    """Maximum and mean along an axis of [B, C, H, W] as two channels (Z-pool)."""
    return torch.stack((x.amax(dim), x.mean(dim)), 1)


class PlaneGate(nn.Module):
    """Pooled plane [B, 2, P, Q] -> gate [B, 1, P, Q]."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, plane: Tensor) -> Tensor:
        return self.bn(self.conv(plane)).sigmoid()


class TripletAttention(nn.Module):
    """Gates that see channels and positions together; 6 k^2 + 6 parameters, whatever the channels.

    Args:
        in_channels: channels of the map.
        kernel: side of the three convolutions, odd.
        spatial: with the height x width plane. Off: two planes.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not on or off).
    """

    def __init__(self, in_channels: int, *, kernel: int = 7, spatial: bool = True) -> None:
        super().__init__()
        self.out_channels = options.whole_number("triplet", "in_channels", in_channels)
        options.odd_number("triplet", "kernel", kernel)
        self.channel_width = PlaneGate(kernel)
        self.height_channel = PlaneGate(kernel)
        self.height_width = PlaneGate(kernel) if options.switch("triplet", "spatial", spatial) else None

    def forward(self, x: Tensor) -> Tensor:
        columns = self.channel_width(_pooled(x, 2)).transpose(1, 2)  # [B, C, 1, W]
        rows = self.height_channel(_pooled(x, 3).transpose(2, 3)).permute(0, 3, 2, 1)  # [B, C, H, 1]
        if self.height_width is None:
            return x * ((rows + columns) * (1 / 2))
        return x * ((rows + columns + self.height_width(_pooled(x, 1))) * (1 / 3))
