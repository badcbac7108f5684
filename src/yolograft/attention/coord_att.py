"""Coordinate attention.

Hou, Zhou, Feng, "Coordinate Attention for Efficient Mobile Network Design", 2021, arXiv 2103.02907,
equations 4-9. The defaults are the published form (both 1x1 layers with bias, batch norm, hard-swish,
hidden width max(8, C / 32)), so parameter counts equal it.

Deviations: none in value. Pools are means over one axis, not adaptive pools (those break export with
free H, W); a channels_last map is pooled and gated on its NHWC view, where memory is contiguous.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn import options

ACTIVATIONS = {"hard_swish": nn.Hardswish, "mish": nn.Mish, "relu": nn.ReLU, "silu": nn.SiLU}


class CoordAtt(nn.Module):
    """Two gates per channel, one along the rows and one along the columns; both multiply the map.

    The "CAM" variant seen in YOLOX posts is
    ``coord_att:reduction=32,min_hidden=1,activation=mish,norm=none,bias=off`` (3 C (C // 32) parameters;
    the posts' batch norm of 2 (C // 32) more is never used there and is left out here).

    Args:
        in_channels: channels of the map.
        reduction: hidden width is ``in_channels // reduction``.
        min_hidden: the hidden width is never below this.
        activation: ``hard_swish``, ``mish``, ``relu`` or ``silu``, after the shared layer.
        norm: ``batch`` (or on) or ``none`` (or off), after the shared layer.
        bias: whether the three 1x1 layers carry a bias.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        reduction: int = 32,
        min_hidden: int = 8,
        activation: str = "hard_swish",
        norm: bool | str = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "reduction": reduction, "min_hidden": min_hidden}
        for name, value in sizes.items():
            options.whole_number("coord_att", name, value)
        options.choice("coord_att", "activation", activation, ACTIVATIONS)
        normed = options.batch_norm("coord_att", "norm", norm)
        options.switch("coord_att", "bias", bias)
        hidden = max(in_channels // reduction, min_hidden)
        self.out_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, hidden, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(hidden) if normed else nn.Identity()
        self.act = ACTIVATIONS[activation]()
        self.conv_h = nn.Conv2d(hidden, in_channels, 1, bias=bias)
        self.conv_w = nn.Conv2d(hidden, in_channels, 1, bias=bias)

    def _gates(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled [B, C, H, 1] and [B, C, W, 1] -> gates of the same shapes."""
        height, width = rows.shape[2], columns.shape[2]
        hidden = self.act(self.bn1(self.conv1(torch.cat((rows, columns), dim=2))))
        hidden_rows, hidden_columns = hidden.split((height, width), dim=2)
        return self.conv_h(hidden_rows).sigmoid(), self.conv_w(hidden_columns).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        # The plain test comes first: it is decided without guards when sizes are symbolic (export).
        if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
            nhwc = x.permute(0, 2, 3, 1)
            rows = nhwc.mean(2, keepdim=True).permute(0, 3, 1, 2)
            columns = nhwc.mean(1).unsqueeze(2).permute(0, 3, 1, 2)
            gate_rows, gate_columns = self._gates(rows, columns)
            gated = nhwc * gate_columns.permute(0, 3, 2, 1) * gate_rows.permute(0, 2, 3, 1)
            return gated.permute(0, 3, 1, 2)
        rows, columns = x.mean(3, keepdim=True), x.mean(2).unsqueeze(3)
        gate_rows, gate_columns = self._gates(rows, columns)
        return x * gate_columns.transpose(2, 3) * gate_rows
