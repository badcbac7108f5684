"""Cross-stage-partial blocks (Wang et al. 2019, arXiv 1911.11929) in the form YOLOv8 uses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct

Inner = Callable[[int], nn.Module]


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, an optional grafted module, and a residual when asked: [B,C,H,W] kept.

    inner: builds the module placed after the last convolution, before the residual sum.
    """

    def __init__(self, channels: int, *, shortcut: bool, inner: Inner | None = None) -> None:
        super().__init__()
        self.cv1 = ConvBNAct(channels, out_channels=channels, kernel=3)
        self.cv2 = ConvBNAct(channels, out_channels=channels, kernel=3)
        self.inner = inner(channels) if inner is not None else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(self.cv2(self.cv1(x)))
        return x + y if self.shortcut else y


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
