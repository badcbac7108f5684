"""The classes of the five posts with their defects, re-typed in short: what a defect needs and no more."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CAM(nn.Module):
    """Seed 000: a norm nobody calls, no floor under the bottleneck, pooling to a shape read off the map."""

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        few = channels // reduction
        self.squeeze = nn.Conv2d(channels, few, 1, bias=False)
        self.act, self.bn = nn.Mish(), nn.BatchNorm2d(few)
        self.rows = nn.Conv2d(few, channels, 1, bias=False)
        self.columns = nn.Conv2d(few, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2], x.shape[3]
        rows = nn.AdaptiveAvgPool2d((h, 1))(x).permute(0, 1, 3, 2)
        both = self.act(self.squeeze(torch.cat((rows, nn.AdaptiveAvgPool2d((1, w))(x)), 3)))
        rows, columns = both.split([h, w], 3)
        return x * self.rows(rows.permute(0, 1, 3, 2)).sigmoid() * self.columns(columns).sigmoid()


class CoordAtt(nn.Module):
    """Seed 002: the channel count of the output is an argument that only the input's fits."""

    def __init__(self, inp: int, oup: int, reduction: int = 32) -> None:
        super().__init__()
        few = max(8, inp // reduction)
        self.squeeze, self.bn = nn.Conv2d(inp, few, 1), nn.BatchNorm2d(few)
        self.rows, self.columns = nn.Conv2d(few, oup, 1), nn.Conv2d(few, oup, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        both = torch.cat((x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)), 2)
        rows, columns = nn.functional.hardswish(self.bn(self.squeeze(both))).split([h, w], 2)
        return x * self.rows(rows).sigmoid() * self.columns(columns.permute(0, 1, 3, 2)).sigmoid()


class NAMAttention(nn.Module):
    """Seed 001: shares of the norm's scale taken through .data, 0/0 where all are zero, options unread."""

    def __init__(self, channels: int, out_channels: int | None = None, no_spatial: bool = True) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        share = self.bn.weight.data.abs() / self.bn.weight.data.abs().sum()
        return x * (self.bn(x) * share[:, None, None]).sigmoid()


class DoubleAttentionLayer(nn.Module):
    """Seed 003: printed without its end."""

    def __init__(self, in_channels: int, c_m: int, c_n: int, reconstruct: bool = False) -> None:
        super().__init__()
        self.a = nn.Conv2d(in_channels, c_m, 1)
        self.b, self.v = nn.Conv2d(in_channels, c_n, 1), nn.Conv2d(in_channels, c_n, 1)

    def forward(self, x: Tensor) -> None:
        _ = self.a(x).flatten(2), self.b(x).flatten(2), self.v(x).flatten(2)


class EfficientAttention(nn.Module):
    """Seed 004: local heads with k // 2 of padding, global heads over h * w // window ** 2 windows."""

    def __init__(
        self, dim: int, num_heads: int = 8, local: int = 6, kernel: int = 3, window_size: int = 7
    ) -> None:
        super().__init__()
        self.d, self.local, self.window = dim // num_heads, local, window_size
        wide, rest = 3 * self.d * local, self.d * (num_heads - local)
        self.qkv = nn.Conv2d(dim, wide, 1)
        self.mix = nn.Conv2d(wide, wide, kernel, 1, kernel // 2, groups=wide)
        self.weigh = nn.Conv2d(self.d * local, self.d * local, 1)
        self.q, self.kv = nn.Conv2d(dim, rest, 1), nn.Conv2d(dim, 2 * rest, 1)
        self.pool = nn.AvgPool2d(window_size) if window_size > 1 else nn.Identity()
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        q, k, v = self.mix(self.qkv(x)).reshape(b, 3, -1, h, w).transpose(0, 1)
        near = (self.weigh(q * k) * self.d**-0.5).tanh() * v
        q = self.q(x).reshape(b, -1, self.d, h * w).transpose(-1, -2)
        windows = h * w // self.window**2
        k, v = self.kv(self.pool(x)).view(b, 2, -1, self.d, windows).permute(1, 0, 2, 4, 3)
        far = (self.d**-0.5 * q @ k.transpose(-1, -2)).softmax(-1) @ v
        return self.proj(torch.cat((near, far.transpose(2, 3).reshape(b, -1, h, w)), 1))
