"""Efficient channel attention.

Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
2020, arXiv 1910.03151, equations 9 and 12: one 1-D convolution along the channel means, without bias.

The layer is timm's EcaModule (timm, Apache-2.0; after the authors' MIT code). Deviation: a kernel taken
from the channel count is never below 3 (the paper's equation gives 1 below 8 channels).
"""

from __future__ import annotations

from torch import Tensor, nn

from yolograft.nn import options


class ECA(nn.Module):
    """One gate per image and channel, from the means of the channel and its neighbours: k parameters.

    Args:
        in_channels: channels C of the map.
        kernel: how many neighbouring channels a gate sees, odd; 0: odd(|log2(C) + beta| / gamma).
        gamma: divisor in that formula.
        beta: summand in that formula.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range).
    """

    def __init__(self, in_channels: int, *, kernel: int = 0, gamma: float = 2.0, beta: float = 1.0) -> None:
        super().__init__()
        self.out_channels = options.whole_number("eca", "in_channels", in_channels)
        if options.whole_number("eca", "kernel", kernel, least=0):
            options.odd_number("eca", "kernel", kernel)
        options.number("eca", "gamma", gamma, above=0)
        options.number("eca", "beta", beta)
        # Here, not above: timm brings torchvision with it, which takes seconds.
        from timm.layers.eca import EcaModule

        if kernel:
            self.layer = EcaModule(None, kernel_size=kernel)
        else:
            self.layer = EcaModule(in_channels, gamma=gamma, beta=beta)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
