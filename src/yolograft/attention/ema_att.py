"""Efficient multi-scale attention (EMA).

Ouyang, He, Zhang, Luo, Guo, Zhan, Huang, "Efficient Multi-Scale Attention Module with Cross-Spatial
Learning", 2023, arXiv 2305.13563: within each group of channels a branch gated along rows and columns
(shared 1x1 layer, group norm of one channel a group) and a 3x3 branch; the softmax of each branch's channel
means weighs the channels of the other, and the sigmoid of the sum gates the group.

Deviation: 8 groups by default, where the released code (YOLOonMe/EMA-attention-module) has 32, which does not
divide every width; at equal groups none in value. As published, the group norm leaves every channel of the
first branch with a spatial mean equal to its offset, so that branch's softmax is the same for all images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn import options


class EMAAttention(nn.Module):
    """One gate per position and group of channels.

    Args:
        in_channels: channels C of the map.
        groups: groups G (the authors' ``factor``, 32 there), a divisor of C; all groups share the weights.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG214 (groups does not divide the channels).
    """

    def __init__(self, in_channels: int, *, groups: int = 8) -> None:
        super().__init__()
        self.out_channels = options.whole_number("ema_att", "in_channels", in_channels)
        self.groups = options.divisor("ema_att", "groups", groups, in_channels)
        width = in_channels // groups
        self.conv1 = nn.Conv2d(width, width, 1)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(width, width)

    def _gate(self, x: Tensor) -> Tensor:
        """[B G, C / G, H, W] -> gates [B G, 1, H W]."""
        height, width = x.shape[2:]
        strips = self.conv1(torch.cat((x.mean(3, keepdim=True), x.mean(2).unsqueeze(3)), 2)).sigmoid()
        rows, columns = strips.split((height, width), 2)
        norm, gated = self.norm, x * rows * columns.transpose(2, 3)
        # Not through the module: it refuses a single 1x1 map, which is its offset after all.
        strip_branch = torch.group_norm(gated, norm.num_groups, norm.weight, norm.bias, norm.eps)
        local_branch = self.conv3(x)
        of_strips = strip_branch.mean((2, 3)).softmax(1).unsqueeze(1)
        of_local = local_branch.mean((2, 3)).softmax(1).unsqueeze(1)  # [B G, 1, C / G]
        return (of_strips @ local_branch.flatten(2) + of_local @ strip_branch.flatten(2)).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        grouped = x.reshape(batch * self.groups, channels // self.groups, height, width)
        gate = self._gate(grouped).reshape(batch, self.groups, 1, height, width)
        # Unflattened, not `grouped`: a channels_last map keeps its layout.
        return (x.unflatten(1, (self.groups, channels // self.groups)) * gate).flatten(1, 2)
