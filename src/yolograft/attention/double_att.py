"""Double attention.

Chen, Kalantidis, Li, Yan, Feng, "A^2-Nets: Double Attention Networks", 2018, arXiv 1810.11579,
equations 2-5: A = conv(x), B = softmax over positions, V = softmax over the c_n maps, Z = (A B^T) V, all
within one image; then a 1x1 re-projection to C channels and the residual sum.

Deviations: no batch norm round the 1x1 layers; the widths default to max(8, C // 4);
``reproject=off`` and ``skip=off`` leave out the last two steps, as several posts print the block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError
from yolograft.nn import options


class DoubleAttention(nn.Module):
    """Gather c_n descriptors of c_m channels from the whole image, then distribute them per position.

    With ``c_n=1`` the distributing softmax has one entry, hence is 1 everywhere: the attended map is
    spatially constant, and without ``skip`` all position information is gone. Allowed, because posts
    print it (``double_att:c_n=1,reproject=off``), but no use to a detector.

    Args:
        in_channels: channels C of the map.
        c_m: channels of the gathered features; 0: max(8, C // 4), or C with ``reproject=off``.
        c_n: number of descriptors (attention maps); 0: max(8, C // 4).
        reproject: 1x1 layer from c_m back to C. Off: ``out_channels`` is c_m.
        skip: add the input. Left out: on with re-projection, off without.

    Shapes: [B, C, H, W] -> [B, C, H, W], or [B, c_m, H, W] with ``reproject=off``.

    Raises:
        ModuleError: YG210 (a number out of range), YG211 (not on or off), YG212 (skip with c_m != C).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        c_m: int = 0,
        c_n: int = 0,
        reproject: bool = True,
        skip: bool | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (("in_channels", in_channels, 1), ("c_m", c_m, 0), ("c_n", c_n, 0)):
            options.whole_number("double_att", name, value, least=least)
        options.switch("double_att", "reproject", reproject)
        width = max(8, in_channels // 4)
        gathered = c_m or (width if reproject else in_channels)
        maps = c_n or width
        self.out_channels = in_channels if reproject else gathered
        self.skip = reproject if skip is None else options.switch("double_att", "skip", skip)
        if self.skip and self.out_channels != in_channels:
            cause = (
                f"double_att: skip needs {in_channels} output channels, reproject=off gives c_m={gathered}"
            )
            raise ModuleError("YG212", cause, fix=f"c_m={in_channels}, or skip=off, or reproject=on")
        if maps == 1:
            cause = "c_n=1: a softmax over one descriptor is 1, so every position gets the same vector"
            self.advice = ("YG241", cause, "c_n=8 or more, or leave it out")
        self.features = nn.Conv2d(in_channels, gathered, 1)
        self.gather = nn.Conv2d(in_channels, maps, 1)
        self.distribute = nn.Conv2d(in_channels, maps, 1)
        self.reproject = nn.Conv2d(gathered, in_channels, 1) if reproject else nn.Identity()

    def _attend(self, features: Tensor, gather: Tensor, distribute: Tensor) -> Tensor:
        """[B, c_m, H, W] and twice [B, c_n, H, W] -> [B, c_m, H, W]; channels_last stays so."""
        height, width = features.shape[2:]
        if not features.is_contiguous() and features.is_contiguous(memory_format=torch.channels_last):
            # Rows are positions here: [B, HW, c], a view of channels_last memory.
            a, b, v = (t.permute(0, 2, 3, 1).flatten(1, 2) for t in (features, gather, distribute))
            descriptors = b.softmax(1).transpose(1, 2) @ a  # [B, c_n, c_m]
            attended = v.softmax(2) @ descriptors
            return attended.unflatten(1, (height, width)).permute(0, 3, 1, 2)
        a, b, v = (t.flatten(2) for t in (features, gather, distribute))  # [B, c, HW]
        descriptors = a @ b.softmax(2).transpose(1, 2)  # [B, c_m, c_n]
        return (descriptors @ v.softmax(1)).unflatten(2, (height, width))

    def forward(self, x: Tensor) -> Tensor:
        attended = self._attend(self.features(x), self.gather(x), self.distribute(x))
        projected = self.reproject(attended)
        return x + projected if self.skip else projected
