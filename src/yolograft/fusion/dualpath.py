"""A lateral join with spatial attention: the path's map decides where the lateral map enters.

A design of ours for the dual-path pyramid, from two published parts. The gate is CBAM's spatial attention,
Woo et al. 2018, arXiv 1807.06521, equation 3: mean and maximum over the channels, one k x k convolution, a
sigmoid; bias and norm left out as there. That it is asked of both maps, the lateral one and the one the path
brings, is Attention U-Net's gate on a skip connection, Oktay et al. 2018, arXiv 1804.03999: what is semantic
says where shallow detail is wanted. ``gate=lateral`` asks the lateral map alone, as CBAM does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolograft.nn import options

GATES = {"both": 4, "lateral": 2}  # planes that the convolution reads


class GatedConcat(nn.Module):
    """Concatenation behind gates: [B,C1,H,W], [B,C2,H,W], ... -> [B,C1+C2+...,H,W].

    The first map, the one the path brings, passes as it is; every other is multiplied by a gate per position.

    Args:
        in_channels: of each map.
        kernel: side of the convolution, odd.
        gate: what it is asked of: ``both`` maps, or the ``lateral`` one alone.

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(self, in_channels: Sequence[int], *, kernel: int = 7, gate: str = "both") -> None:
        super().__init__()
        options.odd_number("gated_concat", "kernel", kernel)
        planes = GATES[options.choice("gated_concat", "gate", gate, GATES)]
        self.both = gate == "both"
        self.out_channels = sum(in_channels)
        self.gates = nn.ModuleList(
            nn.Conv2d(planes, 1, kernel, padding=kernel // 2, bias=False) for _ in in_channels[1:]
        )

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        path, *laterals = xs
        brought = (_planes(path),) if self.both else ()
        pairs = zip(self.gates, laterals, strict=True)
        gated = [x * gate(torch.cat((*brought, _planes(x)), 1)).sigmoid() for gate, x in pairs]
        return torch.cat((path, *gated), 1)


def _planes(x: Tensor) -> Tensor:
    """Mean and maximum over the channels: [B,C,H,W] -> [B,2,H,W]."""
    return torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
