from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.cbam import CBAM

Array = NDArray[np.float64]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def channel_then_spatial(x: Array, w0: Array, w1: Array, kernel: Array) -> Array:
    """Equations 1 to 3 of the paper, one number at a time: no bias and no norm anywhere."""
    batch, channels, height, width = x.shape
    half = kernel.shape[-1] // 2
    out = x.copy()
    for b in range(batch):
        logits = [0.0] * channels
        for pool in (np.mean, np.max):
            pooled = [float(pool(x[b, c])) for c in range(channels)]
            hidden = [max(0.0, sum(w * v for w, v in zip(row, pooled, strict=True))) for row in w0]
            for c in range(channels):
                logits[c] += sum(w * v for w, v in zip(w1[c], hidden, strict=True))
        for c in range(channels):
            out[b, c] *= sigmoid(logits[c])
        planes = (out[b].mean(0), out[b].max(0))
        gates = np.zeros((height, width))
        for i, j in np.ndindex(height, width):
            for plane, weights in zip(planes, kernel, strict=True):
                for (u, v), weight in np.ndenumerate(weights):
                    if 0 <= i + u - half < height and 0 <= j + v - half < width:
                        gates[i, j] += weight * plane[i + u - half, j + v - half]
        out[b] *= np.vectorize(sigmoid)(gates)
    return out


@settings(max_examples=10, deadline=None)
@given(
    channels=st.integers(1, 7),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    kernel=st.sampled_from([1, 3, 7]),
)
def test_equals_the_equations(channels: int, height: int, width: int, kernel: int) -> None:
    torch.manual_seed(channels)
    module = CBAM(channels, reduction=2, min_hidden=3, kernel=kernel).double()
    w0, w1, spatial = (p.detach().numpy() for p in module.parameters())
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    expected = channel_then_spatial(x.numpy(), w0[:, :, 0, 0], w1[:, :, 0, 0], spatial[0])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11, atol=1e-12)


def test_with_norm_it_is_timms() -> None:
    from timm.layers.cbam import CbamModule

    torch.manual_seed(0)
    theirs, ours = CbamModule(256), CBAM(256, norm="batch")
    ours.layer.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 256, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("channels", "hidden"), [(512, 32), (128, 8), (64, 8), (3, 8)])
def test_parameter_counts(channels: int, hidden: int) -> None:
    def count(module: CBAM) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(CBAM(channels)) == 2 * channels * hidden + 2 * 49
    assert count(CBAM(channels, norm=True)) == 2 * channels * hidden + 2 * 49 + 2
    assert count(CBAM(channels, bias=True, kernel=3)) == 2 * channels * hidden + hidden + channels + 18
