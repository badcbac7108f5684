"""The plain blocks against their definitions, and the shapes they promise."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.nn.concat import Concat
from yolograft.nn.conv import ConvBNAct, Upsample
from yolograft.nn.csp import Bottleneck, C2f
from yolograft.nn.spp import SPPF


def random_statistics(module: nn.Module) -> nn.Module:
    """At the initial statistics of batch norm a wrong epsilon would go unseen."""
    g = torch.Generator().manual_seed(0)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None and m.running_var is not None:
            m.running_mean.normal_(0, 0.3, generator=g)
            m.running_var.uniform_(0.0, 0.01, generator=g)
            nn.init.uniform_(m.weight, 0.5, 1.5, generator=g)
            nn.init.normal_(m.bias, 0, 0.3, generator=g)
    # In double precision only a wrong formula differs, not the order of a sum.
    return module.double().eval()


def unit(block: nn.Module, x: Tensor) -> Tensor:
    """A ConvBNAct written out."""
    conv, bn = block.conv, block.bn
    assert isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d)
    assert bn.running_mean is not None and bn.running_var is not None
    y = F.conv2d(x, conv.weight, None, conv.stride, conv.kernel_size[0] // 2)  # type: ignore[arg-type]
    mean, var, weight, bias = (
        v[:, None, None] for v in (bn.running_mean, bn.running_var, bn.weight, bn.bias)
    )
    y = (y - mean) / (var + 0.001).sqrt() * weight + bias
    return y * y.sigmoid()


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (1, 1)])
def test_conv(kernel: int, stride: int, size: tuple[int, int]) -> None:
    block = random_statistics(ConvBNAct(4, out_channels=6, kernel=kernel, stride=stride))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    y = block(x)
    assert y.shape == (2, 6, -(-size[0] // stride), -(-size[1] // stride))
    assert (block.out_channels, block.stride) == (6, stride)
    torch.testing.assert_close(y, unit(block, x))
    assert block.bn.momentum == 0.03  # type: ignore[union-attr]


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("repeats", [1, 3])
def test_c2f(shortcut: bool, repeats: int) -> None:
    block = C2f(6, out_channels=8, repeats=repeats, shortcut=shortcut)
    random_statistics(block)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    first, second = unit(block.cv1, x)[:, :4], unit(block.cv1, x)[:, 4:]
    parts = [first, second]
    for bottleneck in block.blocks:
        assert isinstance(bottleneck, Bottleneck)
        y = unit(bottleneck.cv2, unit(bottleneck.cv1, parts[-1]))
        parts.append(parts[-1] + y if shortcut else y)
    torch.testing.assert_close(block(x), unit(block.cv2, torch.cat(parts, 1)))
    assert len(block.blocks) == repeats and block.out_channels == 8


class Halve(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_graft_inside_acts_before_the_residual_sum(shortcut: bool) -> None:
    torch.manual_seed(0)
    plain = Bottleneck(4, shortcut=shortcut)
    grafted = Bottleneck(4, shortcut=shortcut, inner=Halve)
    grafted.load_state_dict(plain.state_dict(), strict=True)
    plain.eval()
    grafted.eval()
    x = torch.randn(1, 4, 6, 6)
    kept = x if shortcut else torch.zeros_like(x)
    torch.testing.assert_close(grafted(x), kept + (plain(x) - kept) / 2)
    inside = C2f(8, out_channels=8, repeats=3, inner=Halve)
    assert [b.inner.channels for b in inside.blocks] == [4, 4, 4]  # type: ignore[union-attr]


def test_sppf_is_a_pyramid_of_growing_windows() -> None:
    block = SPPF(8, out_channels=6)
    random_statistics(block)
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    y = unit(block.cv1, x)
    pools = [F.max_pool2d(y, k, 1, k // 2) for k in (5, 9, 13)]
    torch.testing.assert_close(block(x), unit(block.cv2, torch.cat([y, *pools], 1)))
    assert block.out_channels == 6


def test_upsample_and_concat() -> None:
    x = torch.arange(4.0).view(1, 1, 2, 2)
    up = Upsample(1)
    assert up(x)[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert up.stride == 0.5 and up.out_channels == 1
    join = Concat([1, 2])
    assert join.out_channels == 3
    assert torch.equal(join([x, x.repeat(1, 2, 1, 1)]), x.repeat(1, 3, 1, 1))
