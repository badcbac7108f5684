from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from yolograft.attention.double_att import DoubleAttention

Array = NDArray[np.float64]


def _conv(layer: nn.Module, x: Array) -> Array:
    """1x1 layer on one image: [C, P] -> [K, P]."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    weight, bias = layer.weight.detach().double().flatten(1).numpy(), layer.bias.detach().double().numpy()
    out = np.zeros((len(weight), x.shape[1]))
    for k, p in np.ndindex(*out.shape):
        out[k, p] = bias[k] + sum(weight[k, c] * x[c, p] for c in range(x.shape[0]))
    return out


def _softmax(values: list[float]) -> list[float]:
    top = [math.exp(v - max(values)) for v in values]
    return [v / sum(top) for v in top]


def double_attention(module: DoubleAttention, x: Array) -> Array:
    """Equations 2 to 5 of the paper, image by image and position by position."""
    images = []
    for image in x.reshape(*x.shape[:2], -1):
        a, b, v = (_conv(layer, image) for layer in (module.features, module.gather, module.distribute))
        maps, positions = b.shape
        weights = [_softmax(list(b[n])) for n in range(maps)]
        shares = [_softmax(list(v[:, p])) for p in range(positions)]
        z = np.zeros((len(a), positions))
        for m, p in np.ndindex(*z.shape):
            for n in range(maps):
                z[m, p] += shares[p][n] * sum(a[m, q] * weights[n][q] for q in range(positions))
        if isinstance(module.reproject, nn.Conv2d):
            z = _conv(module.reproject, z)
        images.append(z + image if module.skip else z)
    return np.stack(images).reshape(len(x), -1, *x.shape[2:])


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 4),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    c_m=st.integers(1, 4),
    c_n=st.integers(1, 4),
    reproject=st.booleans(),
    skip=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_equals_the_equations(
    channels: int,
    height: int,
    width: int,
    c_m: int,
    c_n: int,
    reproject: bool,
    skip: bool,
    dtype: torch.dtype,
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(c_m)
    skip = skip and (reproject or c_m == channels)
    module = DoubleAttention(channels, c_m=c_m, c_n=c_n, reproject=reproject, skip=skip).to(dtype)
    x = torch.randn(2, channels, height, width, dtype=dtype).contiguous(memory_format=layout)
    found = module(x)
    assert found.shape[1] == module.out_channels
    expected = double_attention(module, x.double().numpy())
    np.testing.assert_allclose(found.detach().double().numpy(), expected, rtol=1e-5, atol=1e-5)


def defaults(module: DoubleAttention) -> tuple[int, int, bool, bool]:
    return (
        module.features.out_channels,
        module.gather.out_channels,
        isinstance(module.reproject, nn.Conv2d),
        module.skip,
    )


def test_defaults() -> None:
    assert defaults(DoubleAttention(256)) == (64, 64, True, True)
    assert defaults(DoubleAttention(16)) == (8, 8, True, True)
    assert defaults(DoubleAttention(64, c_n=1, reproject=False)) == (64, 1, False, False)
    assert DoubleAttention(64, c_m=12, reproject=False).out_channels == 12
    assert DoubleAttention(64, c_m=12).out_channels == 64


@pytest.mark.parametrize(
    ("channels", "maps", "parameters", "flops"),
    [
        (32, 1, 1_122, 58_982_400),
        (32, 8, 1_584, 104_857_600),
        (32, 32, 3_168, 262_144_000),
        (64, 1, 4_290, 222_822_400),
        (160, 32, 36_064, 2_359_296_000),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_posted_form_costs_what_the_oracle_says(
    channels: int, maps: int, parameters: int, flops: int, layout: torch.memory_format
) -> None:
    """YOLOv8 n, s, x at 640 px with the block after layer 2 (a 160 x 160 map), c_m = C, no skip."""
    with torch.device("meta"):
        module = DoubleAttention(channels, c_n=maps, reproject=False).eval()
        x = torch.empty(1, channels, 160, 160).contiguous(memory_format=layout)
        with FlopCounterMode(display=False) as counter:
            module(x)
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert counter.get_total_flops() == flops


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_map_collapses_to_a_spatially_constant_output(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8).contiguous(memory_format=layout)
    collapsed = DoubleAttention(16, c_n=1, reproject=False)(x)
    assert torch.equal(collapsed, collapsed[:, :, :1, :1].expand_as(collapsed))
    assert collapsed.double().std((2, 3), correction=0).max() == 0
    assert DoubleAttention(16, c_n=8, reproject=False)(x).std((2, 3)).min() > 0


def mates_matter(module: DoubleAttention) -> float:
    """Largest change of an image's output when its batch mates are exchanged for others."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, 8, 4, 5, generator=generator, dtype=torch.float64)
    other = torch.cat((x[:1], torch.randn(2, 8, 4, 5, generator=generator, dtype=torch.float64)))
    return float((module(x)[0] - module(other)[0]).abs().max().detach())


@contextmanager
def softmax_over_the_batch() -> Iterator[None]:
    """The fault, planted: both softmaxes normalise over the batch axis."""
    original = Tensor.softmax
    try:
        Tensor.softmax = lambda self, dim: original(self, 0)  # type: ignore[assignment,method-assign]
        yield
    finally:
        Tensor.softmax = original  # type: ignore[method-assign]


def test_softmax_axes_stay_within_one_image() -> None:
    torch.manual_seed(0)
    module = DoubleAttention(8, c_n=4).double()
    assert mates_matter(module) < 1e-12
    with softmax_over_the_batch():
        assert mates_matter(module) > 1e-3


def test_gathering_sums_to_one_over_positions_and_distributing_over_maps() -> None:
    """With features constant in space every descriptor is that constant, hence so is every output."""
    torch.manual_seed(0)
    module = DoubleAttention(6, c_m=5, c_n=4, reproject=False).double()
    with torch.no_grad():
        module.features.weight.zero_()
    y = module(torch.randn(2, 6, 3, 7, dtype=torch.float64))
    assert module.features.bias is not None
    torch.testing.assert_close(y, module.features.bias[None, :, None, None].expand_as(y), rtol=0, atol=1e-12)
