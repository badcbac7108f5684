from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.triplet import PlaneGate, TripletAttention

Array = NDArray[np.float64]


def plane_gated(cube: Array, gate: PlaneGate) -> Array:
    """One branch in eval mode on a cube [D, P, Q]: Z-pool over D, convolve the plane, gate the cube."""
    kernel = gate.conv.weight.detach().numpy()[0]
    bn, half = gate.bn, kernel.shape[-1] // 2
    assert bn.running_mean is not None and bn.running_var is not None
    planes = (cube.max(0), cube.mean(0))
    out = np.empty_like(cube)
    for p, q in np.ndindex(*cube.shape[1:]):
        total = 0.0
        for plane, weights in zip(planes, kernel, strict=True):
            for (u, v), weight in np.ndenumerate(weights):
                if 0 <= p + u - half < plane.shape[0] and 0 <= q + v - half < plane.shape[1]:
                    total += weight * plane[p + u - half, q + v - half]
        total = (total - bn.running_mean.item()) / math.sqrt(bn.running_var.item() + bn.eps)
        logit = total * bn.weight.item() + bn.bias.item()
        out[:, p, q] = cube[:, p, q] / (1 + math.exp(-logit))
    return out


def rotated_and_averaged(module: TripletAttention, x: Array) -> Array:
    """The paper's way: turn the map, gate it, turn it back, three times."""
    out = np.empty_like(x)
    for b, cube in enumerate(x):  # [C, H, W]
        turned = plane_gated(cube.transpose(1, 0, 2), module.channel_width).transpose(1, 0, 2)
        branches = [turned, plane_gated(cube.transpose(2, 1, 0), module.height_channel).transpose(2, 1, 0)]
        if module.height_width is not None:
            branches.append(plane_gated(cube, module.height_width))
        out[b] = sum(branches) / len(branches)
    return out


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 6),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    kernel=st.sampled_from([1, 3, 7]),
    spatial=st.booleans(),
)
def test_equals_the_rotated_form(channels: int, height: int, width: int, kernel: int, spatial: bool) -> None:
    torch.manual_seed(channels)
    module = TripletAttention(channels, kernel=kernel, spatial=spatial).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    module(torch.randn(3, channels, 4, 5, dtype=torch.float64))
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    found = module.eval()(x).detach().numpy()
    np.testing.assert_allclose(found, rotated_and_averaged(module, x.numpy()), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 64, 512])
def test_parameters_do_not_grow_with_the_channels(channels: int) -> None:
    assert sum(p.numel() for p in TripletAttention(channels).parameters()) == 300
    module = TripletAttention(channels, kernel=3, spatial=False)
    assert sum(p.numel() for p in module.parameters()) == 2 * (18 + 2)
