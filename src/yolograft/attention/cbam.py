"""Convolutional block attention module.

Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", 2018, arXiv 1807.06521, equations 1-3:
a channel gate from the mean and the maximum through one shared pair of layers, then a spatial gate from
mean and maximum over the channels through one convolution.

The layer is timm's CbamModule (timm, Apache-2.0). It follows the authors' code in a batch norm behind the
spatial convolution; equation 3 has none, and neither has the default here (``norm=batch`` is theirs).
Deviation: the hidden width has a floor (``min_hidden``; the paper's C / r reaches 1 on narrow detectors).
"""

from __future__ import annotations

from torch import Tensor, nn

from yolograft.nn import options


class CBAM(nn.Module):
    """First what, one gate per channel; then where, one gate per position.

    Args:
        in_channels: channels of the map.
        reduction: hidden width of the channel gate is ``in_channels // reduction``.
        min_hidden: the hidden width is never below this.
        kernel: side of the spatial convolution, odd.
        norm: ``batch`` (or on) or ``none`` (or off), behind the spatial convolution.
        bias: whether the two shared layers carry a bias (equation 2 writes none).

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
        kernel: int = 7,
        norm: bool | str = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "reduction": reduction, "min_hidden": min_hidden}
        for name, value in sizes.items():
            options.whole_number("cbam", name, value)
        options.odd_number("cbam", "kernel", kernel)
        options.switch("cbam", "bias", bias)
        # Here, not above: timm brings torchvision with it, which takes seconds.
        from timm.layers.cbam import CbamModule

        self.out_channels = in_channels
        hidden = max(in_channels // reduction, min_hidden)
        self.layer = CbamModule(in_channels, rd_channels=hidden, spatial_kernel_size=kernel, mlp_bias=bias)
        if not options.batch_norm("cbam", "norm", norm):
            self.layer.spatial.conv.bn = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
