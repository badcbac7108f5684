"""Weighted fusion of maps, as in BiFPN.

Tan, Pang, Le, "EfficientDet: Scalable and Efficient Object Detection", 2020, arXiv 1911.09070, section 3.3:
one learned weight a map. ``fast`` is their fast normalised fusion,
w_i = relu(v_i) / (sum_j relu(v_j) + 1e-4), ``softmax`` the form it replaced, ``sum`` their unweighted
baseline, where nothing is learned.

`BiFPNConcat` weighs the same way and concatenates; it is no part of the paper but of code that goes round
under its name. Deviation of `BiFPNAdd`: a 1x1 convolution of ours (with batch norm and SiLU) stands in front
of a map of another width, theirs has no activation.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolograft.nn import options
from yolograft.nn.conv import ConvBNAct

EPS = 1e-4
FUSIONS = ("fast", "softmax", "sum")


class Shares(nn.Module):
    """One weight an input, normalised: () -> [inputs]. All start equal, at v = 1.

    A weight that ``fast`` has driven to zero has no gradient and stays there, as published.
    """

    def __init__(self, module: str, inputs: int, *, fusion: str) -> None:
        super().__init__()
        self.fusion = options.choice(module, "fusion", fusion, FUSIONS)
        ones = torch.ones(inputs)
        if fusion == "sum":
            self.register_buffer("weight", ones, persistent=False)
        else:
            self.weight = nn.Parameter(ones)

    def forward(self) -> Tensor:
        if self.fusion == "softmax":
            return self.weight.softmax(0)
        if self.fusion == "sum":
            return self.weight
        positive = self.weight.relu()
        return positive / (positive.sum() + EPS)


class BiFPNAdd(nn.Module):
    """Weighted sum: [B,C1,H,W], [B,C2,H,W], ... -> [B,out_channels,H,W].

    Args:
        in_channels: of each map.
        out_channels: of the sum; the widest input's where 0. Maps of another width pass a 1x1 convolution.
        fusion: ``fast``, ``softmax`` or ``sum``.

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(self, in_channels: Sequence[int], *, out_channels: int = 0, fusion: str = "fast") -> None:
        super().__init__()
        options.whole_number("bifpn_add", "out_channels", out_channels, least=0)
        self.out_channels = width = out_channels or max(in_channels)
        self.shares = Shares("bifpn_add", len(in_channels), fusion=fusion)
        self.fit = nn.ModuleList(
            nn.Identity() if channels == width else ConvBNAct(channels, out_channels=width)
            for channels in in_channels
        )

    def weights(self) -> Tensor:
        """The normalised weights, in the order of the inputs: [inputs]."""
        return self.shares()

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        maps = [share * fit(x) for share, fit, x in zip(self.weights(), self.fit, xs, strict=True)]
        return functools.reduce(torch.add, maps)


class BiFPNConcat(nn.Module):
    """Weighted concatenation: [B,C1,H,W], [B,C2,H,W], ... -> [B,C1+C2+...,H,W].

    Args:
        in_channels: of each map.
        fusion: ``fast``, ``softmax`` or ``sum``.

    Raises:
        ModuleError: YG211 (not one of the choices).
    """

    def __init__(self, in_channels: Sequence[int], *, fusion: str = "fast") -> None:
        super().__init__()
        self.out_channels = sum(in_channels)
        self.shares = Shares("bifpn_concat", len(in_channels), fusion=fusion)

    def weights(self) -> Tensor:
        """The normalised weights, in the order of the inputs: [inputs]."""
        return self.shares()

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        return torch.cat([share * x for share, x in zip(self.weights(), xs, strict=True)], 1)
