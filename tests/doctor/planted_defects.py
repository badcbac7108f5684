"""Tiny modules with one planted defect each, and a good one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Good(nn.Module):
    """A channel gate as it should be."""

    def __init__(self, in_channels: int, *, reduction: int = 8) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.squeeze = nn.Conv2d(in_channels, max(in_channels // reduction, 4), 1)
        self.excite = nn.Conv2d(max(in_channels // reduction, 4), in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.excite(F.silu(self.squeeze(x.mean((2, 3), keepdim=True)))).tanh()


class DeadParameter(nn.Module):
    """Builds a batch norm that forward never uses."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(in_channels, in_channels, 1), nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class BatchSoftmax(nn.Module):
    """softmax over dimension 0."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.conv(x).softmax(0)


class ImplicitSoftmax(nn.Module):
    """softmax without dim= on [B, C, H * W]: torch takes dimension 0."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * F.softmax(self.conv(x).flatten(2)).reshape(x.shape)


class DataGate(nn.Module):
    """A gate whose weight share is taken through .data, but which also trains on another way."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        z = self.bn(x)
        share = self.bn.weight.data.abs() / self.bn.weight.data.abs().sum()
        return x * (z * share.view(1, -1, 1, 1)).sigmoid()


class DetachedGate(nn.Module):
    """A parameter that changes the output and gets no gradient at all."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.ones(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.gate.detach()


class InPlace(nn.Module):
    """Writes into its input."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x += self.conv(x)
        return x


class HalfOpenPool(nn.Module):
    """Pools as the printed coordinate attention does."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.rows = nn.AdaptiveAvgPool2d((None, 1))
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(self.rows(x)).sigmoid()


class WrongChannels(nn.Module):
    """Declares the channels it was given and returns half."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ZeroByZero(nn.Module):
    """Divides by a standard deviation that is 0 on a constant map."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return x + self.weight * centred / centred.square().mean((2, 3), keepdim=True).sqrt()


class LostBuffer(nn.Module):
    """Random directions kept as a buffer that no state dict holds."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.register_buffer("directions", torch.randn(in_channels, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) * self.directions


class PlainTensor(nn.Module):
    """A tensor that is no buffer at all."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)
        self.grid = torch.linspace(0, 1, in_channels).view(-1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) * self.grid


class InList(nn.Module):
    """Convolutions in a Python list."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.convs = [nn.Conv2d(in_channels, in_channels, k, padding=k // 2) for k in (1, 3)]

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(conv(x) for conv in self.convs)


class Swallows(nn.Module):
    """Takes any option and says nothing."""

    def __init__(self, in_channels: int, **kwargs: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, int(str(kwargs.get("k", 1))))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class FixedSize(nn.Module):
    """A weight per position of a 16 x 16 map."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(in_channels, 16, 16))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.place


class Lazy(nn.Module):
    """Its convolution takes shape when the first map comes."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.conv = nn.LazyConv2d(in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class Flat(nn.Module):
    """Double attention with one attention map: softmax over one channel is 1 everywhere."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.values, self.share = nn.Conv2d(in_channels, in_channels, 1), nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.values(x).mean((2, 3), keepdim=True) * self.share(x).softmax(1)


class Loud(nn.Module):
    """Weights of one where a hundredth would do, and no norm after them."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        nn.init.normal_(self.conv.weight, std=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


class Overflows(nn.Module):
    """Fine in fp32 and bf16; a value passes 65504 on its way."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.conv(x) * 1e5) * 1e-5


class AlwaysDrops(nn.Module):
    """Dropout that does not know of eval mode."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.dropout(self.conv(x), 0.1)


class Views(nn.Module):
    """A view that wants contiguous memory."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(in_channels, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        groups = x.view(batch * 2, -1, height, width) * 2
        pooled = groups.view(batch, channels, -1).mean(2)
        return x * self.mix(pooled).sigmoid()[:, :, None, None]


class OnTheCPU(nn.Module):
    """Makes a tensor without asking where the map is."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.linspace(-1, 1, x.shape[2]).view(-1, 1)
        return x + self.conv(x) * rows


class AsksForValues(nn.Module):
    """Decides by a value: nothing can be told without one."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if float(x.abs().max()) > 0 else x


class Tokens(nn.Module):
    """An attention over tokens, not over a map."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mix = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.mix(queries) * keys * values


class ReturnsNothing(nn.Module):
    """Forward ends before its return, as printed in a post."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> None:
        self.conv(x)


class PooledNorm(nn.Module):
    """Batch norm after global pooling: one value per channel and image."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.norm(x.mean((2, 3), keepdim=True)).tanh()


class Raises(nn.Module):
    """Cannot be built."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        raise RuntimeError(f"no plan for {in_channels} channels")
