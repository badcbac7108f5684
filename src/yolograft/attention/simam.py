"""SimAM, attention without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks",
ICML 2021, PMLR 139:11863-11874, equations 5 and 6: a neuron that stands out from the others of its channel
has low energy, and the gate is the sigmoid of one over the energy.

Deviations: none from the equations, where the variance is over all M = H W positions. Released code divides
by M - 1, which is 0 / 0 on a 1x1 map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn import options


class SimAM(nn.Module):
    """One gate per position and channel, at least sigmoid(1/2); no parameters.

    Args:
        in_channels: channels of the map.
        e_lambda: the regulariser lambda, > 0.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range).
    """

    def __init__(self, in_channels: int, *, e_lambda: float = 1e-4) -> None:
        super().__init__()
        self.out_channels = options.whole_number("simam", "in_channels", in_channels)
        self.e_lambda = options.number("simam", "e_lambda", e_lambda, above=0)

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        # Scaled before it is squared: half precision would overflow from deviations of 256 on.
        deviation = (x - mean) * torch.rsqrt(4 * (variance + self.e_lambda))
        return x * torch.sigmoid(deviation.square() + 0.5)
