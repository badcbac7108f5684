"""Efficient local attention.

Xu, Wan, "ELA: Efficient Local Attention for Deep Convolutional Neural Networks", 2024, arXiv 2403.01123:
means along rows and along columns, per direction a depthwise 1-D convolution, group norm and sigmoid; the
map is multiplied by both. ELA-B is kernel 7 with 16 norm groups (the default), ELA-T kernel 5 with 32.

The layer is timm's EfficientLocalAttn (timm, Apache-2.0) without its SiLU before the sigmoid and with the
paper's group norm for its one-group norm. Deviations: each direction has weights of its own (the paper's
listing uses one set for both); where 16 does not divide the channels, or would leave one channel a group,
the largest fitting number of groups stands in; ELA-S and ELA-L (8 channels a convolution) are not offered.
"""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor, nn

from yolograft.nn import options


def _fitting_groups(channels: int) -> int:
    """At most 16 groups of equal size and of two channels or more: one value cannot be normalised."""
    groups = math.gcd(channels, 16)
    return groups if groups < channels else max(groups // 2, 1)


class EfficientLocalAttention(nn.Module):
    """Two gates per channel, one along the rows and one along the columns, without narrowing the channels.

    Args:
        in_channels: channels C of the map.
        kernel: length of the convolution along each strip, odd.
        norm_groups: groups of the group norm, a divisor of C that leaves two channels each; 0: 16.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG214 (norm_groups does not divide the channels).
    """

    def __init__(self, in_channels: int, *, kernel: int = 7, norm_groups: int = 0) -> None:
        super().__init__()
        self.out_channels = options.whole_number("ela", "in_channels", in_channels)
        options.odd_number("ela", "kernel", kernel)
        if options.whole_number("ela", "norm_groups", norm_groups, least=0):
            options.divisor("ela", "norm_groups", norm_groups, in_channels, most=max(in_channels // 2, 1))
        # Here, not above: timm brings torchvision with it, which takes seconds.
        from timm.layers.coord_attn import EfficientLocalAttn

        self.layer = EfficientLocalAttn(
            in_channels,
            kernel_size=kernel,
            act_layer=nn.Identity,
            norm_layer=partial(nn.GroupNorm, norm_groups or _fitting_groups(in_channels)),  # type: ignore[arg-type]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
