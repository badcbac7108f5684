"""Squeeze-and-excitation.

Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", 2018, arXiv 1709.01507, equations 2-4.

Deviations: the hidden width has a floor (``min_hidden``; the paper's C / r reaches 1 on narrow
detectors); the two layers carry a bias unless ``bias=off`` (equation 3 writes none); the gate may be
the piecewise-linear sigmoid of MobileNetV3 (arXiv 1905.02244). Parameter names follow timm's SEModule.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.nn import options

GATES = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


class SqueezeExcite(nn.Module):
    """One gate in (0, 1) per image and channel, computed from the channel means.

    Args:
        in_channels: channels of the map.
        reduction: hidden width is ``in_channels // reduction``.
        min_hidden: the hidden width is never below this.
        gate: ``sigmoid`` or ``hard_sigmoid``.
        bias: whether the two layers carry a bias.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        reduction: int = 16,
        min_hidden: int = 8,
        gate: str = "sigmoid",
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "reduction": reduction, "min_hidden": min_hidden}
        for name, value in sizes.items():
            options.whole_number("se", name, value)
        options.switch("se", "bias", bias)
        hidden = max(in_channels // reduction, min_hidden)
        self.out_channels = in_channels
        self.fc1 = nn.Conv2d(in_channels, hidden, 1, bias=bias)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, in_channels, 1, bias=bias)
        self.gate = GATES[options.choice("se", "gate", gate, GATES)]()

    def forward(self, x: Tensor) -> Tensor:
        squeezed = torch.mean(x, dim=(2, 3), keepdim=True)
        return x * self.gate(self.fc2(self.act(self.fc1(squeezed))))
