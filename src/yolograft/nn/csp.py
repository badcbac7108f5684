"""Cross-stage-partial blocks (Wang et al. 2019, arXiv 1911.11929): C3 of YOLOv5 and YOLOX, C2f of YOLOv8."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct, DepthwiseConv

Inner = Callable[[int], nn.Module]


class Bottleneck(nn.Module):
    """Two convolutions, an optional grafted module, and a residual when asked: [B,C,H,W] kept.

    first_kernel: of the first convolution; the second is 3x3. depthwise: the second is depthwise separable.
    inner: builds the module placed after the last convolution, before the residual sum.
    """

    def __init__(
        self,
        channels: int,
        *,
        shortcut: bool,
        first_kernel: int = 3,
        depthwise: bool = False,
        inner: Inner | None = None,
    ) -> None:
        super().__init__()
        spatial = DepthwiseConv if depthwise else ConvBNAct
        self.cv1 = ConvBNAct(channels, out_channels=channels, kernel=first_kernel)
        self.cv2 = spatial(channels, out_channels=channels, kernel=3)
        self.inner = inner(channels) if inner is not None else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(self.cv2(self.cv1(x)))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """CSP block with three 1x1 convolutions: [B,C,H,W] -> [B,out_channels,H,W].

    One half runs through ``repeats`` bottlenecks (1x1, then 3x3), the other passes by; both are
    concatenated and mixed. depthwise: the 3x3 convolutions are depthwise separable.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: int,
        repeats: int = 1,
        shortcut: bool = False,
        depthwise: bool = False,
        inner: Inner | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        hidden = out_channels // 2
        self.cv1 = ConvBNAct(in_channels, out_channels=hidden)
        self.cv2 = ConvBNAct(in_channels, out_channels=hidden)
        self.cv3 = ConvBNAct(2 * hidden, out_channels=out_channels)
        self.blocks = nn.Sequential(
            *(
                Bottleneck(hidden, shortcut=shortcut, first_kernel=1, depthwise=depthwise, inner=inner)
                for _ in range(repeats)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.blocks(self.cv1(x)), self.cv2(x)), 1))


class C2f(nn.Module):
    """CSP block that keeps the output of every bottleneck: [B,C,H,W] -> [B,out_channels,H,W].

    A 1x1 convolution makes two halves; the second runs through ``repeats`` bottlenecks; both halves and
    every intermediate result are concatenated and mixed by a 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: int,
        repeats: int = 1,
        shortcut: bool = False,
        inner: Inner | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.hidden = out_channels // 2
        self.cv1 = ConvBNAct(in_channels, out_channels=2 * self.hidden)
        self.cv2 = ConvBNAct((2 + repeats) * self.hidden, out_channels=out_channels)
        self.blocks = nn.ModuleList(
            Bottleneck(self.hidden, shortcut=shortcut, inner=inner) for _ in range(repeats)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).split((self.hidden, self.hidden), 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))
