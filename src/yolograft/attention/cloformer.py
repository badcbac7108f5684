"""Attention of CloFormer: convolutional attention beside pooled global attention.

Fan, Huang, Guan, He, "Rethinking Local Perception in Lightweight Vision Transformer", 2023,
arXiv 2303.17803, section 3: the heads are shared out among local branches, one per kernel size, and one
global branch. Local (AttnConv, equations 4-8): a depthwise convolution mixes q, k and v with shared weights,
then tanh(layers(q * k) / sqrt(d)) weighs v, one context-aware weight per position and channel. Global: the
keys and values are of the window means of the map. A 1x1 layer joins the branches.

Deviation: any H x W, where the authors' code asks for multiples of the window; else parameters and values
are those of their ``EfficientAttention``. Export with free H, W: from ``window + 1`` pixels on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yolograft.errors import ModuleError
from yolograft.nn import options

Numbers = int | str | Sequence[int]


class AttnConv(nn.Module):
    """Local branch, [B, C, H, W] -> [B, heads * head_width, H, W]."""

    def __init__(
        self, in_channels: int, *, heads: int, head_width: int, kernel: int, drop: float, bias: bool
    ) -> None:
        super().__init__()
        width = heads * head_width
        self.scale = head_width**-0.5
        self.qkv = nn.Conv2d(in_channels, 3 * width, 1, bias=bias)
        self.mix = nn.Conv2d(3 * width, 3 * width, kernel, padding=kernel // 2, groups=3 * width)
        self.weigh = nn.Sequential(nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, width, 1))
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mix(self.qkv(x)).chunk(3, 1)
        return self.drop(torch.tanh(self.weigh(q * k) * self.scale)) * v


def window_means(x: Tensor, window: int) -> Tensor:
    """Means over the windows that tile [B, C, H, W]; one over the edge counts its real pixels only."""
    height, width = x.shape[2:]
    rows, columns = (height + window - 1) // window, (width + window - 1) // window
    padded = F.pad(x, (0, columns * window - width, 0, rows * window - height))
    inside = [
        (size - window * torch.arange(count, device=x.device)).clamp(max=window)
        for size, count in ((height, rows), (width, columns))
    ]
    return F.avg_pool2d(padded, window) * (window**2 / (inside[0][:, None] * inside[1]).to(x.dtype))


class PooledAttention(nn.Module):
    """Global branch, [B, C, H, W] -> [B, heads * head_width, H, W]."""

    def __init__(
        self, in_channels: int, *, heads: int, head_width: int, window: int, drop: float, bias: bool
    ) -> None:
        super().__init__()
        self.heads, self.window, self.drop = heads, window, drop
        self.q = nn.Conv2d(in_channels, heads * head_width, 1, bias=bias)
        self.kv = nn.Conv2d(in_channels, 2 * heads * head_width, 1, bias=bias)

    def _tokens(self, maps: Tensor) -> Tensor:  # [B, heads d, H, W] -> [B, heads, H W, d]
        return maps.unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        maps = (self.q(x), *self.kv(window_means(x, self.window)).chunk(2, 1))
        q, k, v = (self._tokens(m) for m in maps)
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=self.drop if self.training else 0.0)
        joined = out.transpose(1, 2).flatten(2).unflatten(1, (height, width)).permute(0, 3, 1, 2)
        last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        return joined if last else joined.contiguous()


class CloFormerAttention(nn.Module):
    """Local and global attention side by side; no residual, as published.

    Lists are written ``3-5`` in an expression: ``cloformer:heads=8,kernels=3-5,group_split=4-2-2``.

    Args:
        in_channels: channels C of the map.
        heads: attention heads, a divisor of C.
        kernels: kernel sizes of the local branches, odd.
        group_split: heads per local branch, then of the global one; 0: no such branch. None: equal shares.
        window: side of the pooling window of the global branch; 1 compares every position with every other.
        attn_drop: share of attention weights dropped in training.
        proj_drop: share of outputs dropped in training.
        qkv_bias: whether the 1x1 layers to q, k, v and of the output carry a bias.

    Shapes: [B, C, H, W] -> [B, C, H, W].

    Raises:
        ModuleError: YG210, YG211 (one value), YG212 (group_split and heads), YG214 (heads and channels).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        heads: int = 8,
        kernels: Numbers = 5,
        group_split: Numbers | None = None,
        window: int = 7,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.out_channels = options.whole_number("cloformer", "in_channels", in_channels)
        head_width = in_channels // options.divisor("cloformer", "heads", heads, in_channels)
        sizes = options.whole_numbers("cloformer", "kernels", kernels, odd=True)
        shares = _shares(heads, len(sizes), group_split)
        options.whole_number("cloformer", "window", window)
        drop = options.share("cloformer", "attn_drop", attn_drop)
        bias = options.switch("cloformer", "qkv_bias", qkv_bias)
        local = partial(AttnConv, in_channels, head_width=head_width, drop=drop, bias=bias)
        pooled = partial(PooledAttention, in_channels, head_width=head_width, drop=drop, bias=bias)
        branches = zip(sizes, shares[:-1], strict=True)
        self.local_branches = nn.ModuleList(local(heads=n, kernel=k) for k, n in branches if n)
        self.global_branch = pooled(heads=shares[-1], window=window) if shares[-1] else None
        self.proj = nn.Conv2d(in_channels, in_channels, 1, bias=bias)
        self.proj_drop = nn.Dropout(options.share("cloformer", "proj_drop", proj_drop))

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.local_branches]
        if self.global_branch is not None:
            maps.append(self.global_branch(x))
        return self.proj_drop(self.proj(torch.cat(maps, 1)))


def _shares(heads: int, kernels: int, group_split: Numbers | None) -> tuple[int, ...]:
    """Heads per local branch, then of the global branch."""
    if group_split is None:
        each = heads // (kernels + 1)
        return (*(each for _ in range(kernels)), heads - each * kernels)
    shares = options.whole_numbers("cloformer", "group_split", group_split)
    if len(shares) != kernels + 1 or sum(shares) != heads:
        text = "-".join(map(str, shares))
        cause = f"cloformer: group_split must be {kernels + 1} shares that sum to {heads} heads, got {text}"
        raise ModuleError("YG212", cause, fix="one share per kernel size, then the global one, such as 4-4")
    return shares
