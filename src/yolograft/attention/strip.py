"""Strip attention.

Hou, Zhang, Cheng, Feng, "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", 2020,
arXiv 2003.13328, equations 1-4: means along rows and along columns, a 1-D convolution of size 3 over each,
their sum at every position, a 1x1 layer, a sigmoid gate.

The layer is timm's StripAttn (timm, Apache-2.0), a light form of it: the two convolutions are depthwise and
the 1x1 layer is left out, 6 C parameters. ``form=paper`` has full convolutions and the 1x1 layer,
2 k C^2 + C^2 + C parameters. Deviation of both: no batch norm (the authors' code, not the equations).
"""

from __future__ import annotations

from torch import Tensor, nn

from yolograft.nn import options

FORMS = ("light", "paper")


class StripAttention(nn.Module):
    """One gate per position and channel, from the row and the column that cross there.

    Args:
        in_channels: channels of the map.
        kernel: length of the convolution along each strip, odd.
        form: ``light`` or ``paper``, as above.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not one of the choices).
    """

    def __init__(self, in_channels: int, *, kernel: int = 3, form: str = "light") -> None:
        super().__init__()
        self.out_channels = channels = options.whole_number("strip", "in_channels", in_channels)
        options.odd_number("strip", "kernel", kernel)
        options.choice("strip", "form", form, FORMS)
        # Here, not above: timm brings torchvision with it, which takes seconds.
        from timm.layers.coord_attn import StripAttn

        self.layer = StripAttn(channels, kernel_size=kernel)
        if form == "paper":
            half = kernel // 2
            self.layer.conv_h = nn.Conv2d(channels, channels, (kernel, 1), padding=(half, 0), bias=False)
            self.layer.conv_w = nn.Conv2d(channels, channels, (1, kernel), padding=(0, half), bias=False)
            self.layer.gate = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
