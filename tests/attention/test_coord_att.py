from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from yolograft.attention.coord_att import CoordAtt

Array = NDArray[np.float64]

CURVES = {
    "hard_swish": lambda v: v * min(max(v + 3, 0), 6) / 6,
    "mish": lambda v: v * math.tanh(math.log1p(math.exp(v))),
    "relu": lambda v: max(v, 0.0),
    "silu": lambda v: v / (1 + math.exp(-v)),
}


def _layer(layer: nn.Conv2d, values: list[float]) -> list[float]:
    weight = layer.weight.detach().double().flatten(1).numpy()
    bias = layer.bias.detach().double().numpy() if layer.bias is not None else np.zeros(len(weight))
    return [bias[k] + sum(w * v for w, v in zip(weight[k], values, strict=True)) for k in range(len(weight))]


def coordinate_attention(module: CoordAtt, x: Array, activation: str) -> Array:
    """Equations 4 to 9 of the paper in eval mode, one position at a time."""
    batch, channels, height, width = x.shape
    curve, norm = CURVES[activation], module.bn1

    def hidden(pooled: list[float]) -> list[float]:
        values = _layer(module.conv1, pooled)
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            for k, value in enumerate(values):
                scaled = (value - float(norm.running_mean[k])) / math.sqrt(
                    float(norm.running_var[k]) + norm.eps
                )
                values[k] = norm.weight[k].item() * scaled + norm.bias[k].item()
        return [curve(value) for value in values]

    def gate(layer: nn.Conv2d, pooled: list[float]) -> list[float]:
        return [1 / (1 + math.exp(-value)) for value in _layer(layer, hidden(pooled))]

    out = np.empty_like(x)
    for b in range(batch):
        rows = [[sum(x[b, c, i, :]) / width for c in range(channels)] for i in range(height)]
        columns = [[sum(x[b, c, :, j]) / height for c in range(channels)] for j in range(width)]
        gates_h = [gate(module.conv_h, pooled) for pooled in rows]
        gates_w = [gate(module.conv_w, pooled) for pooled in columns]
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    out[b, c, i, j] = x[b, c, i, j] * gates_h[i][c] * gates_w[j][c]
    return out


@settings(max_examples=16, deadline=None)
@given(
    channels=st.integers(1, 6),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    activation=st.sampled_from(sorted(CURVES)),
    norm=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_equals_the_equations(
    channels: int,
    height: int,
    width: int,
    activation: str,
    norm: bool,
    bias: bool,
    dtype: torch.dtype,
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(channels)
    module = CoordAtt(channels, reduction=2, min_hidden=2, activation=activation, norm=norm, bias=bias).to(
        dtype
    )
    module(torch.randn(4, channels, 6, 6, dtype=dtype))
    x = torch.randn(2, channels, height, width, dtype=dtype).contiguous(memory_format=layout)
    expected = coordinate_attention(module.eval(), x.double().numpy(), activation)
    np.testing.assert_allclose(module(x).detach().double().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_rows_and_columns_are_not_mixed_up() -> None:
    """Transposing the map and swapping the two gate layers transposes the output."""
    torch.manual_seed(0)
    module, swapped = CoordAtt(8).eval(), CoordAtt(8).eval()
    state = module.state_dict()
    swap = {"conv_h": "conv_w", "conv_w": "conv_h"}
    swapped.load_state_dict(
        {
            ".".join([swap.get(k.split(".")[0], k.split(".")[0]), *k.split(".")[1:]]): v
            for k, v in state.items()
        }
    )
    x = torch.randn(2, 8, 5, 9)
    torch.testing.assert_close(swapped(x.transpose(2, 3)), module(x).transpose(2, 3))
    assert (module(x.transpose(2, 3)) - module(x).transpose(2, 3)).abs().max() > 1e-3


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("channels", "parameters", "flops"),
    [(256, 6_680, 327_680), (512, 25_648, 1_310_720), (768, 56_904, 2_949_120), (1280, 156_280, 8_192_000)],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_default_costs_what_the_published_form_costs(
    channels: int, parameters: int, flops: int, layout: torch.memory_format
) -> None:
    """YOLOv5 n, s, m, x with the block after layer 23, 640 px (a 20 x 20 map)."""
    module = CoordAtt(channels).eval()
    x = torch.zeros(1, channels, 20, 20).contiguous(memory_format=layout)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    assert count(module) == parameters
    assert counter.get_total_flops() == flops


def test_published_parameter_names() -> None:
    names = {name.split(".")[0] for name in CoordAtt(64).state_dict()}
    assert names == {"conv1", "bn1", "conv_h", "conv_w"}


@pytest.mark.parametrize(
    ("widths", "posted"),
    [((64, 128, 256), 8_092), ((128, 256, 512), 32_312), ((320, 640, 1280), 201_740)],
)
def test_cam_variant_of_the_yolox_post(widths: tuple[int, ...], posted: int) -> None:
    """yolox-nano, -s, -x with three blocks; the post's unused batch norm (2 C // 32 each) is not built."""
    built = [
        CoordAtt(c, reduction=32, min_hidden=1, activation="mish", norm="none", bias=False) for c in widths
    ]
    assert sum(map(count, built)) + sum(2 * (c // 32) for c in widths) == posted
