"""Convolution, batch normalisation and SiLU: the unit every YOLO since v5 is made of."""

from __future__ import annotations

from torch import Tensor, nn

# The families were all trained with these batch-norm constants; weights depend on them.
BN_EPS = 1e-3
BN_MOMENTUM = 0.03


class ConvBNAct(nn.Module):
    """Conv2d (no bias) -> BatchNorm2d -> SiLU, "same" padding: [B,C,H,W] -> [B,C',H/stride,W/stride]."""

    def __init__(self, in_channels: int, *, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Upsample(nn.Module):
    """Nearest-neighbour upsampling by an integer factor."""

    def __init__(self, in_channels: int, *, scale: int = 2) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.stride = 1 / scale
        self.upsample = nn.Upsample(scale_factor=scale, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(x)
