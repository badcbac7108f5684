"""Tiny modules that do something besides their output, or only fail in the layout and size of a run."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.types import Targets


def _pointwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 1)


class Table(nn.Module):
    """Positions up to 32 x 32, cut to the map: enough for small maps only."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(in_channels, 32, 32) / 10)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.table[:, : x.shape[2], : x.shape[3]]


class Starved(nn.Module):
    """Asks for more memory than there is on a large map."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] > 4000:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
        return x + self.conv(x)


class Box:
    """Anything that is no module."""

    weight: Tensor


class InObject(nn.Module):
    """A parameter in a plain object."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv, self.box = _pointwise(in_channels), Box()
        self.box.weight = nn.Parameter(torch.ones(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) * self.box.weight


class InClosure(nn.Module):
    """A parameter that a function remembers."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv, weight = _pointwise(in_channels), nn.Parameter(torch.ones(in_channels, 1, 1))
        self.gate = lambda y: y * weight

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate(self.conv(x))


class InSlot:
    """An object without a dictionary to look into."""

    __slots__ = ("weight",)


class OutOfSight(nn.Module):
    """A parameter where only the graph shows it."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv, self.slot = _pointwise(in_channels), InSlot()
        self.slot.weight = nn.Parameter(torch.ones(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) * self.slot.weight


class StoresMap(nn.Module):
    """Keeps its attention for a picture, graph and all."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        gate = self.conv(x).sigmoid()
        self.last = gate
        return x + x * gate


class StoresPicture(nn.Module):
    """Keeps its attention for a picture, as one should."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        gate = self.conv(x).sigmoid()
        self.last = gate.detach()
        return x + x * gate


class WeightNorm(nn.Module):
    """The old weight norm: its weight is no leaf, and no copy can be made."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.utils.weight_norm(_pointwise(in_channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class SpectralNorm(nn.Module):
    """The old spectral norm: every parameter is registered."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.utils.spectral_norm(_pointwise(in_channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class NewNorms(nn.Module):
    """Weight and spectral norm as parametrizations."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.one = torch.nn.utils.parametrizations.weight_norm(_pointwise(in_channels))
        self.two = torch.nn.utils.parametrizations.spectral_norm(_pointwise(in_channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(self.one(x).relu())


class FlipsMode(nn.Module):
    """Freezes its norm from within."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv, self.norm = _pointwise(in_channels), nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        self.norm.eval()
        return x + self.norm(self.conv(x))


class RunningInEval(nn.Module):
    """Goes on averaging in evaluation; what is stored changes no output of this forward."""

    mean: Tensor

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)
        self.register_buffer("mean", torch.zeros(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.conv(x - self.mean)
        self.mean.mul_(0.9).add_(0.1 * x.detach().mean((0, 2, 3))[:, None, None])
        return y


class Reseeds(nn.Module):
    """Seeds the generator of the whole run."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return x + self.conv(x)


class Drops(nn.Module):
    """Dropout in training only: as it should be, though it draws along memory."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.dropout(self.conv(x), 0.3, training=self.training)


class Frozen(nn.Module):
    """Frozen by mistake."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class FixedBlur(nn.Module):
    """One kernel is fixed, the rest learns."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)
        self.blur = nn.Parameter(torch.full((in_channels, 1, 3, 3), 1 / 9), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.conv2d(x, self.blur, padding=1, groups=x.shape[1]))


class StraightThrough(nn.Module):
    """A hard gate whose gradient is that of the sigmoid, on purpose."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        soft = self.conv(x).sigmoid()
        return x + x * ((soft > 0.5).to(soft.dtype) + soft - soft.detach())


class ViewsWhenTraining(nn.Module):
    """A view of its map in training only: evaluation in channels_last shows nothing."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x.view(x.shape[0] * 2, -1, x.shape[2], x.shape[3]).view(x.shape)
        return x + (x * self.weight).relu()


class ViewsItsOwn(nn.Module):
    """A view of what its own convolution returns: contiguous weights help, a contiguous input alone not."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        groups = y.view(y.shape[0] * 2, -1, y.shape[2], y.shape[3])
        return x + groups.relu().view(y.shape)


class Experts(nn.Module):
    """Four kernels in one 5-D parameter."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(4, in_channels, 1, 3, 3) * 0.3)
        self.choose = nn.Conv2d(in_channels, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        share = self.choose(x.mean((2, 3), keepdim=True)).flatten(1).softmax(1)
        kernel = torch.einsum("bk,kcihw->bcihw", share, self.kernels).reshape(-1, 1, 3, 3)
        flat = x.reshape(1, batch * channels, height, width)
        return x + F.conv2d(flat, kernel, padding=1, groups=batch * channels).reshape(x.shape)


class Reads(nn.Module):
    """Hands its map through; all its parameters learn from the boxes alone."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 1)
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.conv(x) if self.training and torch.is_grad_enabled() else None
        return x

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor | float:
        loss, self.seen = self.cells(targets), None
        return loss.mean()

    def cells(self, targets: Targets) -> Tensor:
        assert self.seen is not None
        return (self.seen - len(targets.boxes)).square()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "seen": None}


class LossOfCells(nn.Module):
    """Its loss is a map."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.reads = Reads(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.reads(x)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor | float:
        loss, self.reads.seen = self.reads.cells(targets), None
        return loss


class LossIsFloat(nn.Module):
    """Its loss is a plain number, from which nothing learns."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor | float:
        return float(len(targets.boxes))


class LossIsNone(nn.Module):
    """It forgets its loss where there is no box."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor | None:
        return self.conv.weight.square().mean() if len(targets.boxes) else None


class NoBoxes(nn.Module):
    """Its loss takes the first box, and an image without boxes has none."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = _pointwise(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)

    def supervise(self, targets: Targets, *, image_size: tuple[int, int]) -> Tensor | float:
        return self.conv.weight.mean() * targets.boxes[0, 0]
