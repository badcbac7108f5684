from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolograft.attention.eca import ECA

Array = NDArray[np.float64]


def channel_neighbours(x: Array, weight: Array) -> Array:
    """Equation 9 of the paper, one number at a time; neighbours beyond the first and last channel are 0."""
    batch, channels, height, width = x.shape
    half = len(weight) // 2
    out = np.empty_like(x)
    for b in range(batch):
        means = [sum(x[b, c].ravel()) / (height * width) for c in range(channels)]
        for c in range(channels):
            seen = [(k, c + k - half) for k in range(len(weight)) if 0 <= c + k - half < channels]
            out[b, c] = x[b, c] / (1 + math.exp(-sum(weight[k] * means[j] for k, j in seen)))
    return out


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 9),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    kernel=st.sampled_from([0, 1, 3, 7]),
)
def test_equals_the_equations(channels: int, height: int, width: int, kernel: int) -> None:
    torch.manual_seed(channels)
    module = ECA(channels, kernel=kernel).double()
    (weight,) = (p.detach().numpy().ravel() for p in module.parameters())
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    expected = channel_neighbours(x.numpy(), weight)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "kernel"), [(3, 3), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)]
)
def test_the_kernel_follows_the_channels(channels: int, kernel: int) -> None:
    """odd((log2 C + 1) / 2); the whole module is that one kernel."""
    assert [p.shape[-1] for p in ECA(channels).parameters()] == [kernel]
    assert [p.numel() for p in ECA(channels, kernel=9).parameters()] == [9]


def test_gamma_and_beta_enter_the_formula() -> None:
    (narrow,) = ECA(256, gamma=4.0).parameters()
    (wide,) = ECA(256, gamma=1.0, beta=2.0).parameters()
    assert (narrow.numel(), wide.numel()) == (3, 11)
