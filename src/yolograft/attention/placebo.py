"""A placebo: what plain convolution of the same size does at the place of an attention module.

No paper: a control. x + W2 act(W1 x) with 1x1 convolutions C -> hidden -> C and no bias, 2 * C * hidden
parameters. It has no gate, no pooling and no view beyond one position; where a module beats the baseline but
not its placebo, the parameters did it and not the mechanism. The residual bottleneck is that of He et al.
2016, arXiv 1512.03385, section 4.1, without its 3x3 convolution and its batch norm.
"""

from __future__ import annotations

from torch import Tensor, nn

from yolograft.nn import options


class Placebo(nn.Module):
    """A residual pair of 1x1 convolutions, as many parameters as one asks for.

    Args:
        in_channels: channels of the map.
        hidden: channels between the two convolutions.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210 (a number out of range).
    """

    def __init__(self, in_channels: int, *, hidden: int = 1) -> None:
        super().__init__()
        options.whole_number("placebo", "in_channels", in_channels)
        options.whole_number("placebo", "hidden", hidden)
        self.out_channels = in_channels
        self.down = nn.Conv2d(in_channels, hidden, 1, bias=False)
        self.act = nn.SiLU()
        self.up = nn.Conv2d(hidden, in_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.act(self.down(x)))
