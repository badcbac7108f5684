from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strip_loops import along, conv_weights, sigmoid
from torch import nn

from yolograft.attention.ela import EfficientLocalAttention

Array = NDArray[np.float64]


def group_norm(strip: Array, groups: int, weight: Array, bias: Array) -> Array:
    size = len(strip) // groups
    out = np.empty_like(strip)
    for c, position in np.ndindex(*strip.shape):
        members = strip[c // size * size : (c // size + 1) * size]
        scaled = (strip[c, position] - members.mean()) / math.sqrt(members.var() + 1e-5)
        out[c, position] = weight[c] * scaled + bias[c]
    return out


@settings(max_examples=12, deadline=None)
@given(
    half=st.integers(1, 3),
    groups=st.integers(1, 2),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    kernel=st.sampled_from([1, 5, 7]),
)
def test_equals_the_equations(half: int, groups: int, height: int, width: int, kernel: int) -> None:
    torch.manual_seed(half)
    channels = 2 * half * groups
    module = EfficientLocalAttention(channels, kernel=kernel, norm_groups=groups).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    weights, norms = conv_weights(module.layer), (module.layer.norm_h, module.layer.norm_w)
    out = x.numpy().copy()
    for b, image in enumerate(x.numpy()):
        gates = []
        for axis, weight, norm in zip((2, 1), weights, norms, strict=True):
            assert isinstance(norm, nn.GroupNorm)
            affine = (norm.weight.detach().numpy(), norm.bias.detach().numpy())
            gates.append(group_norm(along(image.mean(axis), weight), groups, *affine))
        for c, i, j in np.ndindex(*image.shape):
            out[b, c, i, j] *= sigmoid(gates[0][c, i]) * sigmoid(gates[1][c, j])
    np.testing.assert_allclose(module(x).detach().numpy(), out, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 16), (24, 8), (16, 8), (3, 1), (2, 1), (1, 1), (20, 4), (256, 16)]
)
def test_norm_groups_fit_the_channels(channels: int, groups: int) -> None:
    norm = EfficientLocalAttention(channels).layer.norm_h
    assert isinstance(norm, nn.GroupNorm) and norm.num_groups == groups
    assert channels % groups == 0
