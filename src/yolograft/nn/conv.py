"""Convolution, batch normalisation and SiLU: the unit every YOLO since v5 is made of."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from yolograft.nn.options import choice

# The families were all trained with these batch-norm constants; weights depend on them.
BN_EPS = 1e-3
BN_MOMENTUM = 0.03


class ConvBNAct(nn.Module):
    """Conv2d (no bias) -> BatchNorm2d -> SiLU: [B,C,H,W] -> [B,C',H/stride,W/stride].

    padding: "same" for odd kernels when left out. groups: of the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        around = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, around, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class DepthwiseConv(nn.Module):
    """A depthwise and a pointwise `ConvBNAct`: [B,C,H,W] -> [B,C',H/stride,W/stride].

    The depthwise separable convolution of MobileNets, Howard et al. 2017, arXiv 1704.04861.
    """

    def __init__(self, in_channels: int, *, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.depthwise = ConvBNAct(
            in_channels, out_channels=in_channels, kernel=kernel, stride=stride, groups=in_channels
        )
        self.pointwise = ConvBNAct(in_channels, out_channels=out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Upsample(nn.Module):
    """Upsampling by an integer factor: the nearest value, or bilinear between centres."""

    def __init__(
        self, in_channels: int, *, scale: int = 2, mode: Literal["nearest", "bilinear"] = "nearest"
    ) -> None:
        super().__init__()
        choice("upsample", "mode", mode, ("nearest", "bilinear"))
        self.out_channels = in_channels
        self.stride = 1 / scale
        self.upsample = nn.Upsample(scale_factor=scale, mode=mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(x)
